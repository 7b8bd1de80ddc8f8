"""`onnxplain layers`."""

import json
from pathlib import Path

from cli.running import Run


def test_table(run: Run, network: Path) -> None:
    result = run("layers", network)
    assert result.code == 0
    lines = [line.split() for line in result.out.splitlines()]
    assert lines[0] == ["layer", "operator", "shape", "channels", "axis", "marks"]
    assert lines[1] == ["image", "Input", "Nx3x16x16", "3", "1", "input"]
    assert lines[4] == ["p", "MaxPool", "Nx4x8x8", "4", "1"]
    assert lines[6] == ["scores", "Gemm", "Nx5", "5", "1", "class", "score"]
    assert lines[7] == ["probabilities", "Softmax", "Nx5", "5", "1", "output"]


def test_json(run: Run, network: Path) -> None:
    layers = json.loads(run("layers", network, "--json").out)
    assert [layer["tensor"] for layer in layers] == [
        "image", "c", "r", "p", "f", "scores", "probabilities",
    ]  # fmt: skip
    assert layers[3] == {
        "tensor": "p",
        "node": "pool",
        "operator": "MaxPool",
        "module": "",
        "shape": ["N", 4, 8, 8],
        "dtype": "float32",
        "channel_axis": 1,
        "channels": 4,
        "marks": [],
    }
