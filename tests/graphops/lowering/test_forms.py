"""Gates, activations, the class score's row, and what ONNX Runtime makes of the fast form."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from artefacts import artefact, images, network, run
from check_rule import relative_error

from onnxplain.graphops import METHODS, Options, check, rewrite

RECTIFIED = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 16, 2, 4] x) => (float[N, 16, 2, 4] y) { y = %s }
"""
RELU6 = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 16, 2, 4] x) => (float[N, 16, 2, 4] y)
{ zero = Constant <value_float = 0.0> () six = Constant <value_float = %s> ()
  y = Clip (x, zero, six) }
"""
NETWORK = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 32, 32] x, float[32, 3, 3, 3] w1, float[32] b1, float[32, 32, 3, 3] w2,
     float[32] scale, float[32] shift, float[32] mean, float[32] var, float[64, 32, 3, 3] w3,
     float[16, 64, 1, 1] w4, float[64, 16, 1, 1] w5, float[10, 64] w6, float[10] b6)
    => (float[N, 10] y)
{
    c1 = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (x, w1, b1)
    r1 = Relu (c1)
    p1 = MaxPool <kernel_shape = [3, 3], strides = [1, 1], pads = [1, 1, 1, 1]> (r1)
    c2 = Conv <pads = [1, 1, 1, 1]> (p1, w2)
    n2 = BatchNormalization (c2, scale, shift, mean, var)
    s2 = Sigmoid (n2)
    r2 = Mul (n2, s2)
    a2 = Add (r2, p1)
    c3 = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (a2, w3)
    r3 = Relu (c3)
    m3 = GlobalAveragePool (r3)
    q1 = Conv (m3, w4)
    q2 = Relu (q1)
    q3 = Conv (q2, w5)
    q4 = Sigmoid (q3)
    e3 = Mul (r3, q4)
    p3 = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (e3)
    m4 = GlobalAveragePool (p3)
    flat = Flatten (m4)
    y = Gemm <transB = 1> (flat, w6, b6)
}
"""
STRAIGHT = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 32, 32] x, float[32, 3, 3, 3] w1, float[32] b1, float[32, 32, 3, 3] w2,
     float[32] scale, float[32] shift, float[32] mean, float[32] var, float[64, 32, 3, 3] w3,
     float[10, 64] w4, float[10] b4) => (float[N, 10] y)
{
    c1 = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (x, w1, b1)
    r1 = Relu (c1)
    n2 = BatchNormalization (r1, scale, shift, mean, var)
    s2 = Sigmoid (n2)
    r2 = Mul (n2, s2)
    p2 = MaxPool <kernel_shape = [3, 3], strides = [1, 1], pads = [1, 1, 1, 1]> (r2)
    c3 = Conv <pads = [1, 1, 1, 1]> (p2, w2)
    a3 = Add (r1, c3)
    r3 = Relu (a3)
    c4 = Conv <pads = [1, 1, 1, 1]> (r3, w3)
    r4 = Relu (c4)
    m4 = GlobalAveragePool (r4)
    flat = Flatten (m4)
    y = Gemm <transB = 1> (flat, w4, b4)
}
"""
REORDERS = ("ReorderInput", "ReorderOutput")


def fast(model, layer=None, method="gradient", **options):
    return artefact(model, layer, method, lowering="fast", **options)


def gated(text, values):
    """Return the signal at x from ones at y, at values of x in the first channel."""
    x = np.zeros((1, 16, 2, 4), np.float32)
    x[0, 0].flat[: len(values)] = values
    made = fast(network(text), "y", select="seed")
    return run(made, x=x, seed=np.ones_like(x))["attribution"][0, 0].ravel()[: len(values)]


def test_a_gate_opens_above_zero():
    least = np.float32(1.1754944e-38)  # the least normal number
    got = gated(RECTIFIED % "Relu (x)", [-1, -0.0, 0, least, 1, 3e38])
    np.testing.assert_array_equal(got, [0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize("bound", [6.0, 1.0, 0.1, 100.0, 3e4])
def test_a_gate_closes_at_the_upper_bound(bound):
    bound = np.float32(bound)
    below, least = np.nextafter(bound, np.float32(0)), np.float32(1e-30)
    got = gated(RELU6 % float(bound), [-1, 0, least, bound / 2, below, bound, 2 * bound])
    np.testing.assert_array_equal(got, [0, 0, 1, 1, 1, 0, 0])


def test_what_a_gate_does_otherwise_than_the_plain_one():
    """docs/contract.md: subnormal activations, NaN, and an infinite signal at a closed gate."""
    model = network(RECTIFIED % "Relu (x)")
    x = np.zeros((1, 16, 2, 4), np.float32)
    x[0, 0, 0] = [1e-39, np.nan, 0, 1]
    seed = np.ones_like(x)
    seed[0, 0, 0, 2] = np.inf
    feeds = {"x": x, "seed": seed}
    plain = run(artefact(model, "y", select="seed"), **feeds)["attribution"][0, 0, 0]
    other = run(fast(model, "y", select="seed"), **feeds)["attribution"][0, 0, 0]
    np.testing.assert_array_equal(plain, [1, 0, 0, 1])
    assert 0 <= other[0] < 1 and np.isnan(other[1:3]).all() and other[3] == 1


def test_the_slope_of_silu():
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    net (float[N, 16, 2, 4] x) => (float[N, 16, 2, 4] y) { s = Sigmoid (x) y = Mul (x, s) }
    """
    values = [-100, -20, -1.2784645, -1e-4, 0, 1, 20, 100]
    source = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    torch.nn.functional.silu(source).sum().backward()
    np.testing.assert_allclose(gated(text, values), source.grad, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", ["gradient", "deconvnet", "guided_backprop"])
@pytest.mark.parametrize("select", ["channel", "pairs", "predicted", "fixed"])
def test_a_class_needs_one_row_of_the_classifier(method, select):
    """The results are those of the whole product, which the plain form computes."""
    model, x = network(NETWORK), images(2, (32, 32))
    feeds = {
        "channel": {"x": x, "channel": np.array([3, -1])},
        "pairs": {"x": x, "channel": np.array([3, 1, 9]), "image_index": np.array([1, 0, 1])},
    }.get(select, {"x": x})
    chosen = {"select": select, "channels": (4, 2) if select == "fixed" else ()}
    plain = artefact(model, None, method, **chosen)
    other = fast(model, None, method, **chosen)
    assert Counter(n.op_type for n in plain.graph.node)["Gemm"] == 2
    assert Counter(n.op_type for n in other.graph.node)["Gemm"] == 1
    expected, got = run(plain, **feeds), run(other, **feeds)
    assert relative_error(got["attribution"], expected["attribution"]) < 2e-6
    np.testing.assert_allclose(got["score"], expected["score"], rtol=1e-6)


def test_a_seed_of_all_units_needs_the_whole_classifier():
    made = fast(network(NETWORK), None, select="seed")
    assert Counter(n.op_type for n in made.graph.node)["Gemm"] == 2


def test_the_backward_part_stays_in_blocked_layout(tmp_path):
    """ONNX Runtime reorders maps where they enter the layout and leave it, and not between."""
    path = tmp_path / "optimized.onnx"
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 3

    def operators(model):
        ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        return Counter(node.op_type for node in onnx.load(path).graph.node)

    model = network(STRAIGHT)
    own = operators(model)
    if not own["ReorderOutput"]:
        pytest.skip("ONNX Runtime has no blocked layout on this processor")
    plain = operators(artefact(model, keep_outputs=False))
    other = operators(fast(model, keep_outputs=False))
    reorders = [sum(counts[name] for name in REORDERS) for counts in (own, plain, other)]
    assert other["Where"] == 1  # the seed's
    assert other["ConvTranspose"] == 1  # to the picture's three channels
    assert reorders[2] - reorders[0] <= 2 < reorders[1] - reorders[0]  # in at the seed, and out


@pytest.mark.parametrize("target", ["cuda", "openvino", "web", "tensorrt"])
def test_a_target_without_measurements_gets_the_plain_form(target):
    model = network(NETWORK)
    forms = [
        rewrite(model, None, "gradient", Options(target=target, lowering=lowering))
        for lowering in ("plain", "fast")
    ]
    nodes = [[node.SerializeToString() for node in form.graph.node] for form in forms]
    assert nodes[0] == nodes[1]


def test_an_unpool_by_name_is_honoured():
    model = network(NETWORK)
    for unpool, operator in {"scatter": "ScatterElements", "portable": "ArgMax"}.items():
        made = fast(model, unpool=unpool)
        assert any(node.op_type == operator for node in made.graph.node)
    assert not any(n.op_type in ("ScatterElements", "MaxUnpool") for n in fast(model).graph.node)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_fast_form_of_the_same_meaning(method):
    model, x = network(NETWORK), images(2, (32, 32))
    taken = {option.name for option in METHODS[method].takes}
    few = {name: 4 for name in ("samples", "steps") if name in taken}
    few |= {"low": (-3.0,), "high": (3.0,)} if "low" in taken else {}
    if not check(model, None, method).ok:
        pytest.skip("the method cannot explain the network")
    layer = None if METHODS[method].over == "target" else "a2"
    forms = [make(model, layer, method, **few) for make in (artefact, fast)]
    names = {i.name for i in forms[0].graph.input}
    feeds = {"x": x, "channel": np.array([3, 1])}
    if "noise" in names:
        feeds["noise"] = images(4, (32, 32), seed=3)
    expected, got = (run(form, **{k: v for k, v in feeds.items() if k in names}) for form in forms)
    assert relative_error(got["attribution"], expected["attribution"]) < 1e-5
