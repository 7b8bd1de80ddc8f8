"""The calls that change the store: what is accepted, what is refused, and what stays behind."""

import asyncio
import errno
import hashlib
import io
import os
from pathlib import Path

import grpc
import onnx
import pytest
from grpc import StatusCode
from server.running import CLASSIFIER, HEAVY, model
from server.storing import eventually, header, left_in, pieces, storing, upload

from onnxplain.graphops import read_metadata
from onnxplain.graphops.errors import QuarantinedModel, ServiceError, WorkerDied
from onnxplain.server.edge.store import Store
from onnxplain.v1 import explain_pb2 as pb

DATA = model(CLASSIFIER).SerializeToString()
LARGE = model(HEAVY).SerializeToString()


@pytest.fixture
def folders(tmp_path):
    models, store = tmp_path / "models", tmp_path / "store"
    models.mkdir()
    (models / "classifier.onnx").write_bytes(DATA)
    return models, store


def with_edge(folders, test, **options):
    """Run a test, a coroutine function, against an edge over the two folders."""

    async def main():
        async with storing(*folders, **options) as edge:
            await test(edge)

    asyncio.run(main())


async def refusal(call):
    """Return the status, the kind and the text of a call that fails."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    kinds = dict(failed.value.trailing_metadata())
    return failed.value.code(), kinds["onnxplain-error"], failed.value.details()


def test_an_upload_becomes_the_next_version(folders):
    async def test(edge):
        first = await upload(edge.stub, "models/large", LARGE)
        assert first.model.name == "models/large/versions/1"
        assert first.model.size_bytes == len(LARGE)
        assert [value.name for value in first.model.outputs] == ["score"]
        second = await upload(edge.stub, "models/large", DATA)
        assert second.model.name == "models/large/versions/2"
        named = await upload(edge.stub, "models/large/versions/7", DATA)
        assert named.model.name == "models/large/versions/7"
        assert (await upload(edge.stub, "models/large", DATA)).model.name.endswith("/8")
        response = await edge.stub.ListModels(pb.ListModelsRequest())
        assert [found.name for found in response.models] == [
            "models/classifier/versions/1",
            *(f"models/large/versions/{number}" for number in (1, 2, 7, 8)),
        ]

    with_edge(folders, test)
    assert (folders[1] / "large/1/model.onnx").read_bytes() == LARGE
    assert left_in(folders[1]) == [f"large/{number}/model.onnx" for number in (1, 2, 7, 8)]


def test_versions_of_other_folders_count(folders):
    async def test(edge):
        assert (await upload(edge.stub, "models/classifier", DATA)).model.name.endswith("/2")
        taken = await refusal(upload(edge.stub, "models/classifier/versions/1", DATA))
        assert taken[:2] == (StatusCode.ALREADY_EXISTS, "ModelExists")
        assert "name another version" in taken[2]

    with_edge(folders, test)


def test_a_new_version_serves_once_it_is_open(folders):
    async def test(edge):
        await eventually(lambda: ("Warm", "models/classifier/versions/1") in edge.worker.asked)
        await upload(edge.stub, "models/classifier", DATA)
        await eventually(lambda: ("Warm", "models/classifier/versions/2") in edge.worker.asked)
        async with asyncio.timeout(20):
            while (
                await edge.catalogue.resolve("models/classifier") != "models/classifier/versions/2"
            ):
                await asyncio.sleep(0.01)

    with_edge(folders, test, warm=True)


@pytest.mark.parametrize(
    "name",
    [
        "", "a", "models/", "models/../a", "models/..", "models/.a", "models/a/b", "models/a b",
        "models/a\0", "models/a\n", "models/é", "models/a\\b", "models/" + "a" * 129,
        "models/" + "a" * 2000, "models/a/versions/", "models/a/versions/0", "models/a/versions/01",
        "models/a/versions/-1", "models/a/versions/1e3", "models/a/versions/../1",
        "models/a/versions/" + "9" * 19, "../models/a", "/models/a", "models/a/versions/1/x",
    ],
)  # fmt: skip
def test_no_other_name_is_stored(folders, name):
    async def test(edge):
        code, kind, text = await refusal(upload(edge.stub, name, DATA))
        assert (code, kind) == (StatusCode.INVALID_ARGUMENT, "InputError")
        request = pb.StoreRewriteRequest(rewrite={"model": "models/classifier"}, name=name)
        assert (await refusal(edge.stub.StoreRewrite(request)))[0] is StatusCode.INVALID_ARGUMENT
        assert str(folders[1]) not in text

    with_edge(folders, test)
    assert left_in(folders[1]) == []
    assert sorted(path.name for path in folders[0].parent.iterdir()) == ["models", "store"]


def test_the_longest_name_is_stored(folders):
    name = "models/" + "-" * 127 + "9"

    async def test(edge):
        assert (await upload(edge.stub, name, DATA)).model.name == f"{name}/versions/1"

    with_edge(folders, test)


BAD_STREAMS = {
    "nothing": (lambda: [], "header: it must be the first"),
    "data before the header": (lambda: pieces(DATA), "header: it must be the first"),
    "an empty message first": (lambda: [pb.UploadModelRequest()], "header: it must be the first"),
    "two headers": (lambda: [header("models/a", DATA)] * 2, "every message after the first"),
    "an empty message": (
        lambda: [header("models/a", DATA), pb.UploadModelRequest()],
        "every message after the first",
    ),
    "no data in a message": (
        lambda: [header("models/a", DATA), pb.UploadModelRequest(data=b"")],
        "a message holds 1 to 1048576 bytes",
    ),
    "too much in a message": (
        lambda: [header("models/a", LARGE), *pieces(LARGE, 2**20 + 1)],
        "a message holds 1 to 1048576 bytes",
    ),
    "less than declared": (
        lambda: [header("models/a", LARGE), *pieces(LARGE)[:-1]],
        f"only 1048576 of the {len(LARGE)} bytes",
    ),
    "more than declared": (
        lambda: [header("models/a", DATA, size=len(DATA) - 1), *pieces(DATA)],
        f"more than the {len(DATA) - 1} bytes",
    ),
    "another hash": (
        lambda: [header("models/a", DATA, sha256="0" * 64), *pieces(DATA)],
        "header.sha256: the file that arrived has " + hashlib.sha256(DATA).hexdigest(),
    ),
    "no hash": (lambda: [header("models/a", DATA, sha256="abc")], "64 hexadecimal digits"),
    "no size": (lambda: [header("models/a", DATA, size=0)], "it must be the size of the file"),
    "a negative size": (lambda: [header("models/a", DATA, size=-1)], "it must be the size"),
    "more than allowed": (
        lambda: [header("models/a", DATA, size=3 * 2**20)],
        "3145728 bytes exceed 2097152",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("stream", "said"), BAD_STREAMS.values(), ids=BAD_STREAMS)
def test_a_stream_that_is_no_upload_leaves_nothing(folders, stream, said):
    async def test(edge):
        code, kind, text = await refusal(edge.stub.UploadModel(iter(stream())))
        assert (code, kind) == (StatusCode.INVALID_ARGUMENT, "InputError")
        assert said in text
        assert left_in(folders[1]) == []
        assert (await upload(edge.stub, "models/a", DATA)).model.name == "models/a/versions/1"

    with_edge(folders, test, max_bytes=2**21)


def test_a_model_over_2_gib_is_refused_by_name(folders):
    async def test(edge):
        call = edge.stub.UploadModel(iter([header("models/a", DATA, size=2**31)]))
        code, kind, text = await refusal(call)
        assert (code, kind) == (StatusCode.FAILED_PRECONDITION, "UnsupportedModel")
        assert "2 GiB" in text

    with_edge(folders, test)


def test_an_endless_upload_ends_at_the_declared_size(folders):
    sent = []

    async def endless():
        yield header("models/a", DATA, size=3 * 2**20)
        while True:
            sent.append(1)
            yield pb.UploadModelRequest(data=bytes(2**20))
            await asyncio.sleep(0)

    async def test(edge):
        code, _, text = await refusal(edge.stub.UploadModel(endless()))
        assert code is StatusCode.INVALID_ARGUMENT
        assert "more than the 3145728 bytes" in text
        assert left_in(folders[1]) == []

    with_edge(folders, test)
    assert len(sent) < 100


def test_a_client_that_stops_half_way_leaves_nothing(folders):
    async def test(edge):
        call = edge.stub.UploadModel()
        await call.write(header("models/a", LARGE))
        await call.write(pieces(LARGE)[0])
        await eventually(lambda: len(left_in(folders[1])) == 1)
        call.cancel()
        await eventually(lambda: left_in(folders[1]) == [])
        assert (await upload(edge.stub, "models/a", DATA)).model.name == "models/a/versions/1"

    with_edge(folders, test)


def test_a_client_that_falls_silent_is_given_up(folders, monkeypatch):
    monkeypatch.setattr("onnxplain.server.edge.uploads.IDLE_SECONDS", 0.2)

    async def test(edge):
        call = edge.stub.UploadModel()
        await call.write(header("models/a", LARGE))
        code, kind, text = await refusal(call)
        assert (code, kind) == (StatusCode.DEADLINE_EXCEEDED, "Cancelled")
        assert "nothing of the upload has arrived for 0.2 seconds" in text
        assert left_in(folders[1]) == []

    with_edge(folders, test)


def test_no_more_than_a_few_uploads_at_once(folders):
    async def test(edge):
        calls = [edge.stub.UploadModel(metadata=[("name", "greedy")]) for _ in range(4)]
        for call in calls:
            await call.write(header("models/a", LARGE))
        await eventually(lambda: len(left_in(folders[1])) == 4)
        code, kind, _ = await refusal(upload(edge.stub, "models/a", DATA, by="greedy"))
        assert (code, kind) == (StatusCode.RESOURCE_EXHAUSTED, "QueueFull")
        await upload(edge.stub, "models/b", DATA, by="other")
        for call in calls:
            call.cancel()
        await eventually(lambda: left_in(folders[1]) == ["b/1/model.onnx"])
        await upload(edge.stub, "models/a", DATA, by="greedy")

    with_edge(folders, test)


def test_of_two_uploads_of_one_version_one_wins(folders):
    async def test(edge):
        calls = [upload(edge.stub, "models/a/versions/3", DATA) for _ in range(4)]
        ends = await asyncio.gather(*calls, return_exceptions=True)
        stored = [end for end in ends if isinstance(end, pb.UploadModelResponse)]
        lost = [end for end in ends if isinstance(end, grpc.aio.AioRpcError)]
        assert [end.model.name for end in stored] == ["models/a/versions/3"]
        assert [end.code() for end in lost] == [StatusCode.ALREADY_EXISTS] * 3

    with_edge(folders, test)
    assert left_in(folders[1]) == ["a/3/model.onnx"]


def test_uploads_of_one_name_at_once_have_a_version_each(folders):
    async def test(edge):
        ends = await asyncio.gather(*[upload(edge.stub, "models/a", DATA) for _ in range(4)])
        assert sorted(end.model.name[-1] for end in ends) == list("1234")

    with_edge(folders, test)


def external():
    net = model(CLASSIFIER)
    tensor = net.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, location="../../etc/passwd")
    tensor.ClearField("raw_data")
    return net.SerializeToString()


def parsed(text):
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 18]> {text}')


def custom():
    net = parsed("a (float[1, 3, 4, 4] x) => (float[1, 3, 4, 4] y) { y = mine.Op (x) }")
    net.opset_import.add(domain="mine", version=1)
    return net.SerializeToString()


def compiled():
    net = parsed("a (float[1] x) => (float[1] y) { y = com.microsoft.EPContext (x) }")
    net.opset_import.add(domain="com.microsoft", version=1)
    return net.SerializeToString()


def without_kernel():
    return parsed("a (double[3] x) => (double[3] y) { y = Erf (x) }").SerializeToString()


@pytest.mark.parametrize(
    ("data", "kind", "said"),
    [
        (b"this is no model", "CorruptModel", "not an ONNX model"),
        (DATA[:-100], "CorruptModel", "ONNX"),
        (external(), "UnsafeModel", "stored in another file"),
        (compiled(), "UnsafeModel", "compiled for one device"),
        (custom(), "UnsupportedModel", "mine"),
        (without_kernel(), "UnsupportedModel", "cannot load the graph"),
    ],
    ids=["text", "truncated", "external data", "compiled", "custom domain", "no kernel"],
)
def test_a_file_that_is_no_model_of_its_own_is_refused(folders, data, kind, said):
    async def test(edge):
        code, found, text = await refusal(upload(edge.stub, "models/a", data))
        assert (code, found) == (StatusCode.FAILED_PRECONDITION, kind)
        assert said in text
        assert str(folders[1]) not in text
        assert ".uploads" not in text
        assert left_in(folders[1]) == []

    with_edge(folders, test)


@pytest.mark.parametrize(
    "text",
    [
        "a (float[3, 3] x) => (float y) { y = Det (x) }",
        "a (seq(float) x) => (float y) { i = Constant <value: tensor = int64 {0}> () "
        "y = SequenceAt (x, i) }",
    ],
    ids=["no layer that is explained", "no tensor"],
)
def test_a_model_that_runs_but_cannot_be_explained_is_stored(folders, text):
    async def test(edge):
        stored = await upload(edge.stub, "models/a", parsed(text).SerializeToString())
        assert stored.model.name == "models/a/versions/1"

    with_edge(folders, test)


def test_a_version_is_removed_with_its_folder(folders):
    async def test(edge):
        for _ in range(2):
            await upload(edge.stub, "models/a", DATA)
        await edge.stub.DeleteModel(pb.DeleteModelRequest(name="models/a/versions/1"))
        assert left_in(folders[1]) == ["a/2/model.onnx"]
        again = edge.stub.DeleteModel(pb.DeleteModelRequest(name="models/a/versions/1"))
        assert (await refusal(again))[0] is StatusCode.NOT_FOUND
        await edge.stub.DeleteModel(pb.DeleteModelRequest(name="models/a/versions/2"))
        assert not (folders[1] / "a").exists()
        assert (await upload(edge.stub, "models/a", DATA)).model.name == "models/a/versions/1"

    with_edge(folders, test)


def test_of_two_removals_of_one_version_one_finds_nothing(folders):
    async def test(edge):
        await upload(edge.stub, "models/a", DATA)
        request = pb.DeleteModelRequest(name="models/a/versions/1")
        calls = [edge.stub.DeleteModel(request) for _ in range(6)]
        ends = await asyncio.gather(*calls, return_exceptions=True)
        lost = [end.code() for end in ends if isinstance(end, grpc.aio.AioRpcError)]
        assert lost == [StatusCode.NOT_FOUND] * 5

    with_edge(folders, test)


def test_a_full_disk_is_told_and_nothing_left(folders, monkeypatch):
    def full(self, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/secret/path")

    async def test(edge):
        opened = Path.open

        def opening(path, mode="r", *rest, **others):
            file = opened(path, mode, *rest, **others)
            return Full(file) if mode == "wb" else file

        class Full(io.BufferedWriter):
            def __init__(self, file):
                super().__init__(file.detach())

            write = full

        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", opening)
            _, kind, text = await refusal(upload(edge.stub, "models/a", DATA))
        assert (kind, text) == (
            "OutputError",
            "the model cannot be written: No space left on device",
        )
        assert left_in(folders[1]) == []
        await upload(edge.stub, "models/a", DATA)

    with_edge(folders, test)


def test_what_is_not_in_the_store_is_not_removed(folders):
    async def test(edge):
        def removing(name):
            return refusal(edge.stub.DeleteModel(pb.DeleteModelRequest(name=name)))

        code, _, text = await removing("models/classifier/versions/1")
        assert code is StatusCode.INVALID_ARGUMENT
        assert "comes from a folder of the service that is not its store" in text
        assert str(folders[0]) not in text
        assert "write which version" in (await removing("models/classifier"))[2]
        for name in ("models/../versions/1", "models/./versions/1", "models/.uploads/versions/1"):
            assert (await removing(name))[0] is StatusCode.NOT_FOUND

    with_edge(folders, test)
    assert (folders[0] / "classifier.onnx").exists()


def test_a_link_of_the_store_is_left_to_those_who_made_it(folders, tmp_path):
    outside = tmp_path / "outside"
    (outside / "1").mkdir(parents=True)
    (outside / "1/model.onnx").write_bytes(DATA)
    folders[1].mkdir()
    (folders[1] / "linked").symlink_to(outside)
    (folders[1] / "own").mkdir()
    (folders[1] / "own/1").symlink_to(outside / "1")

    async def test(edge):
        call = upload(edge.stub, "models/linked", DATA)
        assert "is a link of the store to another place" in (await refusal(call))[2]
        linked = pb.DeleteModelRequest(name="models/linked/versions/1")
        assert "is a link of the store" in (await refusal(edge.stub.DeleteModel(linked)))[2]
        await edge.stub.DeleteModel(pb.DeleteModelRequest(name="models/own/versions/1"))

    with_edge(folders, test)
    assert left_in(outside) == ["1/model.onnx"]
    assert sorted(path.name for path in folders[1].iterdir()) == [".uploads", "linked"]


def test_an_artefact_is_stored_with_its_origin(folders):
    async def test(edge):
        rewriting = pb.RewriteRequest(model="models/classifier", layer="r", method="gradient")
        request = pb.StoreRewriteRequest(rewrite=rewriting, name="models/explained")
        stored = (await edge.stub.StoreRewrite(request)).model
        assert stored.name == "models/explained/versions/1"
        assert stored.source_model == "models/classifier/versions/1"
        described = await edge.stub.GetModel(pb.GetModelRequest(name=stored.name))
        assert described == stored
        known = ("source_model", "source_sha256", "method", "layer", "options", "version")
        assert all(f"onnxplain.{key}" in stored.metadata for key in known)
        assert stored.metadata["onnxplain.method"] == "gradient"
        file = onnx.load(folders[1] / "explained/1/model.onnx")
        assert read_metadata(file) == dict(stored.metadata)
        request.rewrite.layer = "nowhere"
        code, kind, _ = await refusal(edge.stub.StoreRewrite(request))
        assert (code, kind) == (StatusCode.NOT_FOUND, "UnknownLayer")
        request.rewrite.model = "models/nothing"
        assert (await refusal(edge.stub.StoreRewrite(request)))[1] == "MissingModel"

    with_edge(folders, test)
    assert left_in(folders[1]) == ["explained/1/model.onnx"]


def test_without_a_store_the_errors_say_how_to_have_one(folders):
    async def test(edge):
        for call in (
            upload(edge.stub, "models/a", DATA),
            edge.stub.DeleteModel(pb.DeleteModelRequest(name="models/classifier/versions/1")),
            edge.stub.StoreRewrite(pb.StoreRewriteRequest()),
        ):
            code, _, text = await refusal(call)
            assert code is StatusCode.UNIMPLEMENTED
            assert "start it with `--store FOLDER`" in text

    with_edge((folders[0], None), test)


def test_problems_of_the_edge_are_listed(folders):
    name = "models/classifier/versions/1"

    async def test(edge):
        assert (
            await edge.stub.GetModel(pb.GetModelRequest(name="models/classifier"))
        ).problem == ""
        edge.quarantined[name] = "it is in quarantine"
        (found,) = (await edge.stub.ListModels(pb.ListModelsRequest())).models
        assert (found.name, found.problem) == (name, "it is in quarantine")

    with_edge(folders, test)


def test_a_model_that_kills_its_worker_leaves_the_others_listed(folders):
    killer = "models/classifier/versions/1"

    async def test(edge):
        await upload(edge.stub, "models/b", DATA)
        edge.worker.failures[("ListModels", "models")] = WorkerDied("the worker died")
        edge.worker.failures[("GetModel", killer)] = QuarantinedModel("it kills workers")
        response = await edge.stub.ListModels(pb.ListModelsRequest(page_size=2))
        assert [(found.name, found.problem) for found in response.models] == [
            ("models/b/versions/1", ""),
            (killer, "it kills workers"),
        ]
        assert response.next_page_token == ""
        assert len(response.models[0].outputs) == 1

    with_edge(folders, test)


def test_models_are_listed_in_pages(folders):
    async def test(edge):
        for name in ("a", "b", "z"):
            await upload(edge.stub, f"models/{name}", DATA)
        first = await edge.stub.ListModels(pb.ListModelsRequest(page_size=2))
        await edge.stub.DeleteModel(pb.DeleteModelRequest(name="models/a/versions/1"))
        request = pb.ListModelsRequest(page_size=2, page_token=first.next_page_token)
        second = await edge.stub.ListModels(request)
        names = [found.name.split("/")[1] for found in [*first.models, *second.models]]
        assert names == ["a", "b", "classifier", "z"]
        assert second.next_page_token == ""
        call = edge.stub.ListModels(pb.ListModelsRequest(page_token="another"))
        code, _, text = await refusal(call)
        assert code is StatusCode.INVALID_ARGUMENT
        assert text.startswith("page_token: ")

    with_edge(folders, test)


def test_what_a_process_that_ended_had_staged_is_removed(tmp_path):
    folder = tmp_path / "store"
    ended, running = Store(folder), Store(folder)
    with ended.stage() as staged, running.stage() as other:
        staged.write(b"half a model")
        other.write(b"half of another")
        other.sync()
        staged.sync()
        remains = folder / ".uploads/abandoned/x/model.onnx"
        remains.parent.mkdir(parents=True)
        remains.write_bytes(b"half a model")
        third = Store(folder)
        assert left_in(folder) == sorted([staged.name, other.name])
        third.close()
    ended.close()
    running.close()
    assert left_in(folder) == []


def test_a_store_that_cannot_be_written_is_told_at_the_start(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ServiceError, match="cannot write to the store"):
        Store(tmp_path / "file")
