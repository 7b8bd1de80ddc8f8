"""A small network, pictures, and a way to run the command line as its users do."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cli.running import Result, Run, write_model
from PIL import Image

from onnxplain.cli.main import main

NETWORK = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 16, 16] image) => (float[N, 5] probabilities)
{
  [convolution] c = Conv <pads = [1, 1, 1, 1]> (image, weight)
  [rectifier] r = Relu (c)
  [pool] p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r)
  [flatten] f = Flatten (p)
  [head] scores = Gemm <transB = 1> (f, dense)
  [normalizer] probabilities = Softmax (scores)
}
"""

LOG_LINE = (
    r"\S+Z (INFO call method=\S+ .*status=[A-Z_]+ .*|INFO models/\S+ is (ready|now models/\S+)"
    r"|WARNING models/\S+ cannot be served: .*)"
)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in this process, in an empty folder of its own."""
    folder = tmp_path / "current"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def run_here(*arguments: object) -> Result:
        capfd.readouterr()
        code = main([str(a) for a in arguments])
        return Result(code, *capfd.readouterr())

    return run_here


@pytest.fixture
def run_process(tmp_path: Path) -> Run:
    """Run the command line as a process of its own."""

    def run_there(*arguments: object) -> Result:
        command = [sys.executable, "-m", "onnxplain.cli", *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run_there


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A network of a convolution, a pool and a dense layer with random weights: net.onnx."""
    rng = np.random.default_rng(0)
    weights = {"weight": rng.normal(size=(4, 3, 3, 3)), "dense": rng.normal(size=(5, 256))}
    return write_model(tmp_path / "net.onnx", NETWORK, **weights)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture of the network's size, of random pixels: cat.png."""
    pixels = np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "cat.png")
    return tmp_path / "cat.png"


@pytest.fixture
def server(network: Path) -> Iterator[str]:
    """The address of a service that has the network as `net`."""
    command = [sys.executable, "-m", "onnxplain.cli", "serve", "--models", str(network.parent)]
    command += ["--listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    with process:
        try:
            line = process.stdout.readline()
            assert line.startswith(f"serving '{network.parent}' on 127.0.0.1:")
            yield line.split()[-1]
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(30)
        assert process.stdout.read() == ""
        for line in process.stderr.read().splitlines():
            assert re.fullmatch(LOG_LINE, line), line
        assert code == 0
