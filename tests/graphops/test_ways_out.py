"""Refusals name what to do instead, and what they name succeeds; `check` agrees with `rewrite`."""

import onnx
import pytest
import torch
from artefacts import network
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_networks import FAMILIES, networks

from onnxplain.graphops import Options, check, rewrite
from onnxplain.graphops.errors import ModelError, OnnxplainError, UnsupportedOperator

CRNN = """
<ir_version: 8, opset_import: ["": 17]>
crnn (float[N, 1, 8, W] x, float[4, 1, 8, 1] w, float[1, 12, 4] i, float[1, 12, 3] r,
      float[3, 5] d) => (float[T, N, 5] y)
<int64[1] two = {2}, int64[1] one = {1}>
{
    c = Conv (x, w)
    a = Relu (c)
    f = Squeeze (a, two)
    s = Transpose <perm = [2, 0, 1]> (f)
    q = LSTM <hidden_size = 3> (s, i, r)
    h = Squeeze (q, one)
    y = MatMul (h, d)
}
"""
DETECTOR = """
<ir_version: 8, opset_import: ["": 17]>
detector (float[1, 3, 8, 8] x, float[6, 3, 3, 3] w, float[2, 6, 2, 2] v, float[2, 4] rois)
    => (float[2, 2, 1, 1] y)
<int64[2] of = {0, 0}>
{
    c = Conv <pads = [1, 1, 1, 1]> (x, w)
    a = Relu (c)
    p = RoiAlign <output_height = 2, output_width = 2> (a, rois, of)
    b = Relu (p)
    y = Conv (b, v)
}
"""


def test_a_text_reader_names_the_layer_before_its_recurrence_and_the_tensor_behind():
    model = network(CRNN)
    with pytest.raises(UnsupportedOperator) as caught:
        rewrite(model, "y", "gradient", Options(select="seed"))
    said = str(caught.value)
    assert said.startswith("no rule for LSTM")
    assert said.endswith("explain 'f' (`layer`), or project back to 'q' (`to`)")
    rewrite(model, "f", "gradient")
    rewrite(model, "y", "gradient", Options(select="seed", to="q"))


def test_what_is_named_suits_the_unit():
    """`s` and `y` are [T, N, C]: no unit of an image, so the last one that has is named."""
    model = network(CRNN)
    report = check(model, "y", "gradient")
    assert not report.ok and report.explainable_from is None
    assert report.problem.endswith("explain 'f' (`layer`)")
    assert check(model, "f", "gradient").ok


@pytest.mark.parametrize("method", ["gradient", "deconvnet", "lrp"])
def test_a_second_stage(method):
    """Its units are regions, not images, so that only the first stage can be explained."""
    model = network(DETECTOR)
    report = check(model, "y", method)
    assert not report.ok and report.explainable_from is None
    assert report.problem.endswith("explain 'a' (`layer`)")
    assert check(model, "a", method).ok


SHARPENED = """
<ir_version: 8, opset_import: ["": 17, "com.example": 1]>
net (float[N, 3, H, W] x, float[4, 3, 1, 1] w, float[2, 4, 1, 1] v) => (float[N, 2, H, W] y)
<float[N, 4, H, W] s>
{ a = Conv (x, w) s = com.example.Sharpen (a) r = Relu (s) y = Conv (r, v) }
"""


@pytest.mark.parametrize("method", ["gradient", "lrp", "deeplift"])
def test_an_operator_of_a_plug_in(method):
    model = network(SHARPENED)
    report = check(model, "y", method)
    assert report.explainable_from == "s"
    assert report.problem.endswith("explain 'a' (`layer`), or project back to 's' (`to`)")
    assert check(model, "a", method).ok
    assert check(model, "y", method, to="s").ok


def test_a_map_whose_layer_the_score_does_not_reach():
    """A class activation map starts at `score_layer` and lies over `layer`."""
    model = network(SHARPENED)
    report = check(model, "a", "grad_cam", score_layer="y")
    assert report.problem.endswith("map over 's' (`layer`)")
    assert check(model, "s", "grad_cam", score_layer="y").ok


REFUSED = """
<ir_version: 10, opset_import: ["": 21]>
net (float[N, 3, 4, 4] x, float[4, 3, 1, 1] w) => (float[N, 4, 4, 4] y)
<float s = {0.1}, float8e4m3fn z = {0}>
{
    c = Conv (x, w)
    r = Relu (c)
    q = QuantizeLinear (r, s, z)
    d = DequantizeLinear (q, s, z)
    y = Sigmoid (d)
}
"""


def test_a_node_that_its_rule_refuses_is_not_called_exact():
    """The operator has a rule, which does not know this form of it."""
    model = onnx.parser.parse_model(REFUSED.replace("float8e4m3fn z = {0}", "float[1] b = {1}"))
    model.graph.node[2].attribute.append(onnx.helper.make_attribute("block_size", 2))
    model.graph.node[2].input[2] = ""
    model.graph.node[2].attribute.append(onnx.helper.make_attribute("output_dtype", 3))
    del model.graph.node[3].input[2:]
    report = check(network_of(model), "r2" if False else "y", "gradient")
    rows = {row.operator: row for row in report.nodes}
    assert not report.ok
    assert rows["QuantizeLinear"].rule == "no rule" and "blocks" in rows["QuantizeLinear"].note
    assert rows["Conv"].rule == rows["Sigmoid"].rule == "exact"
    assert report.explainable_from == "d" and "explain 'r' (`layer`)" in report.problem


def network_of(model):
    weight = model.graph.input[1]
    values = torch.randn(4, 3, 1, 1, generator=torch.Generator().manual_seed(0)).numpy()
    model.graph.initializer.append(onnx.numpy_helper.from_array(values, weight.name))
    model.graph.input.remove(weight)
    return model


@settings(max_examples=40, deadline=None, database=None, derandomize=True,
          suppress_health_check=list(HealthCheck))  # fmt: skip
@given(
    network=networks(*FAMILIES),
    method=st.sampled_from(
        ["gradient", "guided_backprop", "lrp", "deeplift", "integrated_gradients"]
    ),
)
def test_check_says_what_rewrite_does(network, method):
    try:
        report = check(network.model, network.layer, method, to=network.to)
    except OnnxplainError as e:
        with pytest.raises(type(e)):
            rewrite(network.model, network.layer, method, Options(to=network.to))
        return
    try:
        rewrite(network.model, network.layer, method, Options(to=network.to))
        refusal = ""
    except OnnxplainError as e:
        refusal = str(e)
    assert report.problem == refusal and report.ok == (not refusal)
    if report.explainable_from is not None:
        assert check(network.model, network.layer, method, to=report.explainable_from).ok


OPTIMISED = """
<ir_version: 8, opset_import: ["": 17, "com.microsoft": 1, "com.microsoft.nchwc": 1]>
net (float[N, 3, 8, 8] x, float[4, 3, 3, 3] w) => (float[N, 4, 6, 6] y)
{ a = com.microsoft.FusedConv <activation = "Relu"> (x, w) y = Sigmoid (a) }
"""


@pytest.mark.parametrize("operator", ["com.microsoft.FusedConv", "com.microsoft.nchwc.Conv"])
def test_a_graph_that_onnx_runtime_has_optimised(operator):
    model = network(OPTIMISED.replace("com.microsoft.FusedConv", operator))
    for function in (check, rewrite):
        with pytest.raises(ModelError, match="optimised by ONNX Runtime: give the original model"):
            function(model, "a", "gradient")
