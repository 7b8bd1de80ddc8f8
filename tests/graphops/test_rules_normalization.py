"""BatchNormalization with fixed statistics, at every rank it is used at."""

import numpy as np
import pytest
from check_rule import check_rule, spaced

STATISTICS = [
    np.array([1.5, -0.7, 0.3], np.float32),  # scale, of both signs
    np.array([0.1, 0.2, -0.3], np.float32),
    np.array([-1.0, 0.5, 2.0], np.float32),
    np.array([0.5, 2.0, 1e-4], np.float32),
]


@pytest.mark.parametrize("epsilon", [None, 1e-2])
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 5), (2, 3, 2, 4), (1, 3, 2, 2, 3)], ids=str)
def test_batch_normalization(shape, epsilon):
    attrs = {} if epsilon is None else {"epsilon": epsilon}
    check_rule("BatchNormalization", [shape], weights=STATISTICS, **attrs)


def test_batch_normalization_in_float16():
    check_rule("BatchNormalization", [(2, 3, 4, 2)], weights=STATISTICS, dtype=np.float16)


def test_momentum_means_nothing():
    check_rule("BatchNormalization", [(2, 3, 4)], weights=STATISTICS, momentum=0.1)


def test_statistics_that_are_inputs():
    shapes = [(2, 3, 4), (3,), (3,), (3,)]
    check_rule("BatchNormalization", shapes, weights=[abs(spaced((3,)))])
