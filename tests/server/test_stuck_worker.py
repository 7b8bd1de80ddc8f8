"""A worker whose work goes on after its call has ended ends itself; in one process it goes on."""

import subprocess
import sys
import time

import grpc
import onnx
import pytest
from server.running import CLASSIFIER, model, pixels

from onnxplain.server.worker import STUCK_EXIT_CODE
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import explain_pb2_grpc, tensors

# A worker whose engine does not look whether it should stop.
WORKER = """
import asyncio, sys, time
from pathlib import Path
from onnxplain.engine import Engine
from onnxplain.server.settings import Settings
from onnxplain.server.worker.process import start_worker

def deaf(*arguments, **choices):
    print("begun", flush=True)
    time.sleep(float(sys.argv[2]))
    print("done", flush=True)
    return
    yield

Engine.explain_units = deaf

async def main():
    settings = Settings(
        models=(Path(sys.argv[1]),), listen=("127.0.0.1:0",), device=("cpu",), grace_seconds=0.5
    )
    worker = await start_worker(settings, 2**20)
    print(worker.address, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def started(tmp_path):
    """Start a worker whose work takes some seconds, and give its process and a stub."""
    onnx.save(model(CLASSIFIER), tmp_path / "classifier.onnx")
    opened = []

    def start(seconds):
        command = [sys.executable, "-c", WORKER, str(tmp_path), str(seconds)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        address = process.stdout.readline().strip()
        channel = grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)])
        opened.extend([process, channel])
        return process, explain_pb2_grpc.ExplainServiceStub(channel)

    yield start
    process, channel = opened
    channel.close()
    process.kill()
    process.communicate()


@pytest.mark.parametrize(("kind", "over"), [("Explain", "cancelled"), ("ExplainUnits", "expired")])
def test_it_ends_itself(started, kind, over):
    process, stub = started(60)
    request = pb.ExplainRequest(
        model="models/classifier", images=[pb.Image(pixels=tensors.from_array(pixels()))]
    )
    call = getattr(stub, kind)
    timeout = 3 if over == "expired" else None
    call = call.future(request, timeout) if kind == "Explain" else call(request, timeout)
    assert process.stdout.readline() == "begun\n"
    if over == "cancelled":
        call.cancel()
    assert process.wait(20) == STUCK_EXIT_CODE
    assert "work goes on 0.5 s after its call has ended" in process.stderr.read()


def test_work_that_ends_in_time_does_not(started):
    process, stub = started(0.3)
    request = pb.ExplainRequest(
        model="models/classifier", images=[pb.Image(pixels=tensors.from_array(pixels()))]
    )
    call = stub.Explain.future(request)
    assert process.stdout.readline() == "begun\n"
    call.cancel()
    assert process.stdout.readline() == "done\n"
    time.sleep(0.6)
    assert stub.ListModels(pb.ListModelsRequest(), timeout=10).models
