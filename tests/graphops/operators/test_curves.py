"""The smooth and bent activations and functions of one variable, and their parameters."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from check_rule import check_rule, spaced

SHAPE = (2, 3, 4)
SMOOTH = [
    "Abs",
    "Asinh",
    "Atan",
    "Cos",
    "Cosh",
    "Elu",
    "Exp",
    "HardSigmoid",
    "HardSwish",
    "Neg",
    "Selu",
    "Sigmoid",
    "Sin",
    "Sinh",
    "Softplus",
    "Softsign",
    "Tan",
    "Tanh",
    "ThresholdedRelu",
]


@pytest.mark.parametrize("shape", [SHAPE, (7,), ()], ids=str)
@pytest.mark.parametrize("operator", SMOOTH)
def test_one_variable(operator, shape):
    check_rule(operator, [shape])


@pytest.mark.parametrize("operator", ["Log", "Reciprocal", "Sqrt"])
def test_of_positive_numbers(operator):
    check_rule(operator, [SHAPE], positive=True)
    check_rule("Reciprocal", [SHAPE])


@pytest.mark.parametrize("operator", ["Acos", "Asin", "Atanh"])
def test_between_minus_one_and_one(operator):
    check_rule(operator, [spaced(SHAPE) * 0.45])


def test_acosh():
    check_rule("Acosh", [spaced(SHAPE) + 3.5])


def test_erf():
    check_rule("Erf", [SHAPE], oracle=torch.erf)


# ONNX Runtime approximates the Gaussian integral to within 1e-7, so float64 has no kernel.
@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu(approximate):
    def gelu(x):
        return F.gelu(x, approximate=approximate)

    check_rule("Gelu", [2 * spaced(SHAPE)], opset=20, oracle=gelu, approximate=approximate)


def test_mish():
    check_rule("Mish", [2 * spaced(SHAPE)], opset=18, oracle=F.mish)


@pytest.mark.parametrize("alpha", [None, 1.3, -0.5])
def test_swish(alpha):
    attrs = {} if alpha is None else {"alpha": alpha}
    check_rule(
        "Swish",
        [2 * spaced(SHAPE)],
        opset=24,
        oracle=lambda x: x * torch.sigmoid((alpha or 1.0) * x),
        **attrs,
    )


@pytest.mark.parametrize("alpha", [0.5, 2.0])
def test_elu_and_celu(alpha):
    check_rule("Elu", [SHAPE], alpha=alpha)
    check_rule("Celu", [SHAPE], oracle=lambda x: F.celu(x, alpha), alpha=alpha)


def test_selu_with_other_constants():
    check_rule("Selu", [SHAPE], alpha=1.2, gamma=0.7)


def test_hard_sigmoid_with_other_constants():
    check_rule("HardSigmoid", [SHAPE], alpha=0.4, beta=0.3)


@pytest.mark.parametrize("alpha", [0.0, 0.51, -0.73])
def test_thresholded_relu(alpha):
    check_rule("ThresholdedRelu", [SHAPE], alpha=alpha)


@pytest.mark.parametrize("lambd", [0.5, 0.73])
@pytest.mark.parametrize("bias", [0.0, 0.3])
def test_shrink(bias, lambd):
    def shrink(x):  # ONNX Runtime's is in float32 even for float64
        return torch.where(x.abs() > lambd, x - bias * torch.sign(x), 0.0)

    check_rule("Shrink", [SHAPE], oracle=shrink, lambd=lambd, bias=bias)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3, None])
def test_log_softmax(axis):
    check_rule("LogSoftmax", [SHAPE], **({} if axis is None else {"axis": axis}))


@pytest.mark.parametrize(
    "slope", [(3, 1, 1), (2, 3, 4, 2), (1,), (), (2,), (3, 1, 2), (1, 3, 1, 1)], ids=str
)
@pytest.mark.parametrize("wrt", [0, 1])
def test_prelu(wrt, slope):
    check_rule("PRelu", [(2, 3, 4, 2), slope], wrt=wrt)


def test_prelu_with_a_constant_slope():
    check_rule("PRelu", [(2, 3, 4, 2)], weights=[np.array([[[0.2]], [[-0.5]], [[0]]], np.float32)])


# Where there is no derivative: what PyTorch says.
AT_ZERO = np.array([-1, 0, 0, 1.5], np.float32)


@pytest.mark.parametrize(
    ("operator", "same"),
    [
        ("Abs", torch.abs),
        ("Relu", torch.relu),
        ("LeakyRelu", lambda x: F.leaky_relu(x, 0.01)),
        ("Elu", F.elu),
        ("Selu", torch.selu),
        ("Celu", F.celu),
        ("Softsign", F.softsign),
        ("ReduceL1", lambda x: x.abs().sum().reshape(1)),
    ],
)
def test_at_zero(operator, same):
    check_rule(operator, [AT_ZERO], oracle=same)


@pytest.mark.parametrize(
    ("operator", "opset", "attrs", "same"),
    [
        ("Sigmoid", 17, {}, torch.sigmoid),
        ("Softplus", 17, {}, lambda x: torch.logaddexp(x, torch.zeros_like(x))),
        ("Tanh", 17, {}, torch.tanh),
        ("Elu", 17, {}, F.elu),
        ("LogSoftmax", 17, {}, lambda x: F.log_softmax(x, 0)),
        ("Mish", 18, {}, F.mish),
        ("Gelu", 20, {}, F.gelu),
        ("Gelu", 20, {"approximate": "tanh"}, lambda x: F.gelu(x, approximate="tanh")),
        ("Swish", 24, {}, F.silu),
    ],
)
def test_far_from_zero(operator, opset, attrs, same):
    far = np.array([-200, -90, -30, -0.4, 0.7, 30, 90, 200], np.float32)
    check_rule(operator, [far], opset=opset, oracle=same, **attrs)
