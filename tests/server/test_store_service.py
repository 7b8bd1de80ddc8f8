"""The store of a whole service: its models serve, and an edge that is killed loses none."""

import asyncio
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager

import grpc
import onnx
import pytest
from server.running import ANY_SIZE, CLASSIFIER, event_loop, model, pixels, running
from server.storing import NO_PROXY, header, left_in, pieces

from onnxplain.server import Settings, start_settings
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import explain_pb2_grpc, tensors, worker_pb2, worker_pb2_grpc

DATA = model(CLASSIFIER).SerializeToString()
OTHER = model(CLASSIFIER, seed=1).SerializeToString()
PICTURE = pb.Image(pixels=tensors.from_array(pixels()))

PROGRAM = """
import sys
from pathlib import Path
from onnxplain.server import Settings, serve_settings

models, store = map(Path, sys.argv[1:])
settings = Settings((models,), store, listen=("127.0.0.1:0",), device=("cpu",), warm=False)
serve_settings(settings, lambda address: print(address, flush=True))
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    models, store = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("store")
    (models / "classifier.onnx").write_bytes(DATA)
    return models, store


@pytest.fixture(scope="module")
def channel(folders):
    with event_loop() as loop:

        def wait(coroutine):
            return asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)

        models, store = folders
        settings = Settings((models,), store, listen=("127.0.0.1:0",), device=("cpu",))
        service = wait(start_settings(settings))
        try:
            with grpc.insecure_channel(service.address, NO_PROXY) as channel:
                yield channel
        finally:
            wait(service.stop(0))


@pytest.fixture(scope="module")
def stub(channel):
    return explain_pb2_grpc.ExplainServiceStub(channel)


def upload(stub, name, data):
    return stub.UploadModel(iter([header(name, data), *pieces(data)])).model


def score(stub, name):
    """Return the name of the version that explained a picture, and the unit's score."""
    response = stub.Explain(pb.ExplainRequest(model=name, images=[PICTURE], method="gradient"))
    return response.model, tensors.to_array(response.score).item()


def eventually(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_an_uploaded_version_takes_over_once_it_is_open(stub):
    before = score(stub, "models/classifier")
    assert before[0] == "models/classifier/versions/1"
    uploaded = upload(stub, "models/classifier", OTHER)
    assert uploaded.name == "models/classifier/versions/2"
    eventually(lambda: score(stub, "models/classifier")[0] == uploaded.name)
    assert score(stub, "models/classifier")[1] != before[1]
    assert score(stub, "models/classifier/versions/1") == before


def test_a_file_that_an_admin_adds_takes_over_and_a_bad_one_does_not(stub, folders):
    for number, text in ((1, CLASSIFIER), (2, ANY_SIZE)):
        folder = folders[0] / "own" / str(number)
        folder.mkdir(parents=True)
        onnx.save(model(text), folder / "model.onnx")
        eventually(lambda n=number: newest(stub) == f"models/own/versions/{n}")
    bad = folders[0] / "own/3"
    bad.mkdir()
    (bad / "model.onnx").write_bytes(b"this is no model")
    third = pb.GetModelRequest(name="models/own/versions/3")
    eventually(lambda: "is not an ONNX model" in stub.GetModel(third).problem)
    assert newest(stub) == "models/own/versions/2"
    listed = {found.name: found.problem for found in stub.ListModels(pb.ListModelsRequest()).models}
    assert "is not an ONNX model" in listed[third.name]
    assert listed["models/own/versions/2"] == ""


def newest(stub):
    try:
        return stub.GetModel(pb.GetModelRequest(name="models/own")).name
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.NOT_FOUND
        return ""


def test_a_stored_artefact_is_a_model_and_goes_again(stub):
    rewriting = pb.RewriteRequest(model="models/classifier/versions/1", method="gradient")
    request = pb.StoreRewriteRequest(rewrite=rewriting, name="models/artefact")
    stored = stub.StoreRewrite(request).model
    assert stored.source_model == "models/classifier/versions/1"
    assert "attribution" in [value.name for value in stored.outputs]
    assert stub.GetModel(pb.GetModelRequest(name="models/artefact")) == stored
    stub.DeleteModel(pb.DeleteModelRequest(name=stored.name))
    with pytest.raises(grpc.RpcError) as missing:
        stub.GetModel(pb.GetModelRequest(name="models/artefact"))
    assert missing.value.code() is grpc.StatusCode.NOT_FOUND


def test_the_edges_own_questions_are_not_for_clients(channel):
    inner = worker_pb2_grpc.WorkerServiceStub(channel)
    for call, request in (
        (inner.Inspect, worker_pb2.InspectRequest(file="classifier/2/model.onnx", name="x")),
        (inner.Warm, worker_pb2.WarmRequest(model="models/classifier/versions/1")),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            call(request)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_service_in_one_process_says_that_it_stores_nothing(folders):
    with (
        running(folders[0], in_process=True) as address,
        grpc.insecure_channel(address, NO_PROXY) as channel,
    ):
        alone = explain_pb2_grpc.ExplainServiceStub(channel)
        for call in (
            lambda: upload(alone, "models/a", DATA),
            lambda: alone.DeleteModel(pb.DeleteModelRequest(name="models/a/versions/1")),
            lambda: alone.StoreRewrite(pb.StoreRewriteRequest()),
        ):
            with pytest.raises(grpc.RpcError) as refused:
                call()
            assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
            assert "--in-process" in refused.value.details()
        page = alone.ListModels(pb.ListModelsRequest(page_size=1))
        assert (len(page.models), page.next_page_token != "") == (1, True)
        warm = worker_pb2_grpc.WorkerServiceStub(channel).Warm
        with pytest.raises(grpc.RpcError) as refused:
            warm(worker_pb2.WarmRequest(model="models/classifier"))
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


@contextmanager
def process(folders):
    """Run a service in a process of its own, and give the process and the address."""
    command = [sys.executable, "-c", PROGRAM, *map(str, folders)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        try:
            yield program, program.stdout.readline().strip()
        finally:
            program.kill()


@asynccontextmanager
async def half_an_upload(address, name):
    async with grpc.aio.insecure_channel(address, NO_PROXY) as channel:
        call = explain_pb2_grpc.ExplainServiceStub(channel).UploadModel()
        await call.write(header(name, DATA))
        await call.write(pb.UploadModelRequest(data=DATA[:1000]))
        yield call


def test_an_edge_killed_in_mid_upload_loses_that_call_alone(tmp_path):
    folders = tmp_path / "models", tmp_path / "store"
    folders[0].mkdir()

    async def kill_in_mid_upload(program, address):
        async with half_an_upload(address, "models/b") as call:
            async with asyncio.timeout(30):
                while len(left_in(folders[1])) < 2:
                    await asyncio.sleep(0.01)
            program.send_signal(signal.SIGKILL)
            with pytest.raises(grpc.aio.AioRpcError) as lost:
                await call
            assert lost.value.code() is grpc.StatusCode.UNAVAILABLE

    with process(folders) as (program, address):
        with grpc.insecure_channel(address, NO_PROXY) as channel:
            upload(explain_pb2_grpc.ExplainServiceStub(channel), "models/a", DATA)
        asyncio.run(kill_in_mid_upload(program, address))
    assert len(left_in(folders[1])) == 2
    with process(folders) as (_, address), grpc.insecure_channel(address, NO_PROXY) as channel:
        stub = explain_pb2_grpc.ExplainServiceStub(channel)
        assert left_in(folders[1]) == ["a/1/model.onnx"]
        (found,) = stub.ListModels(pb.ListModelsRequest()).models
        assert (found.name, found.problem) == ("models/a/versions/1", "")
        assert score(stub, "models/a")[0] == "models/a/versions/1"
        assert upload(stub, "models/b", DATA).name == "models/b/versions/1"
