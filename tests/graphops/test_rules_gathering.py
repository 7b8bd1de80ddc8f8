"""The operators that pick elements by index or put them there; negative and repeated ones too."""

import numpy as np
import onnx
import pytest
import torch
from check_rule import check_rule, one_node, run, spaced

from onnxplain.graphops import Options, check, rewrite
from onnxplain.graphops.errors import UnsupportedOperator

SHAPE = (2, 3, 4, 5)


def ints(values, kind=np.int64):
    return np.array(values, kind)


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -4, None])
@pytest.mark.parametrize("index", [[1, 0], [-1, 1, -1], [[0, 1], [1, 1]], 1, -1], ids=str)
def test_gather(index, axis):
    attrs = {} if axis is None else {"axis": axis}
    check_rule("Gather", [SHAPE], weights=[ints(index)], linear=True, **attrs)


def test_gather_with_int32_and_from_one_axis():
    check_rule("Gather", [SHAPE], weights=[ints([0, 0, 2], np.int32)], axis=-1)
    check_rule("Gather", [(5,)], weights=[ints([[4, 0], [-1, 2]])])
    check_rule("Gather", [(5,)], weights=[ints(3)])
    check_rule("Gather", [SHAPE], weights=[ints([])], axis=2)


@pytest.mark.parametrize("kind", [np.int64, np.int32])
@pytest.mark.parametrize(
    ("index", "axis"),
    [
        ([[0, 1, 1, 2], [2, 2, 0, 0]], 0),
        ([[0, -1], [2, 0], [0, 0]], 1),
        ([[0, -3, 1, 2]], -2),
        ([[3, 3, 3, 3, 3, -4]] * 3, -1),
    ],
    ids=str,
)
def test_gather_elements(index, axis, kind):
    check_rule("GatherElements", [(3, 4)], weights=[ints(index, kind)], linear=True, axis=axis)


def test_gather_elements_by_default_and_as_pytorch_does():
    index = ints([[[0, 1], [1, 0], [0, 0]]])
    check_rule("GatherElements", [(2, 3, 2)], weights=[index])
    check_rule("GatherElements", [(2, 3, 2)], weights=[index],
               oracle=lambda x: torch.gather(x, 0, torch.tensor(index)))  # fmt: skip


@pytest.mark.parametrize(
    ("index", "batch_dims"),
    [
        ([[0, 1], [2, 3], [0, 1]], 0),
        ([[-1], [0], [-1], [2]], 0),
        ([[[0, -1, 1]], [[2, 0, 0]]], 0),
        ([[1], [3], [0]], 1),
        ([[[1, 0], [1, 0]], [[-1, -1], [0, 1]], [[0, 0], [3, 1]]], 1),
        ([[[1], [0], [1], [1]], [[0], [0], [-1], [1]], [[1], [1], [1], [0]]], 2),
    ],
    ids=str,
)
def test_gather_nd(index, batch_dims):
    attrs = {"batch_dims": batch_dims} if batch_dims else {}
    check_rule("GatherND", [(3, 4, 2)], weights=[ints(index)], linear=True, **attrs)


@pytest.mark.parametrize("wrt", [0, 1])
@pytest.mark.parametrize("index", [[[1], [3]], [[-1], [0]], [[[0, 1], [4, -1]]]], ids=str)
def test_scatter_nd(index, wrt):
    updates = np.zeros((5, 3))[tuple(np.moveaxis(ints(index), -1, 0))].shape
    check_rule("ScatterND", [(5, 3), updates], wrt=wrt, weights=[ints(index)],
               inputs=["x0", "w0", "x1"], linear=True)  # fmt: skip


@pytest.mark.parametrize("wrt", [0, 1])
def test_scatter_nd_that_adds(wrt):
    """There an index may repeat."""
    check_rule("ScatterND", [(5, 3), (3, 3)], wrt=wrt, weights=[ints([[1], [3], [1]])],
               inputs=["x0", "w0", "x1"], linear=True, reduction="add")  # fmt: skip


@pytest.mark.parametrize("wrt", [0, 1])
@pytest.mark.parametrize(
    ("index", "axis"),
    [([[1, 0, 2]], 0), ([[-1, 4, 0], [0, 1, -4]], 0), ([[2], [0], [-1]], 1)],
    ids=str,
)
def test_scatter_elements(index, axis, wrt):
    check_rule("ScatterElements", [(5, 3), ints(index).shape], wrt=wrt, weights=[ints(index)],
               inputs=["x0", "w0", "x1"], linear=True, axis=axis)  # fmt: skip


@pytest.mark.parametrize("wrt", [0, 1])
def test_scatter_elements_that_add(wrt):
    index = ints([[0, 0, 2, 0], [-1, -1, 1, 2]])
    check_rule("ScatterElements", [(2, 3), (2, 4)], wrt=wrt, weights=[index], linear=True,
               inputs=["x0", "w0", "x1"], axis=1, reduction="add")  # fmt: skip


def test_scatter_with_constants():
    check_rule("ScatterND", [(5, 3)], weights=[ints([[1], [3]]), spaced((2, 3))])
    check_rule("ScatterElements", [(1, 3)], weights=[spaced((5, 3)), ints([[1, 0, 2]])],
               inputs=["w0", "w1", "x0"])  # fmt: skip


@pytest.mark.parametrize("reduction", ["mul", "max", "min"])
@pytest.mark.parametrize("operator", ["ScatterND", "ScatterElements"])
def test_other_ways_to_scatter_are_refused(operator, reduction):
    index = ints([[1]] if operator == "ScatterND" else [[1, 0, 1]])
    constants = {"i": index, "u": spaced((1, 3))}
    attrs = {"reduction": reduction}
    model = one_node(
        operator, ["x", "i", "u"], {"x": spaced((5, 3))}, constants, opset=18, attrs=attrs
    )
    assert reduction in check(model, "y", "gradient").problem
    with pytest.raises(
        UnsupportedOperator, match=f"{operator} 'node' reduces by '{reduction}'.*`to`"
    ):
        rewrite(model, "y", "gradient", Options(select="seed"))


@pytest.mark.parametrize("largest", [0, 1])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_top_k(axis, largest):
    check_rule("TopK", [(4, 5)], weights=[ints([2])], outputs=2, axis=axis, largest=largest)
    check_rule("TopK", [(4, 5)], weights=[ints([3])], outputs=2, axis=axis, sorted=0)


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_compress(axis):
    kept = np.array([True, False, True, True])
    attrs = {} if axis is None else {"axis": axis}
    check_rule("Compress", [(4, 4)], weights=[kept[:3]], linear=True, **attrs)
    check_rule("Compress", [(4, 4)], weights=[kept], linear=True, **attrs)


@pytest.mark.parametrize("operator", ["Gather", "GatherElements", "GatherND", "ScatterElements"])
def test_float16(operator):
    index = ints([[1, 0, 1, 1]])
    if operator == "ScatterElements":
        check_rule(operator, [(3, 4)], weights=[index, spaced((1, 4))], dtype=np.float16)
    elif operator == "GatherND":
        check_rule(operator, [(3, 4)], weights=[index.reshape(2, 2)], dtype=np.float16)
    else:
        check_rule(operator, [(3, 4)], weights=[index], dtype=np.float16)


def test_an_index_that_the_network_computes():
    """Where the highest value is, decides what is picked, and that is no path for a signal."""
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["": 17]>
        best (float[N, 5] x) => (float[N, 1] y)
        { place = ArgMax <axis = 1> (x) best = GatherElements <axis = 1> (x, place)
          y = Mul (best, best) }
    """)
    made = rewrite(model, "y", "gradient", Options(select="seed"))
    x = np.array([[1, 5, 2, 3, 4], [-1, -5, -2, -3, -4]], np.float32)
    (got,) = run(made, {"x": x, "seed": np.array([[1], [2]], np.float32)}, "attribution")
    np.testing.assert_array_equal(got, [[0, 10, 0, 0, 0], [-4, 0, 0, 0, 0]])
