"""Uploads, deletes and stored rewrites, against a service that keeps what it was sent."""

import hashlib

import pytest
from client.scripted import CALLS, Failure, Scripted, serving
from grpc import StatusCode

from onnxplain.client import errors
from onnxplain.v1 import explain_pb2 as pb

DATA = bytes(range(256)) * 10_000  # 2.5 MB: three pieces


class Store(Scripted):
    """Keeps the requests."""

    def __init__(self, script=()):
        super().__init__(script)
        self.uploads = []
        self.requests = []

    def UploadModel(self, request_iterator, context):
        self._called("UploadModel", context)
        self.uploads.append(list(request_iterator))
        return pb.UploadModelResponse(model=pb.Model(name="models/net/versions/3"))

    def DeleteModel(self, request, context):
        self.requests.append(request)
        return pb.DeleteModelResponse()

    def StoreRewrite(self, request, context):
        self.requests.append(request)
        return pb.StoreRewriteResponse(model=pb.Model(name=request.name))


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("from_file", [True, False])
def test_upload(call, from_file, tmp_path):
    service, told = Store(), []
    (tmp_path / "net.onnx").write_bytes(DATA)
    source = tmp_path / "net.onnx" if from_file else DATA
    with serving(service) as address:
        model = call(address, "upload", "net", source, lambda *state: told.append(state))
    assert model.name == "models/net/versions/3"
    header, *pieces = service.uploads[0]
    assert header.header == pb.UploadHeader(
        model="models/net", size_bytes=len(DATA), sha256=hashlib.sha256(DATA).hexdigest()
    )
    assert b"".join(piece.data for piece in pieces) == DATA
    assert [len(piece.data) for piece in pieces] == [2**20, 2**20, len(DATA) - 2**21]
    assert told == [(2**20, len(DATA)), (2**21, len(DATA)), (len(DATA), len(DATA))]


@pytest.mark.parametrize("call", CALLS)
def test_an_upload_is_repeated_from_its_beginning(call):
    service = Store([Failure(StatusCode.UNAVAILABLE, "NoWorker")])
    with serving(service) as address:
        call(address, "upload", "net", DATA)
    assert len(service.calls) == 2
    assert b"".join(piece.data for piece in service.uploads[0]) == DATA


@pytest.mark.parametrize("call", CALLS)
def test_an_upload_that_is_refused(call):
    service = Store([Failure(StatusCode.ALREADY_EXISTS, "ModelExists")])
    with serving(service) as address, pytest.raises(errors.AlreadyExistsError):
        call(address, "upload", "net/versions/1", DATA)
    assert len(service.calls) == 1


@pytest.mark.parametrize("call", CALLS)
def test_files_that_cannot_be_read(call, tmp_path):
    with pytest.raises(errors.NotFoundError, match="no file '.*nowhere.onnx'"):
        call("127.0.0.1:1", "upload", "net", tmp_path / "nowhere.onnx")
    with pytest.raises(errors.InvalidArgumentError, match="cannot read"):
        call("127.0.0.1:1", "upload", "net", tmp_path)


@pytest.mark.parametrize("call", CALLS)
def test_delete_and_store_rewrite(call):
    service = Store()
    with serving(service) as address:
        assert call(address, "delete", "net/versions/2") is None
        model = call(address, "store_rewrite", "seen", "net", "conv5", "gradient")
    assert model.name == "models/seen"
    deleted, stored = service.requests
    assert deleted == pb.DeleteModelRequest(name="models/net/versions/2")
    assert stored == pb.StoreRewriteRequest(
        name="models/seen",
        rewrite=pb.RewriteRequest(model="models/net", layer="conv5", method="gradient"),
    )
