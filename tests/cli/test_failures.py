"""Every way to fail: its exit code, its one line, and that nothing is left behind."""

import errno
import inspect
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.running import Run, write_model

from onnxplain.cli import failures
from onnxplain.cli.commands import layers
from onnxplain.graphops import errors

UNSUPPORTED = """
<ir_version: 8, opset_import: ["": 17, "acme": 1]>
net (float[N, 3, 16, 16] image) => (float[N, 3, 16, 16] y)
<float[N, 3, 16, 16] h>
{ a = Relu (image)  [odd] h = acme.Magic (a)  y = Relu (h) }
"""
LAYER = ["--layer", "pool"]


@pytest.fixture(autouse=True)
def nothing_left_behind(tmp_path: Path) -> Iterator[None]:
    """Compare the files before and after every test here."""
    yield
    known = {"net.onnx", "cat.png", "bad.onnx", "text.png"}
    assert {p.name for p in tmp_path.rglob("*") if p.is_file()} <= known


def commands(model: object, picture: object, *flags: object) -> list[list[object]]:
    """Every command that takes a layer of a model."""
    return [
        ["check", model, *flags],
        ["rewrite", model, *flags, "-o", "out.onnx"],
        ["explain", model, picture, *flags, "-o", "out.png", "--npz", "out.npz"],
    ]


def test_wrong_layer(run: Run, network: Path, picture: Path) -> None:
    for command in commands(network, picture, "--layer", "pol"):
        result = run(*command)
        assert result.code == 2
        assert "no layer 'pol'" in result.error_line
        assert "'pool'" in result.error_line


def test_wrong_method(run: Run, network: Path, picture: Path) -> None:
    for command in commands(network, picture, *LAYER, "--method", "deconv"):
        result = run(*command)
        assert result.code == 2
        assert "no method 'deconv'" in result.error_line
        assert "'deconvnet'" in result.error_line


@pytest.mark.parametrize(
    "flags", [["--unpool", "glue"], ["--to", "nowhere"], ["--channel-axis", "9"]]
)
def test_wrong_options(run: Run, network: Path, picture: Path, flags: list[str]) -> None:
    for command in commands(network, picture, *LAYER, *flags):
        result = run(*command)
        assert result.code == 2, command
        assert result.error_line


def test_channel_out_of_range(run: Run, network: Path, picture: Path) -> None:
    for command in commands(network, picture, *LAYER, "--channel", "1,4")[1:]:
        result = run(*command)
        assert result.code == 2
        assert "4" in result.error_line
    result = run("explain", network, picture, *LAYER, "--channel", "top:5")
    assert result.code == 2
    assert "top:5" in result.error_line


def test_wrong_select(run: Run, network: Path) -> None:
    for flags in (["--select", "some"], ["--select", "fixed"], ["--select", "seed", "--channel=1"]):
        result = run("rewrite", network, *LAYER, *flags, "-o", "out.onnx")
        assert result.code == 2
        assert result.error_line


def test_wrong_target(run: Run, network: Path) -> None:
    for command in (["rewrite", network, "-o", "out.onnx"], ["check", network]):
        result = run(*command, "--target", "openvinno")
        assert result.code == 2
        assert "no target 'openvinno'" in result.error_line
        assert "'openvino'" in result.error_line


def test_wrong_device(run: Run, network: Path, picture: Path) -> None:
    result = run("explain", network, picture, "--device", "gpu")
    assert result.code == 2
    assert "no device 'gpu'" in result.error_line


@pytest.mark.parametrize("cut", [0, 1, 200, 5000])
def test_model_cut_short(run: Run, network: Path, picture: Path, tmp_path: Path, cut: int) -> None:
    model = tmp_path / "bad.onnx"
    model.write_bytes(network.read_bytes()[:cut])
    for command in (["layers", model], *commands(model, picture)):
        result = run(*command)
        assert result.code == 3
        assert "bad.onnx" in result.error_line


def test_model_that_is_not_onnx(run: Run, picture: Path, tmp_path: Path) -> None:
    model = tmp_path / "bad.onnx"
    for data in (b"import torch\n", picture.read_bytes(), b"\x00" * 99):
        model.write_bytes(data)
        for command in (["layers", model], *commands(model, picture)):
            result = run(*command)
            assert result.code == 3
            assert "bad.onnx" in result.error_line


def test_operator_without_a_rule(run: Run, picture: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "bad.onnx", UNSUPPORTED)
    for command in commands(model, picture, "--layer", "y"):
        result = run(*command)
        assert result.code == 3
        assert "Magic" in result.error_line
        assert "'odd'" in result.error_line
    assert run("layers", model).code == 0


def test_missing_files(run: Run, network: Path, picture: Path) -> None:
    for command in (["layers", "no.onnx"], *commands("no.onnx", picture)):
        result = run(*command)
        assert result.code == 2
        assert "'no.onnx'" in result.error_line
    for flags in (["no.png"], [picture, "no.png"], [picture, "--labels", "no.png"]):
        result = run("explain", network, *flags)
        assert result.code == 2
        assert "'no.png'" in result.error_line
    result = run("serve", "--models", "no-folder")
    assert result.code == 2
    assert "'no-folder'" in result.error_line


def test_picture_that_is_not_one(run: Run, network: Path, picture: Path) -> None:
    text = picture.with_name("text.png")
    for data in (b"", b"a picture of a cat", picture.read_bytes()[:200]):
        text.write_bytes(data)
        for pictures in ([text], [picture, text]):
            result = run("explain", network, *pictures)
            assert result.code == 2
            assert "text.png" in result.error_line


def test_output_that_is_not_writable(run: Run, network: Path, picture: Path) -> None:
    os.mkdir("folder.png")
    for command in (
        ["rewrite", network, *LAYER, "-o", "no-folder/out.onnx"],
        ["rewrite", network, *LAYER, "-o", "folder.png"],
        ["explain", network, picture, "-o", "no-folder/out.png"],
        ["explain", network, picture, "-o", "folder.png"],
        ["explain", network, picture, "-o", "out.png", "--npz", "no-folder/out.npz"],
    ):
        result = run(*command)
        assert result.code == 1, command
        assert str(command[-1]) in result.error_line


def test_output_that_fails_at_the_end(
    run: Run, network: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    for command in commands(network, picture, *LAYER)[1:]:
        result = run(*command)
        assert result.code == 1
        assert "No space left" in result.error_line


@pytest.mark.skipif(os.name != "posix" or not os.path.exists("/dev/full"), reason="no /dev/full")
def test_full_disk(network: Path) -> None:
    command = [sys.executable, "-m", "onnxplain.cli", "layers", str(network)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


def test_closed_pipe_is_no_failure(network: Path) -> None:
    command = [sys.executable, "-m", "onnxplain.cli", "layers", str(network)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    with process, process.stderr:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_interrupt(run: Run, network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object, **flags: object) -> None:
        signal.raise_signal(signal.SIGINT)  # to this thread, at once

    monkeypatch.setattr(layers, "table", interrupt)
    result = run("layers", network)
    assert (result.code, result.error) == (130, "")


def test_a_defect_is_one_line_too(run: Run, network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise ZeroDivisionError("a\nb\x1b[31m")

    monkeypatch.setattr(layers, "table", fail)
    result = run("layers", network)
    assert result.code == 1
    assert "ZeroDivisionError: a b\\x1b[31m" in result.error_line
    monkeypatch.setenv("ONNXPLAIN_DEBUG", "1")
    assert "Traceback" in run("layers", network).error


def test_every_error_of_the_tree_has_its_exit_code() -> None:
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        if not issubclass(kind, errors.OnnxplainError):
            continue
        expected = 2 if issubclass(kind, errors.InputError) else 1
        expected = 3 if issubclass(kind, errors.ModelError) else expected
        assert failures.exit_code(kind("")) == expected, name


def test_options_in_a_text_become_the_flags_that_there_are() -> None:
    assert (
        failures.in_flags("name one by `layer`, not `boxes`")
        == "name one by `--layer`, not `boxes`"
    )
    assert failures.in_flags("turn `upsample` off") == "give `--no-upsample`"
    assert failures.in_flags("leave `upsample` on") == "leave `--no-upsample` out"
    assert failures.in_flags("(`no_outputs`)") == "(`--no-outputs`)"
