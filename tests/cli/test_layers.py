"""`onnxplain layers`."""

import json
from pathlib import Path

import numpy as np
from cli.running import Run, write_model

from onnxplain.cli.commands.layers import axes_text


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
    assert lines[4][8:] == ["map", "layer"]
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
        "channel_axis_assumed": False,
        "spatial_axes": [2, 3],
        "channels": 4,
        "receptive_field": [4, 4],
        "stride": [2, 2],
        "offset": [-1, -1],
        "arithmetic": {
            "kernel": [2, 2],
            "step": [2, 2],
            "padding": [0, 0, 0, 0],
            "parameters": 0,
            "multiply_adds": 0,
        },
        "marks": ["map layer"],
        "output": "",
        "output_offset": None,
    }


HEADS = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 8, 8] image) => (float[N, 2, 2, 64] y)
<int64[4] heads = {0, 2, 2, 64}>
{ c = Conv (image, weight)  y = Reshape (c, heads) }
"""


def test_an_assumed_axis_is_marked(run: Run, network: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "heads.onnx", HEADS, weight=np.ones((4, 3, 1, 1)))
    lines = run("layers", model).out.splitlines()
    assert lines[2].split()[:5] == ["c", "Conv", "Nx4x8x8", "4", "1"]
    assert lines[3].split()[:5] == ["y", "Reshape", "Nx2x2x64", "2", "2?"]
    assert lines[-1] == "'?' is assumed: set another channel axis with --channel-axis"
    assert "?" not in run("layers", network).out
    checked = run("check", model, "--method", "gradient")
    assert "axis 2 is assumed" in checked.out
    assert "--channel-axis" in checked.out
    assert "assumed" not in run("check", model, "--method", "gradient", "--channel-axis", 1).out


def test_one_number_for_each_axis_only_where_they_differ():
    assert axes_text((11, 11)) == "11"
    assert axes_text((11, 7)) == "11,7"
    assert axes_text((11, None)) == "11,?"
    assert axes_text(None) == ""


def test_arithmetic(run: Run, network: Path) -> None:
    lines = run("layers", network, "--arithmetic").out.splitlines()
    assert lines[0].split()[:6] == ["layer", "operator", "output", "kernel", "stride", "padding"]
    rows = {line.split()[0]: line.split() for line in lines[1:]}
    assert rows["c"][3:6] == ["3", "1", "1"]
    total = sum(
        int(row[-2].replace(",", "")) for name, row in rows.items() if name in {"c", "scores"}
    )
    assert rows["total"][1] == f"{total:,}"


def test_arithmetic_at_a_size(run: Run, network: Path) -> None:
    wrong = run("layers", network, "--size", "9x9")
    assert wrong.code == 3
    assert "fixed size 16, not 9" in wrong.error
    assert run("layers", network, "--size", "9by9").code == 2
