"""BatchNormalization with fixed statistics, at every rank it is used at."""

import numpy as np
import onnx
import pytest
from check_rule import check_rule, run, spaced

from onnxplain.graphops import Options, rewrite

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


def test_batch_normalization_of_mixed_precision():
    """Half-precision data with float32 statistics, as mixed-precision training exports it."""
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["": 17]>
        net (float16[N, 2, 3] x) => (float16[N, 2, 3] y)
        <float[2] s = {2, 4}, float[2] b = {0, 0}, float[2] m = {0, 0}, float[2] v = {1, 4}>
        { y = BatchNormalization <epsilon = 0.0> (x, s, b, m, v) }"""
    )
    artefact = rewrite(model, "y", "gradient", Options(select="seed"))
    onnx.checker.check_model(artefact, full_check=True)
    x = np.ones((1, 2, 3), np.float16)
    (got,) = run(artefact, {"x": x, "seed": x}, "attribution")
    assert got.dtype == np.float16
    np.testing.assert_array_equal(got[0], [[2, 2, 2], [2, 2, 2]])
