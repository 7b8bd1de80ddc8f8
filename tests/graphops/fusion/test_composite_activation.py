"""Every spelling of an activation is one node: its slope, its relevance, its gradient."""

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from artefacts import artefact, network, run
from oracle import relative_error

from onnxplain.graphops import check

X = np.array([[-7.5, -2.9, -1.3, -0.4, 0.2, 0.9, 2.2, 3.4, 8.0]], np.float32)
X0 = np.array([[1.0, -3.3, 0.6, -2.0, 0.1, -4.0, 0.3, 5.0, 0.0]], np.float32)
G = np.array([[1.0, -2.0, 3.0, -1.0, 2.0, 0.5, -3.0, 1.5, -0.5]], np.float32)

SPELLINGS = {
    "silu": (F.silu, "s = Sigmoid (x) y = Mul (x, s)"),
    "silu, swapped": (F.silu, "s = Sigmoid (x) y = Mul (s, x)"),
    "silu, divided": (F.silu, "n = Neg (x) e = Exp (n) d = Add (one, e) y = Div (x, d)"),
    "silu, through Identity": (F.silu, "i = Identity (x) s = Sigmoid (i) y = Mul (x, s)"),
    "silu, cast": (
        F.silu,
        "c = Cast <to = 11> (x) s = Sigmoid (c) h = Cast <to = 1> (s) y = Mul (x, h)",
    ),
    "silu, whose sigmoid is tanh": (
        F.silu,
        "h = Mul (x, half) t = Tanh (h) a = Mul (t, half) s = Add (a, half) y = Mul (s, x)",
    ),
    "quick gelu": (
        lambda x: x * torch.sigmoid(1.702 * x),
        "m = Mul (x, quick) s = Sigmoid (m) y = Mul (x, s)",
    ),
    "a beta for each channel": (
        lambda x: x * torch.sigmoid(torch.arange(1.0, 10.0).to(x) * x),
        "m = Mul (betas, x) s = Sigmoid (m) y = Mul (s, x)",
    ),
    "hard swish": (F.hardswish, "h = HardSigmoid <alpha = 0.16666667> (x) y = Mul (x, h)"),
    "hard swish, divided last": (
        F.hardswish,
        "a = Add (x, three) c = Clip (a, zero, six) m = Mul (x, c) y = Div (m, six)",
    ),
    "hard swish, times a sixth": (
        F.hardswish,
        "a = Add (three, x) c = Clip (a, zero, six) m = Mul (c, x) y = Mul (sixth, m)",
    ),
    "hard swish, divided first": (
        F.hardswish,
        "a = Add (x, three) c = Clip (a, zero, six) h = Div (c, six) y = Mul (h, x)",
    ),
    "hard swish of Min and Max": (
        F.hardswish,
        "a = Add (x, three) l = Max (a, zero) c = Min (l, six) h = Mul (c, sixth) y = Mul (h, x)",
    ),
    "hard swish of Relu and Min": (
        F.hardswish,
        "a = Add (x, three) l = Relu (a) c = Min (six, l) m = Mul (x, c) y = Div (m, six)",
    ),
    "gelu": (
        F.gelu,
        "d = Div (x, root) e = Erf (d) a = Add (e, one) m = Mul (x, a) y = Mul (m, half)",
    ),
    "gelu, halved first": (
        F.gelu,
        "h = Mul (x, half) d = Mul (x, inverse) e = Erf (d) a = Add (one, e) y = Mul (h, a)",
    ),
    "gelu, halved inside": (
        F.gelu,
        "d = Mul (inverse, x) e = Erf (d) a = Add (one, e) h = Mul (half, a) y = Mul (h, x)",
    ),
    "gelu of tanh": (
        lambda x: F.gelu(x, approximate="tanh"),
        """c = Pow (x, three) k = Mul (c, cubic) a = Add (x, k) m = Mul (a, slope) t = Tanh (m)
           o = Add (t, one) h = Mul (x, half) y = Mul (h, o)""",
    ),
    "gelu of tanh, factored": (
        lambda x: F.gelu(x, approximate="tanh"),
        """q = Mul (x, x) k = Mul (cubic, q) i = Add (one, k) s = Mul (slope, x) m = Mul (s, i)
           t = Tanh (m) o = Add (one, t) h = Mul (o, x) y = Mul (half, h)""",
    ),
    "mish": (F.mish, "s = Softplus (x) t = Tanh (s) y = Mul (x, t)"),
    "mish of Exp and Log": (
        F.mish,
        "e = Exp (x) a = Add (e, one) s = Log (a) t = Tanh (s) y = Mul (t, x)",
    ),
    "square": (lambda x: x * x, "y = Mul (x, x)"),
    "softsign": (F.softsign, "a = Abs (x) d = Add (a, one) y = Div (x, d)"),
    "leaky relu": (
        lambda x: F.leaky_relu(x, 0.5),
        "p = Relu (x) n = Min (x, zero) h = Mul (n, half) y = Add (p, h)",
    ),
    "elu of Where": (
        F.elu,
        "e = Exp (x) m = Sub (e, one) p = Greater (x, zero) y = Where (p, x, m)",
    ),
}
CONSTANTS = {
    "zero": 0.0, "one": 1.0, "half": 0.5, "three": 3.0, "six": 6.0, "sixth": 1 / 6,
    "quick": 1.702, "root": np.sqrt(2), "inverse": np.sqrt(0.5), "cubic": 0.044715,
    "slope": np.sqrt(2 / np.pi), "betas": np.arange(1.0, 10.0), "twice": 2 * np.eye(9),
}  # fmt: skip


def spelled(body, initialisers=True, opset=18):
    """Return y = f(x) of an ONNX text with the constants that it names."""
    text = f"""<ir_version: 8, opset_import: ["": {opset}]>
    spelled (float[N, 9] x) => (float[N, 9] y) {{ {body} }}"""
    model = onnx.parser.parse_model(text)
    for name, value in reversed(CONSTANTS.items()):
        tensor = onnx.numpy_helper.from_array(np.float32(value), name)
        if initialisers:
            model.graph.initializer.append(tensor)
        else:
            made = onnx.helper.make_node("Constant", [], [name], value=tensor)
            model.graph.node.insert(0, made)
    onnx.checker.check_model(model, full_check=True)
    return model


def attribution(model, method, **feeds):
    made = artefact(model, "y", method, select="seed")
    return run(made, x=X, seed=G, **feeds)["attribution"]


def slope(function):
    x = torch.tensor(X, dtype=torch.float64, requires_grad=True)
    (g,) = torch.autograd.grad(function(x), x, torch.tensor(G, dtype=torch.float64))
    return g.numpy()


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("method", ["gradient", "deconvnet", "guided_backprop"])
def test_the_gradient_is_exact_and_nothing_is_rectified(name, method):
    function, body = SPELLINGS[name]
    if name != "leaky relu":  # has a rectifier of its own
        assert relative_error(attribution(spelled(body), method), slope(function)) < 1e-5


@pytest.mark.parametrize("name", SPELLINGS)
def test_excitation_backprop_passes_the_gradient(name):
    function, body = SPELLINGS[name]
    found = attribution(spelled(body), "excitation_backprop")
    assert relative_error(found, slope(function)) < 1e-5


@pytest.mark.parametrize("initialisers", [True, False])
@pytest.mark.parametrize("name", SPELLINGS)
def test_the_slope_of_deeplift_is_that_of_the_difference(name, initialisers):
    function, body = SPELLINGS[name]
    found = attribution(spelled(body, initialisers), "deeplift", baseline=X0)
    x, x0 = torch.tensor(X).double(), torch.tensor(X0).double()
    np.testing.assert_allclose(found, G * (function(x) - function(x0)).numpy(), atol=2e-5)


@pytest.mark.parametrize("name", SPELLINGS)
def test_the_slope_is_the_gradient_where_nothing_differs(name):
    function, body = SPELLINGS[name]
    made = artefact(spelled(body), "y", "deeplift", select="seed")
    baseline = X - np.float32(1e-6)
    found = run(made, x=X, seed=G, baseline=baseline)["attribution"]
    assert relative_error(found, slope(function) * (X - baseline)) < 1e-3


@pytest.mark.parametrize("method", ["lrp", "lrp_epsilon", "lrp_epsilon_alpha2_beta1"])
@pytest.mark.parametrize("name", SPELLINGS)
def test_relevance_passes_unchanged(name, method):
    np.testing.assert_allclose(attribution(spelled(SPELLINGS[name][1]), method), G, rtol=1e-6)


@pytest.mark.parametrize("name", SPELLINGS)
def test_it_is_one_node_of_the_report(name):
    nodes = check(spelled(SPELLINGS[name][1]), "y", "lrp_epsilon").nodes
    assert [(n.operator, n.tensor) for n in nodes] == [("Activation", "y")]


def test_a_gate_that_another_node_reads_keeps_its_own_signal():
    """y = silu(x) + sigmoid(x)·2I: silu is one node, and the sigmoid beside it another."""
    model = spelled("s = Sigmoid (x) m = Mul (x, s) t = MatMul (s, twice) y = Add (m, t)")
    both = lambda x: F.silu(x) + 2 * torch.sigmoid(x)  # noqa: E731
    assert relative_error(attribution(model, "gradient"), slope(both)) < 1e-5
    operators = [n.operator for n in check(model, "y", "lrp_epsilon").nodes]
    assert sorted(operators) == ["Activation", "Add", "MatMul", "Sigmoid"]
    found = attribution(model, "deeplift", baseline=X0)
    x, x0 = torch.tensor(X).double(), torch.tensor(X0).double()
    np.testing.assert_allclose(found, G * (both(x) - both(x0)).numpy(), atol=2e-5)


def test_a_target_inside_a_group_opens_it():
    model = spelled("s = Sigmoid (x) y = Mul (x, s)")
    made = artefact(model, "y", "lrp_epsilon", select="seed", to="s")
    np.testing.assert_allclose(run(made, x=X, seed=G)["attribution"], G)


def test_a_layer_inside_a_group():
    model = spelled("s = Sigmoid (x) y = Mul (x, s)")
    found = run(artefact(model, "s", "deeplift", select="seed"), x=X, seed=G, baseline=X0)
    sigmoid = [torch.sigmoid(torch.tensor(v).double()).numpy() for v in (X, X0)]
    np.testing.assert_allclose(found["attribution"], G * (sigmoid[0] - sigmoid[1]), atol=1e-6)


def test_products_of_two_signals_are_no_activation():
    """Neither a gate that other pixels decide nor one of another shape is x's own."""
    model = network("""
    <ir_version: 8, opset_import: ["": 17]>
    gates (float[N, 3, 4, 4] x) => (float[N, 3, 4, 4] y)
    { p = GlobalAveragePool (x) s = Sigmoid (p) e = Mul (x, s)
      f = Relu (x) t = Sigmoid (e) y = Mul (f, t) }
    """)
    operators = [n.operator for n in check(model, "y", "gradient").nodes]
    assert operators == ["GlobalAveragePool", "Sigmoid", "Mul", "Relu", "Sigmoid", "Mul"]
    assert [n.operator for n in check(model, "y", "lrp_epsilon").nodes] == operators


QUANTIZED = """
<ir_version: 8, opset_import: ["": 17]>
quantized (float[N, 9] x) => (float[N, 9] y)
<float step = {0.07}, int8 zero = {0}, float fine = {0.00390625}, uint8 none = {0}>
{ q = QuantizeLinear (x, step, zero) a = DequantizeLinear (q, step, zero)
  b = DequantizeLinear (q, step, zero) s = Sigmoid (a)
  t = QuantizeLinear (s, fine, none) u = DequantizeLinear (t, fine, none) y = Mul (b, u) }
"""


def test_quantised_gates():
    model = network(QUANTIZED)
    np.testing.assert_allclose(attribution(model, "lrp_epsilon"), G)
    found = attribution(model, "deeplift", baseline=X0)
    exact = F.silu(torch.tensor(X).double()) - F.silu(torch.tensor(X0).double())
    np.testing.assert_allclose(found, G * exact.numpy(), atol=0.2)
    assert relative_error(attribution(model, "gradient"), slope(F.silu)) < 0.05


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_in_between(dtype):
    """What is computed in float32 between casts is one activation of the half-precision tensor."""
    text = f"""
    <ir_version: 8, opset_import: ["": 20]>
    half ({dtype}[N, 9] x) => ({dtype}[N, 9] y)
    {{ w = Cast <to = 1> (x) s = Sigmoid (w)
       h = Cast <to = {onnx.TensorProto.DataType.Value(dtype.upper())}> (s) y = Mul (x, h) }}
    """
    nodes = check(network(text), "y", "lrp_epsilon").nodes
    assert [n.operator for n in nodes] == ["Activation"]
