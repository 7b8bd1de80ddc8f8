"""A service that all tests of a module share, and a stub to call it with.

`stub_here` is for tests that replace parts of the engine: that service has no other processes.
"""

import grpc
import pytest
from server.running import running, write_models

from onnxplain.v1 import explain_pb2_grpc

NO_PROXY = [("grpc.enable_http_proxy", 0)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def address(folder):
    with running(folder) as address:
        yield address


@pytest.fixture(scope="module")
def stub(address):
    with grpc.insecure_channel(address, NO_PROXY) as channel:
        yield explain_pb2_grpc.ExplainServiceStub(channel)


@pytest.fixture(scope="module")
def address_here(folder):
    with running(folder, in_process=True) as address:
        yield address


@pytest.fixture(scope="module")
def stub_here(address_here):
    with grpc.insecure_channel(address_here, NO_PROXY) as channel:
        yield explain_pb2_grpc.ExplainServiceStub(channel)
