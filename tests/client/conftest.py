"""A service that all tests of a module share, and a client of it."""

import pytest
from server.running import running, write_models

from onnxplain.client import Client


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def address(folder):
    with running(folder) as address:
        yield address


@pytest.fixture
def client(address):
    with Client(address, timeout=60) as client:
        yield client
