"""Rectifiers in each of their spellings, under every method, by numbers worked out by hand."""

import numpy as np
import onnx
import pytest
from artefacts import artefact, network, run
from check_rule import check_rule

from onnxplain.graphops import check

# x, the signal R that arrives, and what each method makes of it.
X = np.array([[-2, -1, 0, 3, 6, 7]], np.float32)
R = np.array([[1, -2, 3, -4, 5, -6]], np.float32)
RECTIFIED = {
    "gradient": [[0, 0, 0, -4, 5, -6]],
    "deconvnet": [[1, 0, 3, 0, 5, 0]],
    "guided_backprop": [[0, 0, 0, 0, 5, 0]],
}
UP_TO_6 = {
    "gradient": [[0, 0, 0, -4, 0, 0]],
    "deconvnet": [[1, 0, 3, 0, 5, 0]],
    "guided_backprop": [[0, 0, 0, 0, 0, 0]],
}
ZERO, SIX = "<float zero = {0}, float six = {6}>", "<float[1] zero = {0}, float[1, 1] six = {6}>"
SPELLINGS = {
    "max": f"{ZERO} {{ y = Max (x, zero) }}",
    "max the other way round": f"{ZERO} {{ y = Max (zero, x) }}",
    "max with a vector of one": f"{SIX} {{ y = Max (x, zero) }}",
    "mask": f"{ZERO} {{ m = Greater (x, zero) f = Cast <to = 1> (m) y = Mul (x, f) }}",
    "mask first": f"{ZERO} {{ m = Greater (x, zero) f = Cast <to = 1> (m) y = Mul (f, x) }}",
    "mask by less": f"{ZERO} {{ m = Less (zero, x) f = Cast <to = 1> (m) y = Mul (x, f) }}",
    "where": f"{ZERO} {{ m = Greater (x, zero) y = Where (m, x, zero) }}",
    "where by less": f"{ZERO} {{ m = Less (zero, x) y = Where (m, x, zero) }}",
    "clip": f"{ZERO} {{ y = Clip (x, zero) }}",
    "zero by Identity": f"{ZERO} {{ z = Identity (zero) y = Max (x, z) }}",
    "zero by Cast": "<int64 n = {0}> { z = Cast <to = 1> (n) y = Max (x, z) }",
    "zero by CastLike": "<int64 n = {0}> { z = CastLike (n, x) y = Clip (x, z) }",
    "zero by shape": "<int64[1] one = {1}> { z = ConstantOfShape (one) y = Max (x, z) }",
    "zero as a node": "{ z = Constant <value_float = 0.0> () y = Max (x, z) }",
}


def net(body):
    return network(
        f'<ir_version: 8, opset_import: ["": 17]> net (float[N, 6] x) => (float[N, 6] y) {body}'
    )


def project(model, method):
    return run(artefact(model, "y", method, select="seed"), x=X, seed=R)


@pytest.mark.parametrize("method", RECTIFIED)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling(spelling, method):
    found = project(net(SPELLINGS[spelling]), method)
    np.testing.assert_array_equal(found["attribution"], RECTIFIED[method])
    np.testing.assert_array_equal(found["y"], np.maximum(X, 0))


@pytest.mark.parametrize("method", RECTIFIED)
@pytest.mark.parametrize("bounds", ["z = Identity (zero) s = Identity (six) y = Clip (x, z, s)",
                                    "y = Clip (x, zero, six)"])  # fmt: skip
def test_an_upper_bound(bounds, method):
    found = project(net(f"{ZERO} {{ {bounds} }}"), method)
    np.testing.assert_array_equal(found["attribution"], UP_TO_6[method])


# What looks like a rectifier and is none keeps its gradient under every method.
OTHERS = {
    "max with one": ("<float one = {1}> { y = Max (x, one) }", [[0, 0, 0, -4, 5, -6]]),
    "max with a row": (
        "<float[6] zeros = {0, 0, 0, 0, 0, 9}> { y = Max (x, zeros) }", [[0, 0, 1.5, -4, 5, 0]]
    ),
    "mask of another": (
        "<float zero = {0}, float[6] w = {1, 1, -1, -1, 1, 1}>"
        "{ h = Mul (x, w) m = Greater (h, zero) f = Cast <to = 1> (m) y = Mul (x, f) }",
        [[0, 0, 0, 0, 5, -6]],
    ),
    "mask by one": (
        "<float one = {1}> { m = Greater (x, one) f = Cast <to = 1> (m) y = Mul (x, f) }",
        [[0, 0, 0, -4, 5, -6]],
    ),
    "where not zero": (
        "<float zero = {0}, float one = {1}> { m = Greater (x, zero) y = Where (m, x, one) }",
        [[0, 0, 0, -4, 5, -6]],
    ),
    "where the other way": (
        "<float zero = {0}> { m = Greater (x, zero) y = Where (m, zero, x) }", [[1, -2, 3, 0, 0, 0]]
    ),
    "min": ("<float zero = {0}> { y = Min (x, zero) }", [[1, -2, 1.5, 0, 0, 0]]),
    "max of two that move": ("{ h = Neg (x) y = Max (x, h) }", [[-1, 2, 0, -4, 5, -6]]),
}  # fmt: skip


@pytest.mark.parametrize("operator", ["Max (x, zero)", "Where (m, x, zero)"])
def test_a_zero_of_higher_rank(operator):
    """What it makes has more axes than x, which the signal must lose again."""
    model = network(f"""
        <ir_version: 8, opset_import: ["": 17]> net (float[N, 6] x) => (float[1, N, 6] y)
        <float[1, 1, 1] zero = {{0}}> {{ m = Greater (x, zero) y = {operator} }}
    """)
    found = run(artefact(model, "y", "gradient", select="seed"), x=X, seed=R[None])
    expected = [[0, 0, 1.5, -4, 5, -6]] if "Max" in operator else RECTIFIED["gradient"]
    np.testing.assert_array_equal(found["attribution"], expected)


@pytest.mark.parametrize("method", RECTIFIED)
@pytest.mark.parametrize("other", OTHERS)
def test_what_is_no_rectifier(other, method):
    body, expected = OTHERS[other]
    np.testing.assert_array_equal(project(net(body), method)["attribution"], expected)


def test_a_gate_is_no_rectifier():
    """Squeeze and excite multiplies by a Cast of no comparison: the product rule holds."""
    body = "{ s = Sigmoid (x) h = Cast <to = 10> (s) f = Cast <to = 1> (h) y = Mul (x, f) }"
    sigma = 1 / (1 + np.exp(-X.astype(np.float64)))
    for method in RECTIFIED:
        found = project(net(body), method)["attribution"]
        np.testing.assert_allclose(found, R * (sigma + X * sigma * (1 - sigma)), atol=5e-3)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_report(spelling):
    model = net(SPELLINGS[spelling])
    for method in RECTIFIED:
        assert [n.rule for n in check(model, "y", method).nodes] == ["exact"]


def test_the_report_of_a_smooth_activation():
    model = net("{ y = Elu (x) }")
    assert check(model, "y", "gradient").nodes[0].rule == "exact"
    assert check(model, "y", "deconvnet").nodes[0].rule == "as gradient"


# One net of all spellings, one after another, against the same net of Relus.
BODY = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, H, W] x, float[4, 3, 3, 3] w1, float[4, 4, 3, 3] w2, float[4, 4, 3, 3] w3,
     float[5, 4, 1, 1] w4) => (float[N, 5, H, W] y)
<float zero = {0}>
{
    c1 = Conv <pads = [1, 1, 1, 1]> (x, w1)
    FIRST
    c2 = Conv <pads = [1, 1, 1, 1]> (r1, w2)
    SECOND
    c3 = Conv <pads = [1, 1, 1, 1]> (r2, w3)
    THIRD
    y = Conv (r3, w4)
}
"""
RELUS = {"FIRST": "r1 = Relu (c1)", "SECOND": "r2 = Relu (c2)", "THIRD": "r3 = Relu (c3)"}
SPELLED = {
    "FIRST": "r1 = Max (c1, zero)",
    "SECOND": "m2 = Greater (c2, zero) f2 = Cast <to = 1> (m2) r2 = Mul (c2, f2)",
    "THIRD": "m3 = Greater (c3, zero) r3 = Where (m3, c3, zero)",
}


@pytest.mark.parametrize("select", ["channel", "pairs"])
@pytest.mark.parametrize("method", RECTIFIED)
def test_a_net_spelled_out_is_the_net(method, select):
    found = []
    for spelling in (RELUS, SPELLED):
        text = BODY
        for name, line in spelling.items():
            text = text.replace(name, line)
        made = artefact(network(text), "y", method, select=select)
        rows = {"image_index": np.array([1, 0])} if select == "pairs" else {}
        x = np.random.default_rng(0).standard_normal((2, 3, 6, 5)).astype(np.float32)
        found.append(run(made, x=x, channel=np.array([1, 4]), **rows)["attribution"])
    assert np.any(found[0])
    np.testing.assert_allclose(*found, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("method", RECTIFIED)
def test_nothing_but_the_rectifier_reads_its_input(method):
    """Runtimes fuse it with the convolution; OpenVINO's int8 kernels fail where they may not."""
    text, clip = BODY, "six = Constant <value_float = 6.0> () r2 = Clip (c2, zero, six)"
    for name, line in (RELUS | {"SECOND": clip}).items():
        text = text.replace(name, line)
    made = artefact(network(text), "y", method)
    for conv in ("c1", "c2", "c3"):
        assert [n.op_type in ("Relu", "Clip") for n in made.graph.node if conv in n.input] == [True]


def test_a_rectifier_of_one_element():
    """Max with a zero is one whatever the shape of x."""
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["": 17]> net (float[N] x) => (float[N] y)
        <float zero = {0}> { y = Max (x, zero) }
    """)
    found = run(artefact(model, "y", "guided_backprop", select="seed"), x=X[0], seed=R[0])
    np.testing.assert_array_equal(found["attribution"], RECTIFIED["guided_backprop"][0])


def test_the_gradient_of_all_is_checked_by_differences_too():
    check_rule("Max", [(2, 3)], weights=[np.zeros((), np.float32)])
    check_rule("Clip", [(2, 3)], weights=[np.zeros((), np.float32)])


def test_bounds_that_come_through_a_cast_make_a_rectifier():
    """As PyTorch writes clamp(0, 6) where constants are not folded."""
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["": 17]>
        net (float[N, 4] x) => (float[N, 4] y) <double lo = {0}, double hi = {6}>
        { l = Cast <to = 1> (lo) h = Identity (hi) k = Cast <to = 1> (h) y = Clip (x, l, k) }
    """)
    (node,) = check(model, "y", "deconvnet").nodes
    assert (node.operator, node.rule) == ("Clip", "exact")
    x = np.array([[-1, 7, 2, 3]], np.float32)
    seed = np.array([[1, 2, -3, 4]], np.float32)
    found = run(artefact(model, "y", "deconvnet", select="seed"), x=x, seed=seed)
    np.testing.assert_array_equal(found["attribution"], [[1, 2, 0, 4]])
