"""`onnxplain layers`."""

import json
from pathlib import Path

from cli.running import Run

from onnxplain.cli.layers import axes_text


def test_table(run: Run, network: Path) -> None:
    result = run("layers", network)
    assert result.code == 0
    lines = [line.split() for line in result.out.splitlines()]
    assert lines[0] == [
        "layer", "operator", "shape", "channels", "axis", "receptive", "field", "stride", "offset",
        "marks",
    ]  # fmt: skip
    assert lines[1] == ["image", "Input", "Nx3x16x16", "3", "1", "1", "1", "0", "input"]
    assert lines[4][:8] == ["p", "MaxPool", "Nx4x8x8", "4", "1", "4", "2", "-1"]
    assert lines[4][8:] == ["last", "convolutional", "block"]
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
        "receptive_field": [4, 4],
        "stride": [2, 2],
        "offset": [-1, -1],
        "marks": ["last convolutional block"],
    }


def test_one_number_for_each_axis_only_where_they_differ():
    assert axes_text((11, 11)) == "11"
    assert axes_text((11, 7)) == "11,7"
    assert axes_text((11, None)) == "11,?"
    assert axes_text(None) == ""
