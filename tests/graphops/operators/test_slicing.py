"""The operators that cut, pad, repeat and part."""

import itertools

import numpy as np
import onnx
import pytest
import torch
from artefacts import artefact, run
from check_rule import check_rule, one_node, spaced

from onnxplain.graphops import Options, check, rewrite
from onnxplain.graphops.errors import UnsupportedOperator

SHAPE = (2, 3, 4, 5)
FAR = 2**63 - 1


def ints(*values):
    return np.array(values, np.int64)


@pytest.mark.parametrize(
    ("starts", "ends", "axes", "steps"),
    [
        ((1, -1), (3, -5), (1, 3), (1, -2)),
        ((0, 1), (9, 4), (-1, 2), (2, 2)),
        ((-2,), (FAR,), (-1,), (1,)),
        ((FAR,), (-FAR,), (3,), (-1,)),  # turned around whole
        ((-1, -1), (-FAR, -FAR), (2, 3), (-1, -3)),
        ((-99,), (2,), (3,), (1,)),
        ((99,), (1,), (3,), (-1,)),
        ((4,), (-99,), (3,), (-4,)),
        ((0, 0, 0, 0), (FAR, FAR, FAR, FAR), (0, 1, 2, 3), (1, 1, 2, 3)),
        ((1,), (2,), (2,), (9,)),
    ],
    ids=str,
)
def test_slice(starts, ends, axes, steps):
    weights = [ints(*v) for v in (starts, ends, axes, steps)]
    check_rule("Slice", [SHAPE], weights=weights)
    check_rule(
        "Slice", [SHAPE], weights=[w.clip(-(2**31), 2**31 - 1).astype(np.int32) for w in weights]
    )


def test_slice_without_axes_or_steps():
    check_rule("Slice", [SHAPE], weights=[ints(0, 1, 0, 2), ints(1, 3, 4, 4)])
    check_rule("Slice", [(4, 5)], weights=[ints(1, 0), ints(3, -1)])
    check_rule("Slice", [SHAPE], weights=[ints(1), ints(3), ints(2)])
    check_rule("Slice", [SHAPE], weights=[ints(0, 3), ints(FAR, 0), ints(1, 2), ints(2, -1)])


def test_slice_to_nothing():
    """An empty part carries an empty signal: zeros arrive."""
    constants = {"s": ints(2), "e": ints(1), "a": ints(1)}
    model = one_node("Slice", ["x", *constants], {"x": spaced((2, 3))}, constants)
    made = rewrite(model, "y", "gradient", Options(select="seed"))
    found = run(made, x=spaced((2, 3)), seed=np.zeros((2, 0), np.float32))
    np.testing.assert_array_equal(found["attribution"], np.zeros((2, 3)))


def test_slice_with_axes_that_are_not_constant_is_refused():
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["": 17]>
        sliced (float[N, 3, 4] x, int64[1] a) => (float[N, P, Q] y)
        <int64[1] s = {1}, int64[1] e = {2}> { y = Slice (x, s, e, a) }
    """)
    assert not check(model, "y", "gradient").ok
    with pytest.raises(UnsupportedOperator, match="axes of Slice .* fixed axes"):
        rewrite(model, "y", "gradient", Options(select="seed"))


COMPUTED = """
<ir_version: 8, opset_import: ["": 17]>
halves (float[N, 4, H, W] x) => (float[N, 4, P, Q] y)
<int64[1] zero = {0}, int64[1] two = {2}, int64[1] last = {3}>
{
    width = Shape <start = 3> (x)
    half = Div (width, two)
    left = Slice (x, zero, half, last)
    right = Slice (x, half, width, last)
    y = Mul (left, right)
}
"""


def test_slice_by_computed_sizes():
    made = artefact(onnx.parser.parse_model(COMPUTED), "y", "gradient", select="seed")
    for size in (4, 6):
        x = spaced((2, 4, 3, size))
        seed = spaced((2, 4, 3, size // 2), seed=1)
        left, right = x[..., : size // 2], x[..., size // 2 :]
        expected = np.concatenate([seed * right, seed * left], axis=3)
        np.testing.assert_allclose(run(made, x=x, seed=seed)["attribution"], expected, rtol=1e-6)


# Pads.

PADS = [
    (0, 0, 1, 2, 0, 0, 2, 1),
    (0, 0, -1, 2, 0, 0, 2, -1),
    (0, 0, 0, 0, 0, 0, 0, 0),
    (0, 0, 3, 0, 0, 0, 0, 4),
]


@pytest.mark.parametrize(
    "pads", [*PADS, (1, 2, 0, 0, 3, 0, 1, 1), (0, -1, -1, -2, -1, 0, -1, -1)], ids=str
)
def test_pad_constant(pads):
    check_rule("Pad", [SHAPE], weights=[ints(*pads)])
    check_rule("Pad", [SHAPE], weights=[ints(*pads), np.array(2.5, np.float32)], mode="constant",
               oracle=lambda x: padded(x, pads))  # fmt: skip


def padded(x, pads):
    both = [side for axis in (3, 2, 1, 0) for side in (pads[axis], pads[axis + 4])]
    return torch.nn.functional.pad(x, both, value=2.5)


@pytest.mark.parametrize("pads", PADS, ids=str)
@pytest.mark.parametrize("mode", ["reflect", "edge", "wrap"])
def test_pad_by_copies(mode, pads):
    if mode == "reflect":
        pads = np.minimum(pads, 3)  # no more than there is to reflect
    check_rule("Pad", [SHAPE], weights=[ints(*pads)], opset=19, mode=mode)


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
@pytest.mark.parametrize("axes", [(2, 3), (-1, 1), (3,)], ids=str)
def test_pad_axes(axes, mode):
    pads = [1, 2, 2, 0] if len(axes) == 2 else [2, 1]
    check_rule("Pad", [SHAPE], weights=[ints(*pads), None, ints(*axes)], opset=19, mode=mode)


def test_pad_of_one_and_three_dimensions():
    for mode in ("constant", "reflect", "edge"):
        check_rule("Pad", [(5,)], weights=[ints(2, 3)], mode=mode)
        check_rule(
            "Pad", [(1, 2, 3, 3, 2)], weights=[ints(0, 0, 1, 2, 1, 0, 0, 2, 0, 1)], mode=mode
        )


def test_pad_by_computed_sizes():
    """As converters from TensorFlow write SAME padding."""
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["": 17]>
        same (float[N, 3, H, W] x) => (float[N, 3, P, Q] y)
        <int64[2] none = {0, 0}, int64[2] two = {2, 2}>
        { size = Shape <start = 2> (x) odd = Mod (size, two)
          pads = Concat <axis = 0> (none, two, none, odd) y = Pad (x, pads) }
    """)
    made = artefact(model, "y", "gradient", select="seed")
    for size in (3, 4):
        x = spaced((1, 3, size, 5))
        seed = spaced((1, 3, size + 2 + size % 2, 8), seed=1)
        found = run(made, x=x, seed=seed)["attribution"]
        np.testing.assert_array_equal(found, seed[:, :, 2 : 2 + size, 2:7])


# Copies and parts.


@pytest.mark.parametrize(
    ("shape", "repeats"),
    [
        ((2, 3), (2, 3)),
        ((2, 3), (1, 1)),
        ((3,), (4,)),
        ((1, 2, 3, 2), (1, 3, 1, 2)),
        ((2, 1), (1, 5)),
    ],
    ids=str,
)
def test_tile(shape, repeats):
    check_rule("Tile", [shape], weights=[ints(*repeats)])


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
def test_split_of_which_one_part_is_used(axis):
    check_rule("Split", [(4, 6)], outputs=2, axis=axis)
    check_rule("Split", [(4, 6)], opset=18, outputs=2, axis=axis, num_outputs=2)
    check_rule(
        "Split",
        [(4, 6)],
        weights=[ints(1, 3) if axis in (0, -2) else ints(4, 2)],
        outputs=2,
        axis=axis,
    )


def test_split_into_parts_of_unequal_size():
    check_rule("Split", [(2, 7)], opset=18, outputs=3, axis=1, num_outputs=3)  # 3, 3 and 1


@pytest.mark.parametrize("used", list(itertools.product([0, 1], repeat=3))[1:], ids=str)
def test_split_of_which_some_parts_are_used(used):
    text = f"""
    <ir_version: 8, opset_import: ["": 17]>
    parts (float[N, 6, H, W] x) => (float[N, C, H, W] y) <int64[3] sizes = {{1, 2, 3}}>
    {{ a, b, c = Split <axis = 1> (x, sizes) d = Relu (a)
       y = Concat <axis = 1> ({", ".join(itertools.compress("dbc", used))}) }}
    """
    made = artefact(onnx.parser.parse_model(text), "y", "gradient", select="seed")
    x = spaced((2, 6, 2, 3))
    expected = np.zeros_like(x)
    seed = spaced((2, sum(itertools.compress((1, 2, 3), used)), 2, 3), seed=1)
    first = 0
    for place, size, is_used in zip((0, 1, 3), (1, 2, 3), used, strict=True):
        if is_used:
            expected[:, place : place + size] = seed[:, first : first + size]
            first += size
    expected[:, 0] *= x[:, 0] > 0
    np.testing.assert_array_equal(run(made, x=x, seed=seed)["attribution"], expected)


def test_reverse_sequence():
    lengths = ints(1, 3, 2, 4)
    check_rule("ReverseSequence", [(4, 4, 2)], weights=[lengths])
    check_rule("ReverseSequence", [(4, 4)], weights=[lengths], batch_axis=0, time_axis=1)


@pytest.mark.parametrize("size", [(2, 9), (3, 2), (7, 6), (4, 5)], ids=str)
def test_center_crop_pad(size):
    check_rule("CenterCropPad", [SHAPE], weights=[ints(*size)], opset=18, axes=[2, 3])
    check_rule("CenterCropPad", [(4, 5)], weights=[ints(*size)], opset=18)


@pytest.mark.parametrize("operator", ["Slice", "Pad", "Tile"])
def test_float16(operator):
    weights = {
        "Slice": [ints(1, -1), ints(3, -5), ints(1, 3), ints(1, -2)],
        "Pad": [ints(0, 0, 1, 2, 0, 0, 2, 1)],
        "Tile": [ints(1, 2, 1, 1)],
    }[operator]
    check_rule(operator, [SHAPE], weights=weights, dtype=np.float16)
    if operator == "Pad":
        check_rule(operator, [SHAPE], weights=weights, dtype=np.float16, mode="reflect")
