"""Element-wise operators of several inputs: extremes and their ties, sums, choices, powers."""

import numpy as np
import onnx
import pytest
import torch
from artefacts import artefact, run
from check_rule import check_rule, spaced

from onnxplain.graphops.errors import OptionError

SHAPES = [
    ((2, 3, 4), (3, 1)),
    ((2, 1, 4), (3, 1)),
    ((4,), (2, 3, 4)),
    ((2, 3), (2, 3)),
    ((2, 3), ()),
]


@pytest.mark.parametrize("wrt", [0, 1])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("operator", ["Max", "Min", "Sum", "Mean"])
def test_of_two(operator, shapes, wrt):
    check_rule(operator, shapes, wrt=wrt)


@pytest.mark.parametrize("operator", ["Max", "Min", "Sum", "Mean"])
def test_of_one_and_of_three(operator):
    check_rule(operator, [(2, 3)])
    for wrt in range(3):
        check_rule(operator, [(2, 3), (3,), (2, 1)], wrt=wrt)


@pytest.mark.parametrize("operator", ["Max", "Min", "Sum", "Mean", "Pow"])
def test_with_a_constant_and_with_itself(operator):
    weight = spaced((3, 1), seed=4, positive=True)
    check_rule(operator, [(2, 3, 4)], weights=[weight], positive=True)
    check_rule(operator, [(2, 3, 4)], weights=[weight], inputs=["w0", "x0"], positive=True)
    check_rule(operator, [(2, 3)], inputs=["x0", "x0"], positive=True)


LEFT, RIGHT = np.array([[1, 2, 3], [0, 0, 5]], np.float32), np.array([[1, 3, 2]], np.float32)


@pytest.mark.parametrize("wrt", [0, 1])
@pytest.mark.parametrize(("operator", "same"), [("Max", torch.maximum), ("Min", torch.minimum)])
def test_ties_are_halved(operator, same, wrt):
    check_rule(operator, [LEFT, RIGHT], wrt=wrt, oracle=same)


def test_three_equal_ones_share():
    def spread(a, b, c):
        return torch.stack([a, b, c]).amax(0)

    for wrt in range(3):
        check_rule("Max", [LEFT, LEFT, LEFT], wrt=wrt, oracle=spread)


CHOICE = np.array([[True, False, True], [False, False, True]])


@pytest.mark.parametrize("wrt", [0, 1])
@pytest.mark.parametrize(
    "shapes",
    [((2, 3), (2, 3)), ((4, 2, 3), (3,)), ((1, 3), (2, 1)), ((), (3,)), ((3,), (3,))],
    ids=str,
)
def test_where(shapes, wrt):
    check_rule("Where", shapes, wrt=wrt, weights=[CHOICE], inputs=["w0", "x0", "x1"])


def test_where_with_a_constant_and_with_itself():
    weights = [CHOICE, np.array(-np.inf, np.float32)]
    check_rule("Where", [(2, 3)], weights=[CHOICE, spaced((2, 3), 2)], inputs=["w0", "w1", "x0"])
    check_rule("Where", [(2, 3)], weights=[CHOICE], inputs=["w0", "x0", "x0"])
    masked = lambda x: torch.where(torch.tensor(CHOICE), x, 7.0)  # noqa: E731
    weights[1] = np.array(7, np.float32)
    check_rule("Where", [(2, 3)], weights=weights, inputs=["w0", "x0", "w1"], oracle=masked)


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.0, 3.0, -1.0, -2.5])
def test_pow_to_a_constant(exponent):
    check_rule("Pow", [(2, 3)], weights=[np.array(exponent, np.float32)], positive=True)
    if exponent == int(exponent):
        check_rule("Pow", [(2, 3)], weights=[np.array(exponent, np.float32)])
        check_rule("Pow", [(2, 3)], weights=[np.array(exponent, np.int64)])


@pytest.mark.parametrize("wrt", [0, 1])
@pytest.mark.parametrize("shapes", [((2, 3), (3,)), ((3,), (2, 3)), ((2, 1), (3,))], ids=str)
def test_pow(shapes, wrt):
    check_rule("Pow", shapes, wrt=wrt, positive=True)


def test_pow_at_zero():
    """x² and x have a derivative there; so has 0ᵇ for b above zero."""
    base = np.array([0, 1.5, -2, 0], np.float32)
    for exponent in ([2, 2, 2, 2], [1, 0, 3, 0]):
        e = np.array(exponent, np.float32)
        check_rule("Pow", [base], weights=[e], oracle=lambda x, e=e: x ** torch.tensor(e).double())
    above = np.array([0, 1.5, 2, 0], np.float32)
    check_rule("Pow", [above, np.abs(spaced((4,)))], wrt=1, oracle=torch.pow)


@pytest.mark.parametrize("wrt", [0, 1])
@pytest.mark.parametrize("shapes", [((2, 3), (3,)), ((3,), (2, 3))], ids=str)
def test_mod(shapes, wrt):
    values = [5 * spaced(s, i) + (i and 1) for i, s in enumerate(shapes)]
    check_rule("Mod", values, wrt=wrt, oracle=torch.fmod, fmod=1)


@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("axis", [0, 1, -1, -2])
def test_cumsum(axis, reverse, exclusive):
    for index in (np.array(axis, np.int64), np.array([axis], np.int32)):
        attrs = {"reverse": reverse, "exclusive": exclusive}
        check_rule("CumSum", [(2, 3, 4)], weights=[index], **attrs)


@pytest.mark.parametrize(
    ("shape", "target"),
    [((2, 1, 3), (4, 2, 5, 3)), ((3, 1), (1, 1)), ((1,), (2, 3)), ((), (2,)), ((2, 3), (2, 3))],
    ids=str,
)
def test_expand(shape, target):
    check_rule("Expand", [shape], weights=[np.array(target)])


def test_cast_like():
    check_rule("CastLike", [(2, 3)], weights=[np.zeros((), np.float32)])
    check_rule("CastLike", [(2, 3)], inputs=["x0", "x0"])
    with pytest.raises(OptionError, match="no signal path leads from 'x1'"):
        check_rule("CastLike", [(2, 3), (4,)], wrt=1)


HALF = """
<ir_version: 8, opset_import: ["": 17]>
half (float[N, 3] x) => (float[N, 3] y)
{ narrow = Cast <to = 10> (x) square = Mul (narrow, narrow) y = Cast <to = 1> (square) }
"""


def test_cast_to_half_precision_and_back():
    """The signal is cast the other way, so that it has each tensor's own type."""
    x = np.array([[1, -2, 0.5]], np.float32)
    made = artefact(onnx.parser.parse_model(HALF), "y", "gradient", select="seed")
    found = run(made, x=x, seed=np.array([[1, 2, -4]], np.float32))
    np.testing.assert_array_equal(found["attribution"], [[2, -8, -4]])
    assert found["attribution"].dtype == np.float32


@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("k", [None, 0, 1, -2])
def test_trilu(k, upper):
    weights = [] if k is None else [np.array(k, np.int64)]
    check_rule("Trilu", [(2, 3, 4)], weights=weights, upper=upper)
