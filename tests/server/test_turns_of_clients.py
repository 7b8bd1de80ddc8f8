"""Clients that are slow, go, or ask for much: the others are served, and the slot is free again."""

import asyncio

import grpc
import numpy as np
import onnx
import pytest
from grpc import StatusCode
from server.running import ANY_SIZE, CLASSIFIER, model, pixels
from server.scheduling import Held, serving, until

from onnxplain.engine import Engine
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import tensors

UNIT = pb.Preprocess(scale=1 / 255)
LONG = {"method": "rise", "method_options": pb.MethodOptions(masks=100_000)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    onnx.save(model(CLASSIFIER), folder / "classifier.onnx")
    onnx.save(model(ANY_SIZE), folder / "any_size.onnx")
    return folder


def request(count=1, size=16, name="classifier", **fields):
    images = [pb.Image(pixels=tensors.from_array(pixels(size, size, i))) for i in range(count)]
    return pb.ExplainRequest(model=f"models/{name}", images=images, preprocess=UNIT, **fields)


def served(folder, engine, test, **settings):
    async def main():
        async with serving(folder, engine, **settings) as (stub, scheduler):
            await asyncio.wait_for(test(stub, scheduler), 40)

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["Explain", "ExplainUnits", "View", "Evaluate"])
@pytest.mark.parametrize("over", ["cancelled", "expired"])
def test_a_running_call_is_stopped(folder, kind, over):
    """Its slot is free again at once, long before the work would have been done."""
    requests = {
        "Explain": request(**LONG),
        "ExplainUnits": request(**LONG),
        "View": pb.ViewRequest(
            model="models/classifier",
            images=request().images,
            preprocess=UNIT,
            maps=pb.MapsView(methods=["rise"], method_options=LONG["method_options"]),
        ),
        "Evaluate": pb.EvaluateRequest(
            model="models/classifier",
            images=request(500).images,
            preprocess=UNIT,
            methods=["rise"],
        ),
    }

    async def test(stub, scheduler):
        call = getattr(stub, kind)(requests[kind], timeout=1 if over == "expired" else None)
        reading = asyncio.ensure_future(read(call))
        await until(lambda: scheduler.free == 0)
        if over == "cancelled":
            await asyncio.sleep(0.3)
            assert scheduler.free == 0
            call.cancel()
        await reading
        expected = {"cancelled": StatusCode.CANCELLED, "expired": StatusCode.DEADLINE_EXCEEDED}
        assert await call.code() is expected[over]
        await until(lambda: scheduler.free == 1)
        assert (await stub.Explain(request())).layer == "score"

    served(folder, Engine("cpu"), test)


async def read(call):
    try:
        return [part async for part in call] if hasattr(call, "__aiter__") else await call
    except (grpc.aio.AioRpcError, asyncio.CancelledError):
        return None


def test_a_client_that_does_not_read_blocks_nobody(folder):
    """Its answer has more than gRPC holds on the way: 12 MB."""

    async def test(stub, scheduler):
        large = request(1, 512, "any_size", all=True)
        slow = stub.ExplainUnits(large)
        await slow.read()
        await until(lambda: scheduler.free == 1)  # while the stream is far from its end
        for _ in range(3):
            assert (await stub.Explain(request(), timeout=10)).layer == "score"
        parts = []
        while (part := await slow.read()) is not grpc.aio.EOF:  # it goes on where it was
            parts.append(part)
        units = [part.unit for part in parts if part.WhichOneof("part") == "unit"]
        assert sum(len(one.attribution.data) for one in units) == 4 * 3 * 512 * 512 * 4

    served(folder, Engine("cpu"), test)


def test_a_client_that_goes_without_reading_leaves_nothing(folder):
    async def test(stub, scheduler):
        slow = stub.ExplainUnits(request(1, 512, "any_size", all=True))
        await slow.read()
        slow.cancel()
        await until(lambda: scheduler.free == 1 and scheduler.waiting == 0)
        assert (await stub.Explain(request(), timeout=10)).layer == "score"

    served(folder, Engine("cpu"), test)


@pytest.mark.parametrize("kind", ["Explain", "ExplainUnits"])
def test_callers_are_served_in_turn(folder, kind):
    """The edge names them; a client with many calls on the same connection waits for itself."""

    async def test(stub, scheduler):
        call, many = getattr(stub, kind), (("onnxplain-caller", "many"),)
        first = asyncio.ensure_future(read(stub.Explain(request(), metadata=many)))
        await until(engine.begun.is_set)
        calls = [call(request(2, all=True), metadata=many) for _ in range(20)]
        await until(lambda: scheduler.waiting == 20)
        few = call(request(3, all=True), metadata=(("onnxplain-caller", "few"),))
        await until(lambda: scheduler.waiting == 21)
        engine.gone_on.set()
        await asyncio.gather(first, read(few), *map(read, calls))

    engine = Held()
    served(folder, engine, test)
    assert engine.images[0] == 1
    assert engine.images.index(3) <= 2
    assert np.sum(engine.images) == 1 + 20 * 2 + 3
