"""The operators that move values about, and the mean over axes."""

import itertools

import numpy as np
import pytest
from check_rule import check_rule


def ints(*values):
    return np.array(values, np.int64)


@pytest.mark.parametrize("wrt", [0, 1])
@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_concat(axis, wrt):
    shapes = [[2, 3, 4], [2, 3, 4]]
    shapes[1][axis] = 5
    check_rule("Concat", [tuple(s) for s in shapes], wrt=wrt, axis=axis)


def test_concat_of_one_and_of_four():
    check_rule("Concat", [(2, 3)], axis=1)
    check_rule("Concat", [(2, 3), (2, 1), (2, 4), (2, 2)], wrt=2, axis=-1)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concat_of_the_same_tensor_twice(axis):
    check_rule("Concat", [(2, 3, 4)], inputs=["x0", "x0"], axis=axis)
    check_rule("Concat", [(2, 3, 4), (2, 3, 4)], inputs=["x0", "x1", "x0"], axis=axis)


def test_concat_with_a_constant():
    weight = np.ones((2, 1, 4), np.float32)
    check_rule("Concat", [(2, 3, 4)], weights=[weight], axis=1)
    check_rule("Concat", [(2, 3, 4)], weights=[weight], inputs=["w0", "x0"], axis=1)


@pytest.mark.parametrize("axis", [None, 0, 1, 2, 3, -1, -3])
def test_flatten(axis):
    check_rule("Flatten", [(2, 3, 4)], **({} if axis is None else {"axis": axis}))


@pytest.mark.parametrize(
    "shape", [(6, 4), (0, -1), (-1, 4), (0, 0, 2, 2), (-1,), (2, 1, 3, 1, 4), (1, -1)], ids=str
)
def test_reshape(shape):
    check_rule("Reshape", [(2, 3, 4)], weights=[ints(*shape)])


def test_reshape_allowzero():
    check_rule("Reshape", [(2, 3, 4)], weights=[ints(4, 6)], allowzero=1)


def test_reshape_to_a_scalar_and_back():
    check_rule("Reshape", [(1, 1)], weights=[ints()])
    check_rule("Reshape", [()], weights=[ints(1, 1)])


@pytest.mark.parametrize("perm", [None, *itertools.permutations(range(3))], ids=str)
def test_transpose(perm):
    check_rule("Transpose", [(2, 3, 4)], **({} if perm is None else {"perm": perm}))


def test_transpose_of_higher_ranks():
    check_rule("Transpose", [(2, 3, 4, 1, 2)], perm=[3, 0, 4, 2, 1])
    check_rule("Transpose", [(2, 3, 2, 2)])
    check_rule("Transpose", [(5,)])


@pytest.mark.parametrize("axes", [(1,), (1, 3), (-1,), (-3, 0)], ids=str)
def test_squeeze(axes):
    check_rule("Squeeze", [(1, 1, 3, 1)], weights=[ints(*axes)])


def test_squeeze_all():
    check_rule("Squeeze", [(1, 2, 1, 3)], variants=["static"])


@pytest.mark.parametrize("axes", [(0,), (1, 3), (-1,), (-2, 1)], ids=str)
def test_unsqueeze(axes):
    check_rule("Unsqueeze", [(2, 3)], weights=[ints(*axes)])


AXES = [(0,), (1,), (2, 3), (-1, -2), (1, -1), (0, 1, 2, 3), (3, 1)]


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", AXES, ids=str)
def test_reduce_mean(axes, keepdims):
    check_rule("ReduceMean", [(2, 3, 2, 4)], axes=axes, keepdims=keepdims)


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", AXES, ids=str)
def test_reduce_mean_with_axes_as_an_input(axes, keepdims):
    check_rule("ReduceMean", [(2, 3, 2, 4)], weights=[ints(*axes)], opset=18, keepdims=keepdims)


@pytest.mark.parametrize("opset", [17, 18])
@pytest.mark.parametrize("keepdims", [0, 1, None])
def test_reduce_mean_over_everything(keepdims, opset):
    check_rule(
        "ReduceMean",
        [(2, 3, 4)],
        opset=opset,
        **({} if keepdims is None else {"keepdims": keepdims}),
    )


@pytest.mark.parametrize("weights", [[], [None], [ints()]], ids=["absent", "omitted", "empty"])
@pytest.mark.parametrize("noop", [0, 1])
def test_reduce_mean_without_axes(noop, weights):
    check_rule("ReduceMean", [(2, 3, 4)], weights=weights, opset=18, noop_with_empty_axes=noop)


def test_dropout():
    check_rule("Dropout", [(2, 3, 4)])
    check_rule("Dropout", [(2, 3, 4)], weights=[np.array(0.3, np.float32)], outputs=2)
    check_rule("Dropout", [(2, 3)], weights=[np.array(0.3, np.float32), np.array(False)])
