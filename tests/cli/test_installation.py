"""The command line without ONNX Runtime, and with two wheels of it."""

import importlib.metadata
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from cli.running import Run

from onnxplain.engine.runtime import installation

EXTRAS = ("onnxplain[gpu]", "onnxplain[cuda]", "onnxplain[cpu]")


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Look for ONNX Runtime anew, before and after each test."""
    forget()
    yield
    forget()


def forget() -> None:
    installation.onnx_runtime.cache_clear()
    installation.warn_of_two_wheels.cache_clear()


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no ONNX Runtime."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)


@pytest.mark.usefixtures("missing")
@pytest.mark.parametrize(
    "command",
    [
        "explain net.onnx cat.png",
        "explain net.onnx cat.png --method gradient,grad_cam",
        "explain net.onnx cat.png --method occlusion",
        "top net.onnx . --layer pool --channel 0",
        "training net.onnx --image cat.png --layer pool --channel 0",
        "invariance net.onnx cat.png --layer pool",
        "occlusion net.onnx cat.png",
        "slide net.onnx cat.png",
        "evaluate net.onnx cat.png",
        "serve --in-process --models . --listen 127.0.0.1:0",
    ],
)
def test_what_needs_it_names_the_extras(
    run: Run, network: Path, picture: Path, command: str
) -> None:
    files = {"net.onnx": str(network), "cat.png": str(picture), ".": str(picture.parent)}
    result = run(*(files.get(word, word) for word in command.split()))
    assert result.code == 1
    assert "ONNX Runtime is not installed" in result.error_line
    assert all(extra in result.error_line for extra in EXTRAS)


def test_workers_that_lack_it_end_the_service(
    network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "without").mkdir()
    (tmp_path / "without/onnxruntime.py").write_text("raise ModuleNotFoundError(name=__name__)")
    path = [str(tmp_path / "without"), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    command = [sys.executable, "-m", "onnxplain.cli", "serve", "--models", str(network.parent)]
    done = subprocess.run(
        [*command, "--listen", "127.0.0.1:0"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "ONNX Runtime" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.usefixtures("missing")
def test_the_rest_works(run: Run, network: Path) -> None:
    for command in (
        ["--help"],
        ["--version"],
        ["methods"],
        ["layers", network],
        ["check", network, "--layer", "pool"],
        ["rewrite", network, "--layer", "pool", "--no-verify", "-o", "out.onnx"],
    ):
        result = run(*command)
        assert (result.code, result.error) == (0, "")
    onnx.checker.check_model(onnx.load("out.onnx"), full_check=True)


@pytest.mark.usefixtures("missing")
def test_rewrite_says_what_it_could_not_try(run: Run, network: Path) -> None:
    result = run("rewrite", network, "--layer", "pool", "-o", "out.onnx")
    assert result.code == 0
    assert Path("out.onnx").exists()
    assert "the model was not tried (`--no-verify` skips that): ONNX Runtime" in result.error
    assert all(extra in result.error for extra in EXTRAS)
    assert result.error.startswith("onnxplain: warning: ")
    assert result.error.count("\n") == 1


def test_two_wheels_are_one_line_on_stderr(
    run: Run, network: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.metadata.distribution
    monkeypatch.setattr(
        importlib.metadata,
        "distribution",
        lambda name: real("numpy" if name.startswith("onnxruntime") else name),
    )
    warnings.simplefilter("always")  # pytest makes them errors, and restores the filters
    command = ["explain", network, picture, "--preprocess", "raw"]
    first, again = run(*command), run(*command)
    assert (first.code, again.code) == (0, 0)
    assert first.error.count("onnxplain: warning: ") == 1
    assert "both installed" in first.error and "pip uninstall" in first.error
    assert again.error == ""
