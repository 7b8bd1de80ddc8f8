"""The clients of `load.py`, in a process of their own: raw stubs that send and receive bytes.

    python bench/load_client.py ADDRESS

Each line of standard input is a JSON object: `request`, a file of a serialized request of Explain,
`clients`, `seconds`, and `answer`, a file to write one response to, or null. Each is answered by a
line: the seconds of every call, and of all together.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import grpc
from load_loop import closed_loop

METHOD = "/onnxplain.v1.ExplainService/Explain"
# Each client has a connection of its own.
OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]


def main(address: str) -> None:
    for line in sys.stdin:
        order = json.loads(line)
        channels = [grpc.insecure_channel(address, OPTIONS) for _ in range(order["clients"])]
        request = Path(order["request"]).read_bytes()
        calls = [caller(channel, request) for channel in channels]
        answers = [call() for call in calls]  # connects, and is not counted
        if order["answer"]:
            Path(order["answer"]).write_bytes(answers[0])
        print(json.dumps(closed_loop(calls, order["seconds"])), flush=True)
        for channel in channels:
            channel.close()


def caller(channel: grpc.Channel, request: bytes) -> Callable[[], bytes]:
    call = channel.unary_unary(METHOD)  # without a serializer, bytes stay as they are
    return lambda: call(request, timeout=120)


if __name__ == "__main__":
    main(sys.argv[1])
