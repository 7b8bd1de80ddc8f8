"""A service that stops: it takes no calls, and finishes those that run within the drain time."""

import asyncio
import sys
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from server.edges import ODD_WORKER, write_copies
from server.running import pixels, write_models

from onnxplain.server import Settings, start_settings
from onnxplain.server.edge import spawning
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import explain_pb2_grpc, tensors

SERVING = health_pb2.HealthCheckResponse.SERVING
LOCAL = [("grpc.enable_http_proxy", 0)]


def request(masks):
    return pb.ExplainRequest(
        model="models/classifier",
        images=[pb.Image(pixels=tensors.from_array(pixels()))],
        method="rise",
        method_options=pb.MethodOptions(masks=masks),
    )


async def stopped_while_it_runs(folder, in_process, drain, masks):
    """Return how a call ended that ran when the service stopped, a new one, and the seconds."""
    settings = Settings(
        models=(folder,), listen=("127.0.0.1:0",), device=("cpu",), drain_seconds=drain
    )
    service = await start_settings(settings, in_process=in_process)
    try:
        async with grpc.aio.insecure_channel(service.address, LOCAL) as channel:
            return await stopped(service, channel, masks)
    finally:
        await service.stop(0)


async def stopped(service, channel, masks):
    stub = explain_pb2_grpc.ExplainServiceStub(channel)
    await stub.Explain(request(2), timeout=60)
    states = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
    assert (await states.read()).status == SERVING
    running = asyncio.ensure_future(ended(stub, masks))
    await asyncio.sleep(0.3)
    assert not running.done()
    start = time.monotonic()
    stopping = asyncio.ensure_future(service.stop())
    assert (await states.read()).status != SERVING
    states.cancel()
    new = await ended(stub, 2)
    await stopping
    return await running, new, time.monotonic() - start


async def ended(stub, masks):
    try:
        return (await stub.Explain(request(masks), timeout=60)).model
    except grpc.RpcError as error:
        return error.code()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("in_process", [False, True])
def test_what_runs_is_finished(folder, in_process):
    running, new, seconds = asyncio.run(stopped_while_it_runs(folder, in_process, 50, 4_000))
    assert running == "models/classifier/versions/1"
    assert new is grpc.StatusCode.UNAVAILABLE
    assert seconds < 45


@pytest.mark.parametrize("in_process", [False, True])
def test_what_runs_for_too_long_is_ended(folder, in_process):
    running, new, seconds = asyncio.run(stopped_while_it_runs(folder, in_process, 0.5, 100_000))
    assert isinstance(running, grpc.StatusCode)
    assert new is grpc.StatusCode.UNAVAILABLE
    assert 0.4 < seconds < 20


async def ended_by_the_end(folder):
    """Return the status and the kind of a call that never ends, when the drain time is over."""
    settings = Settings(models=(folder,), listen=("127.0.0.1:0",), device=("cpu",), warm=False)
    service = await start_settings(settings)
    try:
        async with grpc.aio.insecure_channel(service.address, LOCAL) as channel:
            call = explain_pb2_grpc.ExplainServiceStub(channel).Check(
                pb.CheckRequest(model="models/endless"), timeout=60
            )
            await asyncio.sleep(0.5)
            await service.stop(1)
            error = (await asyncio.gather(call, return_exceptions=True))[0]
            return error.code(), dict(error.trailing_metadata())["onnxplain-error"]
    finally:
        await service.stop(0)


def test_a_call_that_ran_is_not_said_to_have_found_no_service(tmp_path, monkeypatch):
    """UNAVAILABLE would say that it may be repeated without having happened twice."""
    monkeypatch.setattr(spawning, "COMMAND", (sys.executable, str(ODD_WORKER)))
    folder = write_copies(tmp_path, ["endless"])
    code, kind = asyncio.run(ended_by_the_end(folder))
    assert (code, kind) == (grpc.StatusCode.ABORTED, "WorkerDied")
