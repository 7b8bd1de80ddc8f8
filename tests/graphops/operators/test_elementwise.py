"""The element-wise operators, and the sums that undo their broadcasting."""

import pytest
from check_rule import check_rule, spaced

SHAPES = [
    ((2, 3, 4), (2, 3, 4)),
    ((2, 3, 4, 5), (3, 1, 1)),
    ((3, 1, 1), (2, 3, 4, 5)),
    ((2, 3, 1, 1), (1, 3, 2, 4)),
    ((2, 3, 4), (1,)),
    ((1,), (2, 3, 4)),
    ((4,), (2, 3, 4)),
    ((2, 1, 4), (3, 1)),
    ((1, 1, 1), (1, 1)),
    ((1,), (1, 1, 1)),
    ((1, 4), (1, 4)),
    ((2, 3), ()),
    ((), (2, 3)),
]


@pytest.mark.parametrize("wrt", [0, 1])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Div"])
def test_broadcasting(operator, shapes, wrt):
    check_rule(operator, shapes, wrt=wrt, positive=operator == "Div")


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Div"])
def test_with_a_constant(operator):
    weight = spaced((3, 1, 1), seed=5)
    check_rule(operator, [(2, 3, 4, 2)], weights=[weight])
    check_rule(operator, [(2, 3, 4, 2)], weights=[weight], inputs=["w0", "x0"])


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Div"])
def test_of_a_tensor_with_itself(operator):
    check_rule(operator, [(2, 3, 4)], inputs=["x0", "x0"])


def test_div_by_negative_numbers():
    check_rule("Div", [(2, 4), (2, 4)], wrt=1)


def test_identity():
    check_rule("Identity", [(2, 3, 4)])
