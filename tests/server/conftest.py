"""A service that all tests of a module share, and a stub to call it with."""

import grpc
import pytest
from server.running import running, write_models

from onnxplain.v1 import explain_pb2_grpc


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def address(folder, request):
    with running(folder, getattr(request.module, "IN_PROCESS", False)) as address:
        yield address


@pytest.fixture(scope="module")
def stub(address):
    with grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
        yield explain_pb2_grpc.ExplainServiceStub(channel)
