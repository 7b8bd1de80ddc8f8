"""The reductions over any axes, said by attribute or by input."""

import numpy as np
import onnx
import pytest
import torch
from check_rule import check_rule, run, spaced

from onnxplain.graphops import Options, check, rewrite
from onnxplain.graphops.errors import UnsupportedModel

SHAPE = (2, 3, 2, 4)
REDUCTIONS = [
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMin",
    "ReduceProd", "ReduceSum", "ReduceSumSquare",
]  # fmt: skip
AXES = [(1,), (2, 3), (-1, 1), (0, 1, 2, 3)]


def ints(*values):
    return np.array(values, np.int64)


def image(operator, shape=SHAPE):
    return spaced(shape, positive=operator == "ReduceLogSum")


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", AXES, ids=str)
@pytest.mark.parametrize("operator", REDUCTIONS)
def test_axes_as_an_input(operator, axes, keepdims):
    check_rule(operator, [image(operator)], weights=[ints(*axes)], opset=18, keepdims=keepdims)


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", AXES[1:3], ids=str)
@pytest.mark.parametrize("operator", sorted({*REDUCTIONS} - {"ReduceSum"}))
def test_axes_as_an_attribute(operator, axes, keepdims):
    """ReduceSum's are an input since opset 13."""
    check_rule(operator, [image(operator)], axes=axes, keepdims=keepdims)


@pytest.mark.parametrize("weights", [[], [None], [ints()]], ids=["absent", "omitted", "empty"])
@pytest.mark.parametrize("operator", REDUCTIONS)
def test_without_axes(operator, weights):
    """Over everything, whatever is said of keeping axes."""
    for attrs in ({}, {"keepdims": 0}):
        check_rule(operator, [image(operator)], weights=weights, opset=18, **attrs)


# What ONNX says: no axis is reduced, and what surrounds the sum is done all the same.
NOTHING = {
    "ReduceL1": torch.abs,
    "ReduceL2": torch.abs,
    "ReduceLogSum": torch.log,
    "ReduceLogSumExp": lambda x: x,
    "ReduceMax": lambda x: x,
    "ReduceMin": lambda x: x,
    "ReduceProd": lambda x: x,
    "ReduceSum": lambda x: x,
    "ReduceSumSquare": torch.square,
}


@pytest.mark.parametrize("weights", [[], [ints()]], ids=["absent", "empty"])
@pytest.mark.parametrize("operator", REDUCTIONS)
def test_noop_with_empty_axes(operator, weights):
    check_rule(operator, [image(operator)], weights=weights, opset=18, noop_with_empty_axes=1,
               oracle=NOTHING[operator])  # fmt: skip


@pytest.mark.parametrize("operator", REDUCTIONS)
def test_of_one_axis_and_of_one_element(operator):
    for shape in ((5,), (1,), (2, 1)):
        check_rule(operator, [image(operator, shape)], weights=[ints(-1)], opset=18)


# By hand: product of the others; zeros; ties.


def reversed_by(operator, x, seed):
    """Return the signal at x where the operator reduces its last axis."""
    rows = np.array(x, np.float32)
    model = onnx.parser.parse_model(f"""
        <ir_version: 8, opset_import: ["": 18]>
        reduced (float[N, K] x) => (float[N, 1] y)
        <int64[1] axes = {{1}}> {{ y = {operator} (x, axes) }}
    """)
    made = rewrite(model, "y", "gradient", Options(select="seed"))
    return run(made, {"x": rows, "seed": np.array(seed, np.float32)}, "attribution")[0]


def test_product_of_zeros():
    x = [[2, 3, 4], [2, 0, 4], [0, 3, 0], [0, 0, 0]]
    expected = [[12, 8, 6], [0, 16, 0], [0, 0, 0], [0, 0, 0]]
    np.testing.assert_allclose(
        reversed_by("ReduceProd", x, [[1], [2], [3], [4]]), expected, rtol=1e-6
    )


def test_product_of_zeros_as_pytorch_does():
    x = np.array([[2, 3, 4], [2, 0, 4], [0, 3, 0], [-1, 5, 0]], np.float32)
    check_rule(
        "ReduceProd", [x], weights=[ints(1)], opset=18, oracle=lambda x: x.prod(1, keepdim=True)
    )


def test_norm_of_zeros():
    found = reversed_by("ReduceL2", [[3, 4], [0, 0]], [[5], [7]])
    np.testing.assert_allclose(found, [[3, 4], [0, 0]], rtol=1e-6)
    np.testing.assert_array_equal(reversed_by("ReduceL1", [[3, -4, 0]], [[5]]), [[5, -5, 0]])


def test_equal_extremes_share():
    x = [[1, 3, 3, 0], [2, 2, 2, 2]]
    np.testing.assert_array_equal(
        reversed_by("ReduceMax", x, [[4], [8]]), [[0, 2, 2, 0], [2, 2, 2, 2]]
    )
    np.testing.assert_array_equal(
        reversed_by("ReduceMin", x, [[4], [8]]), [[0, 0, 0, 4], [2, 2, 2, 2]]
    )


def test_equal_extremes_as_pytorch_does():
    x = np.array([[1, 3, 3, 0], [2, 2, 2, 2]], np.float32)
    for operator, same in (("ReduceMax", torch.amax), ("ReduceMin", torch.amin)):
        check_rule(operator, [x], axes=[1], oracle=lambda x, same=same: same(x, 1, keepdim=True))


def test_log_sum_exp_of_large_numbers():
    x = np.array([[95, 94, -99], [-91, -92, -93]], np.float32)
    check_rule(
        "ReduceLogSumExp", [x], axes=[1], oracle=lambda x: torch.logsumexp(x, 1, keepdim=True)
    )


FROM_TWO_ON = """
<ir_version: 8, opset_import: ["": 18]>
reduced (float[N, 3, H, W] x) => (float[N, 3, P, Q] y) <int64 one = {1}, int64 two = {2}>
{
    size = Shape (x) rank = Shape (size) last = Squeeze (rank)
    axes = Range (two, last, one)
    y = ReduceMean (x, axes)
}
"""


def test_axes_that_follow_from_constants():
    """All from 2 on, as exporters say it that do not count."""
    made = rewrite(onnx.parser.parse_model(FROM_TWO_ON), "y", "gradient", Options(select="seed"))
    x, seed = spaced((2, 3, 4, 5)), spaced((2, 3, 1, 1), seed=1)
    (got,) = run(made, {"x": x, "seed": seed}, "attribution")
    np.testing.assert_allclose(got, np.broadcast_to(seed / 20, x.shape), rtol=1e-6)


def test_axes_that_are_an_input_are_refused():
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["": 18]>
        reduced (float[N, 3] x, int64[1] axes) => (float[N, P] y) { y = ReduceSum (x, axes) }
    """)
    assert not check(model, "y", "gradient").ok
    with pytest.raises(UnsupportedModel, match="axes of ReduceSum .* fixed axes"):
        rewrite(model, "y", "gradient", Options(select="seed"))


@pytest.mark.parametrize("operator", [*REDUCTIONS, "ReduceMean"])
def test_float16(operator):
    weights = [ints(1, 2)]
    check_rule(operator, [image(operator)], weights=weights, opset=18, dtype=np.float16)
