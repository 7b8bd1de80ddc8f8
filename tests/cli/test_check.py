"""`onnxplain check`."""

import json
import re
from pathlib import Path
from typing import Any

import onnx
import pytest
from cli.running import Run, write_model

from onnxplain.engine import Measurement, measure

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


def test_the_lowering_of_each_node(run: Run, network: Path) -> None:
    flags = ["--method", "gradient", "--lowering", "fast"]
    text = run("check", network, *flags).out
    header = next(line for line in text.splitlines() if line.startswith("node"))
    assert header.split() == ["node", "operator", "rule", "unpool", "lowering"]
    assert "Gemm as the weight's row of the unit" in text
    plain = run("check", network, "--method", "gradient")
    assert "lowering" not in plain.out
    nodes = json.loads(run("check", network, "--json").out)["nodes"]
    assert {node["lowering"] for node in nodes} == {""}
    other = run("check", network, *flags, "--target", "openvino")
    assert (
        "warning: lowering 'fast' is 'plain' for target 'openvino': nothing was measured there"
        in other.out.splitlines()
    )


def test_measuring_a_lowering(run: Run, network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []

    def kept(artefact: onnx.ModelProto, *rest: Any) -> Measurement:
        measured.append([node.op_type for node in artefact.graph.node])
        return measure(artefact, *rest)

    monkeypatch.setattr("onnxplain.engine.measure", kept)
    for flags in ([], ["--lowering", "fast"]):
        assert run("check", network, "--method", "gradient", "--measure", *flags).code == 0
    plain, fast = measured
    assert plain.count("Gemm") == 2 and fast.count("Gemm") == 1


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


TIME_AND_MEMORY = r" +[\d.e+]+ ms +[\d.]+ [kMG]B +\d+"


def test_measuring(run: Run, network: Path) -> None:
    flags = ["--method", "smoothgrad", "--samples", "3", "--noise", "drawn"]
    result = run("check", network, *flags, "--measure")
    assert (result.code, result.error) == (0, "")
    report, table = result.out.split("an explanation is possible\n")
    assert "smoothgrad" in report
    _, _, forward, explanation, about = table.splitlines()
    assert re.fullmatch(f"forward pass{TIME_AND_MEMORY}", forward)
    assert re.fullmatch(f"explanation, with the forward pass{TIME_AND_MEMORY}", explanation)
    assert re.fullmatch(
        r"on cpu, \d+ threads?, ONNX Runtime [\d.]+: image float32\[1, 3, 16, 16\], "
        r"channel int64\[1\]",
        about,
    )


def test_measuring_an_artefact(run: Run, network: Path) -> None:
    flags = ["--method", "gradient", "--bake-preprocess", "unit", "--select", "predicted"]
    assert run("rewrite", network, *flags, "-o", "out.onnx").code == 0
    found = json.loads(run("check", "out.onnx", "--measure", "--json").out)
    measurement = found.pop("measurement")
    assert found == {"layer": "scores", "method": "gradient", "to": "image"}
    assert measurement["inputs"] == {"pixels": "uint8[1, 16, 16, 3]"}
    assert measurement["explanation"]["memory"] > 0
    lines = run("check", "out.onnx", "--measure").out.splitlines()
    assert lines[:3] == ["layer   scores", "method  gradient", "to      image"]


def test_measuring_needs_an_explanation(run: Run, tmp_path: Path) -> None:
    model = write_model(tmp_path / "odd.onnx", UNSUPPORTED)
    result = run("check", model, "--layer", "b", "--measure", "--json")
    assert result.code == 3
    assert "measurement" not in json.loads(result.out)


def test_a_size_is_for_measuring(run: Run, network: Path) -> None:
    assert run("check", network, "--size", "8x8").code == 2
    result = run("check", network, "--measure", "--size", "8x8")
    assert (result.code, "has a fixed size" in result.error) == (2, True)


def test_options_of_other_methods_are_refused(run: Run, network: Path) -> None:
    result = run("check", network, "--method", "gradient", "--samples", "3")
    assert result.code == 2
    assert "takes no samples" in result.error
