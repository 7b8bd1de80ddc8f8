"""What the service costs over the engine: the same explanations in process and by gRPC.

    python bench/load.py [--seconds 18] [--clients 1 4 16]

or `make load`, which takes under five minutes and writes the section "Service" of
docs/performance.md. Three processes take part besides the service's own: this one, which calls the
engine from threads, and one with the clients of the service. Both ways take turns, a block of
seconds each, while the other is idle.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from load_loop import closed_loop
from performance_machine import machine
from performance_page import PAGE, with_part
from performance_table import Table
from rewriting import resnet50

from onnxplain.engine import Engine
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import tensors

HERE = Path(__file__).resolve().parent
SHAPES = HERE.parent / "examples" / "shapes.onnx"
PAUSE = 0.05  # seconds before each block: idle threads spin
ROUNDS = 3
METHOD, CHANNEL = "gradient", 3
SERVE = """
import sys
from onnxplain.server import serve
serve(sys.argv[1], "127.0.0.1:0", "cpu", ready=lambda address: print(address, flush=True))
"""
NETS = {"shapes": (3, 64, 64), "resnet50": (3, 224, 224)}
TITLES = {"shapes": "example network", "resnet50": "ResNet-50"}
WAYS = ("in process", "service")

Orders = Callable[..., tuple[list[float], float]]


@dataclass
class Times:
    """The calls of one way, in milliseconds, and the seconds that all of them took."""

    taken: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, taken: list[float], seconds: float) -> None:
        self.taken += [1000 * one for one in taken]
        self.seconds += seconds

    def percentile(self, percent: float) -> float:
        return float(np.percentile(self.taken, percent))

    @property
    def throughput(self) -> float:
        """Calls a second."""
        return len(self.taken) / self.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=18, help="of each way, network and count")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    given = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder, "models")
        models.mkdir()
        shutil.copy(SHAPES, models)
        onnx.save(resnet50(), models / "resnet50.onnx")
        with served(models) as address, clients(address) as order:
            found = measured(models, order, given.clients, given.seconds / ROUNDS)
    table = tabulated(found)
    table.say(
        "", f"Load average before the start: {load:.1f}. {machine(('onnxruntime', 'grpcio'))}"
    )
    PAGE.write_text(with_part(PAGE.read_text("utf-8"), "load", "\n".join(table.lines)), "utf-8")


def measured(
    models: Path, order: Orders, counts: list[int], seconds: float
) -> dict[tuple[str, int, str], Times]:
    """Return the times by network, number of clients and way."""
    engine = Engine("cpu")
    found: dict[tuple[str, int, str], Times] = {}
    for net, shape in NETS.items():
        path, image = models / f"{net}.onnx", np.random.default_rng(0).normal(size=(1, *shape))
        image = image.astype(np.float32)
        request = models.parent / f"{net}.request"
        message = pb.ExplainRequest(model=f"models/{net}", method=METHOD)
        message.channels.channels.append(CHANNEL)
        message.images.add(input=tensors.from_array(image[0]))
        request.write_bytes(message.SerializeToString())

        def call(path: Path = path, image: np.ndarray = image) -> object:
            return engine.explain(path, image, None, METHOD, [CHANNEL])

        require_same(call(), order, request)
        for count in counts:
            for way in WAYS:
                found[net, count, way] = Times()
            for _ in range(ROUNDS):
                time.sleep(PAUSE)
                found[net, count, WAYS[0]].add(*closed_loop([call] * count, seconds))
                time.sleep(PAUSE)
                answer = order(request=str(request), clients=count, seconds=seconds, answer=None)
                found[net, count, WAYS[1]].add(*answer)
    return found


def require_same(expected: object, order: Orders, request: Path) -> None:
    """Exit unless the service's answer is the engine's."""
    file = request.with_suffix(".answer")
    order(request=str(request), clients=1, seconds=0.1, answer=str(file))
    answer = pb.ExplainResponse.FromString(file.read_bytes())
    if not np.array_equal(tensors.to_array(answer.attribution), expected.attribution):
        sys.exit(f"the service's attribution for {request.stem} is not the engine's")


def tabulated(found: dict[tuple[str, int, str], Times]) -> Table:
    """Return the table, with verdicts on its aims."""
    table = Table("Service")
    table.head(
        "network", "clients", "way", "p50", "p95", "p99", "calls a second", "of the engine's"
    )
    for (net, count, way), times in found.items():
        engine = found[net, count, WAYS[0]]
        ratio = f"{times.throughput / engine.throughput:.0%}" if way == WAYS[1] else ""
        latencies = [f"{times.percentile(percent):.1f} ms" for percent in (50, 95, 99)]
        rate = f"{times.throughput:.1f}"
        table.row(TITLES[net], str(count), way, *latencies, rate, ratio)
    counts = sorted({count for _, count, _ in found})
    for net in NETS:
        engine, service = (found[net, counts[0], way].percentile(50) for way in WAYS)
        limit = max(3.0, 0.15 * engine)
        what = f"{TITLES[net]}, {counts[0]} client: what the service adds to p50"
        table.at_most(round(limit, 2), service - engine, what, " ms")
        engine, service = (found[net, counts[-1], way].throughput for way in WAYS)
        what = f"{TITLES[net]}, {counts[-1]} clients: throughput / the engine's"
        table.at_least(0.95, service / engine, what)
    table.head("aim", "limit", "measured", "")
    for verdict in table.verdicts:
        reached = "reached" if verdict.reached else "**not reached**"
        table.row(verdict.what, verdict.goal, verdict.found, reached)
    return table


@contextmanager
def served(models: Path) -> Iterator[str]:
    """Serve a folder in processes of its own, and give the address."""
    command = [sys.executable, "-c", SERVE, str(models)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline().strip()
            if not address:
                sys.exit("the service did not start")
            yield address
        finally:
            process.terminate()


@contextmanager
def clients(address: str) -> Iterator[Orders]:
    """Start the clients' process, and give a function that lets them call."""
    command = [sys.executable, str(HERE / "load_client.py"), address]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:

        def order(**arguments: object) -> tuple[list[float], float]:
            print(json.dumps(arguments), file=process.stdin, flush=True)
            taken, seconds = json.loads(process.stdout.readline())
            return taken, seconds

        yield order
        process.stdin.close()


if __name__ == "__main__":
    main()
