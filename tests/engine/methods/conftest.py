"""The engines that the methods' tests run on."""

import pytest

from onnxplain.engine import Engine


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu", threads=1)


@pytest.fixture(scope="module")
def tight():
    """An engine that has room for one row in each run."""
    return Engine("cpu", threads=1, memory_bytes=1)
