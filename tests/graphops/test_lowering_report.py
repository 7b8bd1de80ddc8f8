"""`check` says for each node what lowering `fast` put in place of plain operators."""

import json

import onnx
import pytest
from artefacts import artefact, network

from onnxplain.graphops import METHODS, Options, check, read_metadata, rewrite

# Sixteen channels: a whole block of ONNX Runtime's layout.
NET = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 34, 34] x, float[16, 3, 3, 3] w1, float[16, 16, 3, 3] w2,
     float[16, 16, 3, 3] w3, float[16] scale, float[16] shift, float[16] mean,
     float[16] var, float[4, 64] w4) => (float[N, 4] y)
{
    [first] c1 = Conv (x, w1)
    [second] c3 = Conv <pads = [1, 1, 1, 1]> (c1, w3)
    [norm] n = BatchNormalization (c3, scale, shift, mean, var)
    [gate] r = Relu (n)
    [pool] p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r)
    [strided] c2 = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (p, w2)
    [sigmoid] s = Sigmoid (c2)
    [swish] a = Mul (c2, s)
    [average] m = AveragePool <kernel_shape = [4, 4], strides = [4, 4]> (a)
    [flatten] f = Flatten (m)
    [classes] y = Gemm <transB = 1> (f, w4)
}
"""


@pytest.fixture(scope="module")
def model():
    return network(NET)


def lowerings(model, **options):
    report = check(model, None, "gradient", **options)
    return {node.node: (node.lowering, node.unpool) for node in report.nodes}


def test_what_took_the_place_of_plain_operators(model):
    blocked = "which has a blocked layout"
    found = lowerings(model, lowering="fast")
    assert {name: found[name] for name in found if name != "first"} == {
        "second": (f"ConvTranspose as Conv, {blocked}", None),
        "norm": (f"Mul as depthwise Conv, {blocked}", None),
        "gate": (f"Where as Mul with a step by HardSigmoid, {blocked}", None),
        "pool": ("comparison with the maximum", "comparison"),
        "strided": (f"ConvTranspose as a Conv for each phase of the stride, {blocked}", None),
        "swish": ("σ·(1 + x − y)", None),
        "average": ("nearest Resize", None),
        "flatten": ("", None),
        "classes": (
            "Gemm as the weight's row of the unit, since the signal is zero at all others", None,
        ),
    }  # fmt: skip


def test_nothing_for_plain(model):
    assert {text for text, _ in lowerings(model).values()} == {""}
    assert lowerings(model)["pool"][1] == "maxunpool"


def test_a_form_of_unpooling_that_is_named(model):
    assert lowerings(model, lowering="fast", unpool="scatter")["pool"] == ("", "scatter")
    made = artefact(model, unpool="scatter", lowering="fast")
    assert "ScatterElements" in {node.op_type for node in made.graph.node}


@pytest.mark.parametrize("target", ["cuda", "openvino", "web", "tensorrt"])
def test_targets_without_measurements(model, target):
    report = check(model, None, "gradient", target=target, lowering="fast")
    assert {node.lowering for node in report.nodes} == {""}
    assert report.warnings[-1] == (
        f"lowering 'fast' is 'plain' for target '{target}': nothing was measured there"
    )
    assert report.warnings[:-1] == check(model, None, "gradient", target=target).warnings
    fast = artefact(model, target=target, lowering="fast").graph
    assert fast == artefact(model, target=target).graph


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if method.exportable])
def test_plain_is_the_default(model, method):
    own = {"low": (-2.0,), "high": (2.0,)} if method == "lrp_epsilon_gamma_box" else {}
    layer = "a" if METHODS[method].over == "map" else None
    made = rewrite(model, layer, method, Options(**own))
    named = rewrite(model, layer, method, Options(lowering="plain", **own))
    assert made.SerializeToString() == named.SerializeToString()
    assert json.loads(read_metadata(made)["onnxplain.options"])["lowering"] == "plain"
    onnx.checker.check_model(made, full_check=True)
