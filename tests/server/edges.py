"""What the tests of the edge share: a service with odd workers, and a look at its processes."""

import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path

import grpc
import onnx
from server.running import CLASSIFIER, event_loop, model

from onnxplain.server import Settings, start_settings
from onnxplain.server.edge import spawning
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import explain_pb2_grpc

ODD_WORKER = Path(__file__).with_name("odd_worker.py")
NO_PROXY = [("grpc.enable_http_proxy", 0)]


def write_copies(folder, names):
    """Write one small classifier under several names."""
    for name in names:
        onnx.save(model(CLASSIFIER), folder / f"{name}.onnx")
    return folder


@contextlib.contextmanager
def service(folder, monkeypatch=None, *flags, **settings):
    """Serve as `channel_to` does, and give a stub."""
    with channel_to(folder, monkeypatch, *flags, **settings) as channel:
        yield explain_pb2_grpc.ExplainServiceStub(channel)


@contextlib.contextmanager
def channel_to(folder, monkeypatch=None, *flags, **settings):
    """Serve a folder, with odd workers if there is a monkeypatch for what starts workers.

    flags: of the odd workers.
    """
    if monkeypatch is not None:
        monkeypatch.setattr(spawning, "COMMAND", (sys.executable, str(ODD_WORKER), *flags))
    defaults = {"listen": ("127.0.0.1:0",), "device": ("cpu",), "warm": False}
    settings = Settings(models=(folder,), **(defaults | settings))
    with event_loop() as loop:

        def wait(coroutine):
            return asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)

        running = wait(start_settings(settings))
        try:
            with grpc.insecure_channel(running.address, NO_PROXY) as channel:
                yield channel
        finally:
            wait(running.stop(0))


def check(stub, name, timeout=30):
    return stub.Check(pb.CheckRequest(model=f"models/{name}"), timeout=timeout)


def failure(call, *arguments, **more):
    """Return the code and the kind of a call's error."""
    try:
        call(*arguments, **more)
    except grpc.RpcError as error:
        return error.code(), dict(error.trailing_metadata()).get("onnxplain-error")
    raise AssertionError("the call did not fail")


def eventually(what, seconds=30):
    """Call until there is no gRPC error and a true result; return that."""
    end = time.monotonic() + seconds
    while True:
        try:
            if result := what():
                return result
            error = AssertionError("it did not come true")
        except grpc.RpcError as e:
            error = e
        if time.monotonic() > end:
            raise error
        time.sleep(0.05)


def workers_of(pid=None):
    """Return the process ids of a process's workers."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_text()
            if parent == (pid or os.getpid()) and "worker" in command:
                found.append(int(folder.name))
    return found
