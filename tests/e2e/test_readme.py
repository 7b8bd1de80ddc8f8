"""The README's examples run, and print what it shows."""

import contextlib
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def printed(code):
    """The output that a block's comments show."""
    return re.findall(r"print\(.*\)  # (.*)", code)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder with a link to the examples, in place of the repository's root."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def served(folder):
    """The service in the README's example, on a free port."""
    command = [sys.executable, "-m", "onnxplain.cli", "serve", "--models", "examples"]
    server = subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    yield server.stdout.readline().split()[-1]
    server.terminate()
    server.wait(30)
    server.stdout.close()


def run(code):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(code, {})
    return output.getvalue().splitlines()


def test_python(folder):
    local = [code for code in blocks("python") if "Client" not in code]
    assert len(local) == 2
    for code in local:
        assert run(code) == printed(code)
    assert (folder / "star.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "explained.onnx").stat().st_size > 500_000


def test_client(served):
    (code,) = [code for code in blocks("python") if "Client" in code]
    assert run(code.replace("127.0.0.1:50051", served)) == printed(code)


def test_command_line(folder):
    commands = [
        line
        for block in blocks("sh")
        for line in block.splitlines()
        if line.startswith("onnxplain") and "serve" not in line
    ]
    assert len(commands) == 8
    for command in commands:
        arguments = shlex.join([sys.executable, "-m", "onnxplain.cli"])
        done = subprocess.run(
            ["bash", "-c", command.replace("onnxplain", arguments, 1)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    assert (folder / "grid.png").exists()
    assert (folder / "star_1_deconvnet.png").exists()
