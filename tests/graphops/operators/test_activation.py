"""The activations: values lie away from the kinks, where there is no derivative."""

import numpy as np
import pytest
from check_rule import check_rule

SHAPES = [(2, 3, 4, 2), (3, 5), (7,)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("operator", ["Relu", "LeakyRelu", "Sigmoid"])
def test_activation(operator, shape):
    check_rule(operator, [shape])


@pytest.mark.parametrize("alpha", [0.3, 0.0, -0.5, 2.0])
def test_leaky_relu(alpha):
    check_rule("LeakyRelu", [(2, 3, 4)], alpha=alpha)


@pytest.mark.parametrize(
    "bounds",
    [
        (0.0, 1.03),
        (0.0, None),
        (-1.03, 0.77),
        (0.41, 1.03),
        (None, 0.77),
        (-0.77, None),
        (),
        (0.0,),
    ],
    ids=str,
)
def test_clip(bounds):
    weights = [None if b is None else np.array(b, np.float32) for b in bounds]
    check_rule("Clip", [(2, 3, 4)], weights=weights)


def test_clip_with_no_bounds_at_all():
    check_rule("Clip", [(2, 3, 4)], weights=[None, None])


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -2, -4, None])
def test_softmax(axis):
    attrs = {} if axis is None else {"axis": axis}
    check_rule("Softmax", [(2, 3, 2, 4)], **attrs)


@pytest.mark.parametrize("shape", [(2, 5), (5,), (1, 1), (2, 1, 3)], ids=str)
def test_softmax_over_the_last_axis(shape):
    check_rule("Softmax", [shape])
