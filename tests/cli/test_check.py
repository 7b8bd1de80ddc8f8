"""`onnxplain check`."""

import json
from pathlib import Path

from cli.running import Run, write_model

UNSUPPORTED = """
<ir_version: 8, opset_import: ["": 17, "acme": 1]>
net (float[N, 3, 8, 8] image) => (float[N, 3, 8, 8] y)
<float[N, 3, 8, 8] h, float[N, 3, 8, 8] b>
{ a = Relu (image)  [odd] h = acme.Magic (a)  b = Relu (h)  y = Sigmoid (b) }
"""


def test_report(run: Run, network: Path) -> None:
    result = run("check", network, "--layer", "pool", "--unpool", "scatter")
    assert (result.code, result.error) == (0, "")
    lines = [line.split() for line in result.out.splitlines()]
    assert ["layer", "p"] in lines
    assert ["method", "deconvnet"] in lines
    assert ["pool", "MaxPool", "exact", "scatter"] in lines
    assert lines[-1] == ["an", "explanation", "is", "possible"]


def test_the_target_decides_the_form(run: Run, network: Path) -> None:
    for target, form in {"cpu": "maxunpool", "openvino": "scatter", "tensorrt": "portable"}.items():
        result = run("check", network, "--layer", "pool", "--target", target)
        assert result.code == 0
        lines = [line.split() for line in result.out.splitlines()]
        assert ["pool", "MaxPool", "exact", form] in lines


def test_the_default_layer_is_the_class_score(run: Run, network: Path) -> None:
    report = json.loads(run("check", network, "--json", "--method", "gradient").out)
    assert (report["ok"], report["layer"], report["method"]) == (True, "scores", "gradient")
    assert [node["operator"] for node in report["nodes"]] == [
        "Conv", "Relu", "MaxPool", "Flatten", "Gemm",
    ]  # fmt: skip


def test_no_explanation_possible(run: Run, tmp_path: Path) -> None:
    model = write_model(tmp_path / "odd.onnx", UNSUPPORTED)
    result = run("check", model, "--layer", "b")
    assert result.code == 3
    assert "Magic" in result.error_line
    assert ["odd", "Magic", "no", "rule"] in [line.split() for line in result.out.splitlines()]
    assert "explain 'a' (`--layer`), or project back to 'h' (`--to`)" in result.error_line

    result = run("check", model, "--layer", "b", "--json")
    assert result.code == 3
    assert result.error_line
    assert json.loads(result.out)["ok"] is False

    assert run("check", model, "--layer", "b", "--to", "h").code == 0
