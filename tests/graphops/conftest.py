"""Runs the tests of what artefacts compute on both lowerings.

In a test's `fast` run, fast is the default of `Options`, and a block of ONNX Runtime's layout has
one channel instead of 16, so that the tests' small networks are lowered as large ones are. Of the
many tests of operators and methods a fifth runs `fast`; with ONNXPLAIN_PROPERTY_CASES set, as by
`make test-all`, every one does.
"""

import os
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import pytest

from onnxplain.graphops.lowering import blocked, flipped_convolution
from onnxplain.graphops.options import GENERAL, LOWERING, LOWERINGS

BLOCK = blocked.BLOCK
FOLDER = Path(__file__).parent
MANY = ("operators/", "methods/")
BOTH = ("backward/test_contract", "test_parity_families", *MANY)
WITHOUT_ARTEFACTS = ("operators/test_facts",)
ALL = "ONNXPLAIN_PROPERTY_CASES" in os.environ


@pytest.fixture(autouse=True)
def lowering(request, monkeypatch):
    """The lowering that is the default in the test."""
    chosen = getattr(request, "param", "plain")
    if chosen == "fast":
        monkeypatch.setitem(GENERAL, "lowering", replace(LOWERING, default="fast"))
        for module in (blocked, flipped_convolution):
            monkeypatch.setattr(module, "BLOCK", 1)
    return chosen


@pytest.fixture
def whole_blocks(lowering, monkeypatch):
    """In `fast` runs, the blocks of 16 channels that users have."""
    for module in (blocked, flipped_convolution):
        monkeypatch.setattr(module, "BLOCK", BLOCK)


def pytest_generate_tests(metafunc):
    name = _name(metafunc.module.__file__)
    if name.startswith(BOTH) and not name.startswith(WITHOUT_ARTEFACTS):
        metafunc.parametrize("lowering", LOWERINGS, indirect=True)


def pytest_collection_modifyitems(config, items):
    left_out = [item for item in items if _is_spare(item)]
    if left_out and not ALL:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not _is_spare(item)]


def _is_spare(item):
    """Tell whether a test is one of the four in five fast runs that only `make test-all` makes."""
    chosen = item.callspec.params.get("lowering") if hasattr(item, "callspec") else None
    if chosen != "fast" or not _name(item.path).startswith(MANY):
        return False
    return "test_property" not in item.nodeid and crc32(item.nodeid.encode()) % 5 > 0


def _name(path):
    path = Path(path)
    return path.relative_to(FOLDER).as_posix() if path.is_relative_to(FOLDER) else ""
