"""Explanations that wait for the same graph run together, and each gets what it alone would get."""

import asyncio
import io

import grpc
import numpy as np
import onnx
import pytest
from grpc import StatusCode
from PIL import Image
from server.running import ANY_SIZE, CLASSIFIER, model, pixels
from server.scheduling import Held, serving, until

from onnxplain.engine import Engine
from onnxplain.registry import FolderSource
from onnxplain.server.worker import Models
from onnxplain.server.worker.batching import explain_key
from onnxplain.server.worker.calls import Call
from onnxplain.server.worker.computations import Computations
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import tensors

UNIT = pb.Preprocess(scale=1 / 255)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    onnx.save(model(CLASSIFIER), folder / "classifier.onnx")
    onnx.save(model(ANY_SIZE), folder / "any_size.onnx")
    return folder


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu")


def encoded(height, width, seed):
    file = io.BytesIO()
    Image.fromarray(pixels(height, width, seed)).save(file, "PNG")
    return pb.Image(encoded=file.getvalue())


def request(*images, **fields):
    chosen = {"model": "models/classifier", "preprocess": UNIT} | fields
    return pb.ExplainRequest(images=images, **chosen)


def picture(seed, height=16, width=16):
    return pb.Image(pixels=tensors.from_array(pixels(height, width, seed)))


def network_input(seed, added=0):
    values = np.random.default_rng(seed).standard_normal((3, 16, 16)) + added
    return pb.Image(input=tensors.from_array(values.astype(np.float32)))


def assert_same(one, other):
    """The messages are equal, their floats to within rounding."""
    assert type(one) is type(other)
    for field in one.DESCRIPTOR.fields:
        mine, its = getattr(one, field.name), getattr(other, field.name)
        if field.name == "units" or field.message_type is None:
            if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
                np.testing.assert_allclose(mine, its, rtol=1e-5, atol=1e-6)
            else:
                assert mine == its, field.name
        elif isinstance(mine, (pb.Tensor, pb.TensorPart)):
            assert one.HasField(field.name) == other.HasField(field.name), field.name
            assert (mine.data_type, list(mine.shape)) == (its.data_type, list(its.shape))
            dtype = np.float32 if mine.data_type == pb.DATA_TYPE_FLOAT else np.uint8
            arrays = [np.frombuffer(tensor.data, dtype) for tensor in (mine, its)]
            scale = max(1e-6, float(np.abs(arrays[1]).max(initial=0)))
            np.testing.assert_allclose(*arrays, atol=1e-6 * scale, rtol=1e-5)
        elif field.is_repeated:
            assert len(mine) == len(its), field.name
            for a, b in zip(mine, its, strict=True):
                assert_same(a, b)
        elif one.HasField(field.name) or other.HasField(field.name):
            assert_same(mine, its)


# Members of one key: the last differ in what their notes say, in their number of images, in size.
MEMBERS = {
    "pictures": [
        request(picture(0), return_pictures=True),
        request(picture(1), picture(2), return_pictures=True),
        request(encoded(40, 20, 3), return_pictures=True),
        request(encoded(16, 16, 4), return_pictures=True),
    ],
    "gradient of two": [request(picture(i), method="gradient", top=2) for i in range(3)],
    "channels": [
        request(picture(i), layer="c", channels=pb.Channels(channels=[4, 1])) for i in range(3)
    ],
    "not numbers": [
        pb.ExplainRequest(model="models/classifier", images=[network_input(i, value)], layer="r")
        for i, value in enumerate((0, np.nan, 0))
    ],
    "map": [request(picture(i), method="grad_cam") for i in range(3)],
    "relevance": [request(picture(i), method="lrp") for i in range(3)],
    "activation": [request(picture(i), layer="r", method="activation") for i in range(3)],
    "all positions": [
        request(picture(i), layer="r", position=pb.POSITION_ALL, negate=True) for i in range(3)
    ],
    "inverse": [request(picture(i), layer="p", whole=True, method="inverse") for i in range(2)],
    "inputs": [
        pb.ExplainRequest(model="models/classifier", images=[network_input(i)], method="gradient")
        for i in range(3)
    ],
    "sizes": [
        request(picture(i, 8 + 4 * i, 12), model="models/any_size", layer="y") for i in range(3)
    ],
}


@pytest.mark.parametrize("name", MEMBERS)
def test_each_gets_what_it_alone_gets(folder, engine, name):
    members = MEMBERS[name]
    assert len({explain_key(member) for member in members}) == 1
    assert explain_key(members[0]) is not None
    compute = Computations(Models([FolderSource(folder)]), engine)
    together = compute.explain(members, Call())
    for member, result in zip(members, together, strict=True):
        (alone,) = compute.explain([member], Call())
        assert_same(result, alone)
    streams = compute.explain_units_together(members, Call())
    for stream, result in zip(streams, together, strict=True):
        assert stream[0].header.total == np.prod(result.channels.shape)
        scores = [message.unit.score for message in stream if message.WhichOneof("part") == "unit"]
        np.testing.assert_array_equal(scores, tensors.to_array(result.score).ravel())
        notes = [message.note for message in stream if message.WhichOneof("part") == "note"]
        assert notes == list(result.notes)


def test_the_cases_have_different_notes(folder, engine):
    compute = Computations(Models([FolderSource(folder)]), engine)
    for name, text in (("pictures", "stretched"), ("not numbers", "NaN")):
        told = [list(answer.notes) for answer in compute.explain(MEMBERS[name], Call())]
        assert {any(text in note for note in notes) for notes in told} == {True, False}, name


@pytest.mark.parametrize(
    "fields",
    [
        {"method": "smoothgrad"},
        {"method": "rise"},
        {"method": "no method"},
        {"all": True},
        {"top": 9},
        {"region": tensors.from_array(np.ones((16, 16), np.float32))},
        {"positions": tensors.from_array(np.zeros(2, np.int64))},
        {"inputs": [pb.NamedInput(name="image")]},
    ],
    ids=str,
)
def test_what_runs_alone(fields):
    assert explain_key(request(picture(0), **fields)) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "models/any_size"},
        {"layer": "c"},
        {"method": "gradient"},
        {"top": 2},
        {"whole": True},
        {"channels": pb.Channels(channels=[0])},
        {"preprocess": pb.Preprocess(scale=1 / 128)},
        {"negate": True},
        {"channel_axis": 1},
        {"labels": ["a"]},
        {"method_options": pb.MethodOptions(upsample=False)},
        {"return_pictures": True},
    ],
    ids=str,
)
def test_what_differs_does_not_run_together(fields):
    keys = {explain_key(request(picture(i), **chosen)) for i, chosen in enumerate(({}, fields))}
    assert len(keys) == 2
    assert None not in keys
    arrays = [request(network_input(0), layer="c"), request(picture(0), layer="c")]
    assert len({explain_key(one) for one in arrays}) == 2


def behind_one(folder, test, **settings):
    """Run a test whose calls all wait behind a first one."""

    async def main():
        engine = Held()
        async with serving(folder, engine, **settings) as (stub, scheduler):
            first = stub.Explain(request(picture(0)))
            await until(engine.begun.is_set)
            calls = await test(stub)
            await until(lambda: scheduler.waiting == len(calls))
            for call, over in calls.items():
                if over == "cancelled":
                    call.cancel()
            if "expired" in calls.values():
                await asyncio.sleep(0.35)
            engine.gone_on.set()
            await first
            results = await asyncio.gather(*map(answered, calls))
            await until(lambda: scheduler.free == 1)
            return results, engine.images

    return asyncio.run(asyncio.wait_for(main(), 40))


async def answered(call):
    """Return the messages of a call or its status, and its trailing metadata."""
    try:
        answer = [part async for part in call] if hasattr(call, "__aiter__") else await call
    except grpc.aio.AioRpcError as e:
        answer = e.code()
    except asyncio.CancelledError:
        return StatusCode.CANCELLED, {}
    return answer, dict(await call.trailing_metadata() or ())


@pytest.mark.parametrize("kind", ["Explain", "ExplainUnits"])
def test_calls_that_wait_run_together(folder, engine, kind):
    requests = [request(picture(i), method="gradient") for i in range(6)]

    async def test(stub):
        return {getattr(stub, kind)(one): "" for one in requests}

    results, images = behind_one(folder, test, batch=4)
    assert images == [1, 4, 2]
    compute = Computations(Models([FolderSource(folder)]), engine)
    for one, (answer, metadata) in zip(requests, results, strict=True):
        (alone,) = compute.explain([one], Call())
        if kind == "Explain":
            assert_same(answer, alone)
        else:
            (score,) = [part.unit.score for part in answer if part.WhichOneof("part") == "unit"]
            np.testing.assert_allclose(score, tensors.to_array(alone.score)[0, 0], rtol=1e-5)
        assert float(metadata["onnxplain-queue-ms"]) > 0
        assert float(metadata["onnxplain-compute-ms"]) > 0
    assert [metadata["onnxplain-batch"] for _, metadata in results] == ["4"] * 4 + ["2"] * 2
    assert [metadata["onnxplain-cache"] for _, metadata in results] == ["miss"] * 4 + ["hit"] * 2


def test_one_bad_picture_does_not_fail_the_others(folder):
    bad = pb.Image(encoded=b"\x89PNG no picture")

    async def test(stub):
        return {stub.Explain(request(one)): "" for one in (picture(1), bad, picture(2))}

    results, images = behind_one(folder, test)
    assert [getattr(answer, "model", answer) for answer, _ in results] == [
        "models/classifier/versions/1",
        StatusCode.INVALID_ARGUMENT,
        "models/classifier/versions/1",
    ]
    assert images == [1, 2]


@pytest.mark.parametrize("kind", ["Explain", "ExplainUnits"])
@pytest.mark.parametrize("over", ["cancelled", "expired"])
def test_calls_that_are_over_are_not_computed(folder, kind, over):
    async def test(stub):
        timeout = 0.3 if over == "expired" else None
        call = getattr(stub, kind)
        gone = {call(request(picture(i)), timeout=timeout): over for i in range(4)}
        return {**gone, call(request(picture(9))): ""}

    results, images = behind_one(folder, test)
    status = StatusCode.CANCELLED if over == "cancelled" else StatusCode.DEADLINE_EXCEEDED
    assert [answer for answer, _ in results[:4]] == [status] * 4
    assert images == [1, 1]  # the first and the last


def test_metadata_of_a_call_by_itself(folder):
    async def main():
        async with serving(folder, Engine("cpu")) as (stub, _):
            found = []
            for _ in range(2):
                call = stub.Explain(request(picture(0), picture(1), method="rise"))
                found.append((await answered(call))[1])
            listed = await answered(stub.ListLayers(pb.ListLayersRequest(model="models/any_size")))
            return found, listed[1]

    found, listed = asyncio.run(main())
    assert [one["onnxplain-cache"] for one in found] == ["miss", "hit"]
    assert [one["onnxplain-batch"] for one in found] == ["2", "2"]
    assert float(listed["onnxplain-compute-ms"]) > 0
    assert "onnxplain-batch" not in listed
