"""ONNX Runtime missing, too old, broken, or installed twice: what is said, and what works."""

import importlib.metadata
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from onnxplain.engine import Engine, InstallationWarning
from onnxplain.engine.runtime import Session, Stop, installation
from onnxplain.graphops.errors import DeviceError, MissingRuntime

ROOT = Path(__file__).parents[3]
MODEL = str(ROOT / "examples/shapes.onnx")
PICTURE = str(ROOT / "examples/pictures/star_1.png")
EXTRAS = ("onnxplain[gpu]", "onnxplain[cuda]", "onnxplain[cpu]")
RELU = '<ir_version: 8, opset_import: ["": 17]> net (float[N] x) => (float[N] y) { y = Relu (x) }'

# Imports every module of every package where ONNX Runtime is not to be had.
EVERY_MODULE = """
import importlib, pkgutil, sys
import onnxplain
sys.modules["onnxruntime"] = None
for found in pkgutil.walk_packages(onnxplain.__path__, "onnxplain."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
print(len([name for name in sys.modules if name.startswith("onnxplain.")]))
"""

CALLS = """
import sys
sys.modules["onnxruntime"] = None
from onnxplain.engine import explain, verify
from onnxplain.graphops import load
from onnxplain.graphops.errors import MissingRuntime
model = load(sys.argv[1])
for call in (lambda: explain(*sys.argv[1:]), lambda: verify(model, model)):
    try:
        call()
    except MissingRuntime as error:
        print(error)
"""


@pytest.fixture(autouse=True)
def fresh():
    """Look for ONNX Runtime anew, before and after each test."""
    forget()
    yield
    forget()


def forget():
    installation.onnx_runtime.cache_clear()
    installation.warn_of_two_wheels.cache_clear()


def install(monkeypatch, *wheels):
    """Have these distributions of ONNX Runtime, and no others."""
    real = importlib.metadata.distribution

    def distribution(name):
        if name.startswith("onnxruntime") and name not in wheels:
            raise importlib.metadata.PackageNotFoundError(name)
        return None if name in wheels else real(name)

    monkeypatch.setattr(importlib.metadata, "distribution", distribution)


def test_every_module_is_imported_without_onnx_runtime():
    done = subprocess.run(
        [sys.executable, "-c", EVERY_MODULE], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    sources = [
        p for d in ("graphops", "service", "clients/python") for p in (ROOT / d).rglob("*.py")
    ]
    assert int(done.stdout) > 0.9 * len(sources)


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda"])
def test_an_engine_names_the_extras(monkeypatch, device):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingRuntime, match="ONNX Runtime is not installed") as caught:
        Engine(device)
    assert all(extra in str(caught.value) for extra in EXTRAS)
    assert isinstance(caught.value, DeviceError)


def test_the_shared_engine_and_verify_say_the_same():
    done = subprocess.run(
        [sys.executable, "-c", CALLS, MODEL, PICTURE], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    first, second = done.stdout.splitlines()
    assert first == second
    assert all(extra in first for extra in EXTRAS)


def test_an_old_one_is_named_with_the_extra_that_replaces_it(monkeypatch):
    monkeypatch.setattr(onnxruntime, "__version__", "1.30.2")
    install(monkeypatch, "onnxruntime")
    with pytest.raises(MissingRuntime, match=r"1\.30\.2 is too old.* 1\.31 .*onnxplain\[cpu\]"):
        Engine()
    install(monkeypatch, "onnxruntime-gpu")
    with pytest.raises(MissingRuntime, match=r"onnxplain\[gpu\]"):
        Engine()
    install(monkeypatch)  # another distribution, or a build of one's own
    with pytest.raises(MissingRuntime, match=r"1\.31 or newer$"):
        Engine()


@pytest.mark.parametrize("version", ["1.31.0", "1.40.0.dev20270101", "2.0.1", "unknown"])
def test_a_newer_one_is_used(monkeypatch, version):
    monkeypatch.setattr(onnxruntime, "__version__", version)
    assert installation.onnx_runtime() is onnxruntime


def test_the_oldest_version_is_the_extras_own():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [project["optional-dependencies"][name] for name in ("gpu", "cuda", "cpu")]
    oldest = ".".join(map(str, installation.OLDEST))
    assert all(f">={oldest}" in requirement for extra in extras for requirement in extra)
    assert not [d for d in project["dependencies"] if d.startswith("onnxruntime")]


def test_one_of_which_another_wheel_left_only_the_folder(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", types.ModuleType("onnxruntime"))
    with pytest.raises(MissingRuntime, match="in part only: `pip uninstall"):
        Engine()


def test_one_that_cannot_be_loaded(monkeypatch):
    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "onnxruntime":
                raise ImportError("libstdc++.so.6: version `GLIBCXX_3.4.99' not found")

    monkeypatch.delitem(sys.modules, "onnxruntime")
    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    with pytest.raises(MissingRuntime, match="cannot be imported: libstdc.*GLIBCXX.*to install"):
        Engine()


def test_two_wheels_are_one_warning_with_the_cure(monkeypatch):
    install(monkeypatch, "onnxruntime", "onnxruntime-gpu")
    Engine("cpu")  # opens no session yet
    with pytest.warns(InstallationWarning, match="both installed.*pip uninstall.*gpu") as caught:
        results = [run() for _ in range(2)]
    assert len(caught) == 1
    assert results == [[0, 2], [0, 2]]


@pytest.mark.parametrize("wheel", ["onnxruntime", "onnxruntime-gpu"])
def test_one_wheel_is_no_warning(monkeypatch, wheel):
    install(monkeypatch, wheel)
    assert run() == [0, 2]


def run():
    session = Session(onnx.parser.parse_model(RELU), "cpu")
    (y,) = session.run({"x": np.array([-1, 2], np.float32)}, ["y"], Stop())
    return y.tolist()
