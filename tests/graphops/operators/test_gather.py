"""The operators that pick elements by index or put them there; negative and repeated ones too."""

import numpy as np
import onnx
import pytest
import torch
from check_rule import check_rule, one_node, run, spaced

from onnxplain.graphops import Options, rewrite

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


def reduced(reduction, data, index, updates, axis=None):
    """Scatter in a loop, so that autograd sees each update by itself."""
    y = [list(row) for row in data]
    combine = {"mul": torch.mul, "max": torch.maximum, "min": torch.minimum}[reduction]
    for i, row in enumerate(updates):
        for j, value in enumerate(row):
            at = (index[i][0], j) if axis is None else (index[i][j], j) if axis == 0 else None
            r, c = at or (i, index[i][j])
            y[r][c] = combine(y[r][c], value)
    return torch.stack([torch.stack(row) for row in y])


SCATTERED = [  # an index may repeat, and count from the end
    ("ScatterND", [[1], [3], [1]], None),
    ("ScatterElements", [[1, 0, 2], [1, 4, -1], [1, 0, 0]], 0),
    ("ScatterElements", [[2, 0, 2], [1, 1, -2]], 1),
]


@pytest.mark.parametrize("wrt", [0, 1])
@pytest.mark.parametrize("reduction", ["mul", "max", "min"])
@pytest.mark.parametrize(("operator", "index", "axis"), SCATTERED, ids=str)
def test_other_ways_to_scatter(operator, index, axis, reduction, wrt):
    updates = (3, 3) if axis is None else ints(index).shape
    attrs = {"reduction": reduction} | ({} if axis is None else {"axis": axis})
    for zeros in (0, 1, 2):  # in a product, one and two factors of 0 are each a case
        data, added = spaced((5, 3)), spaced(updates, seed=3)
        data[1, : zeros + 1] = 0 if zeros and reduction == "mul" else data[1, : zeros + 1]
        added[0, :zeros] = 0 if reduction == "mul" else added[0, :zeros]
        check_rule(
            operator, [data, added], wrt=wrt, weights=[ints(index)], inputs=["x0", "w0", "x1"],
            opset=18, oracle=lambda d, u: reduced(reduction, d, index, u, axis), **attrs,
        )  # fmt: skip


def test_ties_share_what_comes():
    data, updates = np.array([[3.0, 1, 5]]), np.array([[3.0, 3, 4]])
    index = ints([[0, 0, 1]])
    model = one_node(
        "ScatterElements", ["x", "i", "u"], {"x": data}, {"i": index, "u": updates}, opset=18,
        attrs={"axis": 1, "reduction": "max"},
    )  # fmt: skip
    made = rewrite(model, "y", "gradient", Options(select="seed"))
    feeds = {"x": data.astype(np.float32), "seed": np.array([[6, 7, 8]], np.float32)}
    (got,) = run(made, feeds, "attribution")
    np.testing.assert_array_equal(got, [[2, 0, 8]])


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
