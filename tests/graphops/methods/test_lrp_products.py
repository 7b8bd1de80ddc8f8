"""Relevance at products, quotients and functions of signals, by hand, in the smallest graphs."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from artefacts import artefact, network, run
from oracle import relative_error
from slow_lrp import stabilized

METHODS = ("lrp", "lrp_epsilon", "lrp_cp", "excitation_backprop")
X = np.random.default_rng(0).standard_normal((2, 4, 3, 3)).astype(np.float32)
R = np.random.default_rng(1).standard_normal((2, 4, 3, 3)).astype(np.float32)


def relevance(body, method="lrp_epsilon", x=X, seed=R, given="", opset=17, to="x", **feeds):
    """Return the relevance of `to` in a graph from x, [N, 4, 3, 3], to y, and what is lost."""
    model = network(f"""
    <ir_version: 10, opset_import: ["": {opset}]>
    net (float[N, 4, 3, 3] x, float[4, 4, 1, 1] w, float[4, 4, 1, 1] v{given}) => (float[N, P, Q, S] y)
    <float six = {{6}}, float three = {{3}}, float zero = {{0}}, float half = {{0.5}},
     float two = {{2}}, int64[2] space = {{2, 3}}, float[4] s = {{1, -2, 0.5, 3}},
     float[4] b = {{0, 0, 0, 0}}, int64[1] last = {{-1}}>
    {{ {body} }}
    """, inputs=("x", *feeds))  # fmt: skip  # noqa: E501
    found = run(artefact(model, "y", method, select="seed", to=to), x=x, seed=seed, **feeds)
    return found["attribution"], found["completeness_error"]


GATES = {
    "sigmoid": "g = Sigmoid (t)",
    "hard sigmoid": "g = HardSigmoid (t)",
    "clipped": "u = Add (t, three) c = Clip (u, zero, six) g = Div (c, six)",
    "scaled": "a = Sigmoid (t) g = Mul (two, a)",
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("gate", GATES)
def test_the_signal_gets_all_and_the_gate_nothing(gate, method):
    for product in ("Mul (x, g)", "Mul (g, x)"):
        body = f"m = ReduceMean <axes = [2, 3]> (x) t = Conv (m, w) {GATES[gate]} y = {product}"
        found, lost = relevance(body, method)
        np.testing.assert_array_equal(found, R)
        np.testing.assert_allclose(lost, 0, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_two_signals_get_half_each(method):
    """Summed over the places to which a factor is broadcast."""
    body = "a = Neg (x) m = ReduceMax <axes = [2, 3]> (x) y = Mul (a, m)"
    found, lost = relevance(body, method)
    highest = X.max((2, 3), keepdims=True) == X
    np.testing.assert_allclose(
        found, R / 2 + highest * R.sum((2, 3), keepdims=True) / 2, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(lost, 0, atol=1e-5)


def test_a_square_passes_all():
    for body in ("y = Mul (x, x)", "y = Pow (x, two)"):
        np.testing.assert_allclose(relevance(body)[0], R, rtol=1e-6)


@pytest.mark.parametrize(
    "product", ["MatMul (a, x)", 'Einsum <equation = "nabc,nacd->nabd"> (a, x)']
)
def test_a_matrix_product_of_two_signals(product):
    found, lost = relevance(f"a = Exp (x) y = {product}")
    x, r = X.astype(float), R.astype(float)
    a, o = np.exp(x), np.exp(x) @ x
    expected = np.zeros_like(x)
    for n, c, j, p, i in np.ndindex(2, 4, 3, 3, 3):  # exp hands on what it gets
        part = a[n, c, j, i] * x[n, c, i, p] * r[n, c, j, p] / (2 * o[n, c, j, p])
        expected[n, c, j, i] += part
        expected[n, c, i, p] += part
    assert relative_error(found, expected) < 1e-3
    np.testing.assert_allclose(lost, 0, atol=1e-3)


PASSING = {
    "negation": "y = Neg (x)",
    "quotient of signals": "m = ReduceMax (x) d = Exp (m) y = Div (x, d)",
    "quotient by a constant": "y = Div (x, two)",
    "constant over signal": "y = Div (two, x)",
    "difference from a constant": "y = Sub (two, x)",
    "constant added": "y = Add (x, two)",
    "layer scale": "y = Mul (x, half)",
    "functions": "e = Exp (x) q = Sqrt (e) r = Reciprocal (q) y = Neg (r)",
    "RMSNormalization": "y = RMSNormalization <axis = -3> (x, half)",
    "LpNormalization": "y = LpNormalization <axis = 1> (x)",
    "LRN": "y = LRN <size = 3> (x)",
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", PASSING)
def test_what_passes_all(name, method):
    found, _ = relevance(PASSING[name], method, opset=23)
    np.testing.assert_allclose(found, R, rtol=1e-5)


SHARED = {
    "difference": ("e = Exp (x) y = Sub (x, e)", None),
    "sum over axes": ("y = ReduceSum (x, space)", lambda x: x.sum((2, 3), keepdims=True)),
    "norm": (
        "y = ReduceL2 <axes = [2, 3]> (x)",
        lambda x: np.sqrt((x**2).sum((2, 3), keepdims=True)),
    ),
    "squares": (
        "y = ReduceSumSquare <axes = [2, 3]> (x)",
        lambda x: (x**2).sum((2, 3), keepdims=True),
    ),
}


@pytest.mark.parametrize("name", SHARED)
def test_what_shares_in_proportion(name):
    body, y = SHARED[name]
    x, r = X.astype(float), R.astype(float)
    if y is None:  # both parts of the difference reach x
        found, lost = relevance(body)
        expected = r
    else:
        r = r[:, :, :1, :1]
        found, lost = relevance(body, seed=r.astype(np.float32))
        parts = {"sum over axes": x, "norm": x**2 / y(x), "squares": x**2}[name]
        expected = parts / y(x) * r
    assert relative_error(found, expected) < 1e-3
    np.testing.assert_allclose(lost, 0, atol=1e-3)


NORMS = {
    "LayerNormalization": ("LayerNormalization (x, k)", (3,), torch.tensor([1.0, 2, -1]).double()),
    "MeanVarianceNormalization": ("MeanVarianceNormalization <axes = [2]> (x)", (2,), 1.0),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NORMS)
def test_a_normalisation_is_linear_with_its_deviation_held(name, method):
    call, axes, scale = NORMS[name]
    found, lost = relevance(f"k = Constant <value_floats = [1.0, 2.0, -1.0]> () y = {call}", method,
                            opset=21)  # fmt: skip
    x = torch.tensor(X).double().requires_grad_()
    sigma = x.detach().std(axes, unbiased=False, keepdim=True)
    y = scale * (x - x.mean(axes, keepdim=True)) / sigma
    (expected,) = torch.autograd.grad(y, x, torch.tensor(R) / stabilized(y))
    assert relative_error(found, (x * expected).detach().numpy()) < 1e-3
    np.testing.assert_allclose(lost, 0, atol=2e-3)


def test_a_shift_keeps_its_part():
    x, s, b = torch.tensor(X).double().requires_grad_(), *torch.tensor([[2.0, 1, -3], [0.5, 1, 2]])
    y = F.layer_norm(x, (3,), s.double(), b.double())
    sigma = x.std(-1, unbiased=False, keepdim=True).detach()
    linear = (x - x.mean(-1, keepdim=True)) / (sigma**2 + 1e-5).sqrt() * s
    (expected,) = torch.autograd.grad(linear, x, torch.tensor(R) / y)
    body = """a = Constant <value_floats = [2.0, 1.0, -3.0]> ()
              c = Constant <value_floats = [0.5, 1.0, 2.0]> () y = LayerNormalization (x, a, c)"""
    assert relative_error(relevance(body)[0], (x * expected).detach().numpy()) < 1e-3


@pytest.mark.parametrize("axis", [-1, 1])
def test_softmax_by_its_taylor_rule(axis):
    found, lost = relevance(f"y = Softmax <axis = {axis}> (x)")
    x, r = X.astype(float), R.astype(float)
    y = np.exp(x) / np.exp(x).sum(axis, keepdims=True)
    expected = x * (r - y * r.sum(axis, keepdims=True))
    assert relative_error(found, expected) < 1e-5
    np.testing.assert_allclose(lost, (expected - r).sum((1, 2, 3)), rtol=1e-3)


def test_masked_scores_get_nothing():
    body = """m = Constant <value_floats = [0.0, 0.0, -inf]> () a = Add (x, m) y = Softmax (a)"""
    for minus_infinity in ("-3.4e38", "-1e4"):
        found, _ = relevance(body.replace("-inf", minus_infinity))
        assert np.all(np.isfinite(found))
        np.testing.assert_array_equal(found[..., 2], 0)
        assert np.all(found[..., :2] != 0)


def test_what_is_no_product_of_two_needs_no_gate():
    """A gate that is the layer's only way to the picture gets all."""
    found, _ = relevance("g = Sigmoid (x) y = Mul (g, two)")
    np.testing.assert_array_equal(found, R)
