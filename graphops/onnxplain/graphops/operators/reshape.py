"""Operators that change the shape or the order of axes, DepthToSpace and SpaceToDepth included."""

from __future__ import annotations

import numpy as np

from onnxplain.graphops.ir import (
    Emitter,
    Node,
    Tensor,
    attribute,
    is_constant,
    is_static,
    known_value,
    rank_of,
    reshape,
    shape_of,
)
from onnxplain.graphops.operators import batching
from onnxplain.graphops.operators.axes import (
    Fields,
    batch_only,
    listed_axes,
    of_first,
    windowed,
    without,
)
from onnxplain.graphops.operators.batching import starts_with_batch
from onnxplain.graphops.operators.constructors import FRACTION, channels_first
from onnxplain.graphops.operators.operator import Operator, Without
from onnxplain.graphops.operators.regroup import agreeing, regrouped
from onnxplain.graphops.operators.roles import Lines, of_data, unknown
from onnxplain.graphops.operators.rules import Signals, to_first
from onnxplain.graphops.operators.window_layout import Placed, Slide, refuse, row_shape

__all__ = ["OPERATORS", "squeezed"]


def _reshaped(op: Emitter, n: Node, g: Tensor) -> Signals:
    return to_first(n, op.reshape_like(g, n.inputs[0]))


def _transpose(op: Emitter, n: Node, g: Tensor) -> Signals:
    perm = attribute(n, "perm")
    if perm is None:  # reverses all axes, which is its own inverse
        return (op.Transpose(g),)
    return (op.Transpose(g, perm=[int(i) for i in np.argsort(perm)]),)


def _flatten_batch(node: Node, batched: list[bool]) -> bool:
    axis, shape = attribute(node, "axis", 1), node.inputs[0].shape
    return axis == 1 or (axis < 0 and shape is not None and axis + len(shape) == 1)


def _reshape_batch(node: Node, batched: list[bool]) -> bool:
    data, shape = node.inputs[0], node.inputs[1]
    out = node.outputs[0].shape
    if data.shape and out and isinstance(out[0], str) and out[0] == data.shape[0]:
        return True
    if not is_constant(shape):
        return starts_with_batch(shape, data)
    target = [int(v) for v in np.ravel(shape.values)]
    if attribute(node, "allowzero", 0) and 0 in target:
        return False
    if not target or not data.shape:
        return bool(target) and target[0] == 0
    image = data.shape[1:]
    if target[0] == -1 and is_static(image):
        rest = [image[i] if v == 0 else v for i, v in enumerate(target[1:])]
        return int(np.prod(rest)) == int(np.prod(image))
    return target[0] == 0


def _transpose_batch(node: Node, batched: list[bool]) -> bool:
    perm = attribute(node, "perm")
    return bool(perm) and perm[0] == 0


@of_first
def _reshape_axes(node: Node, fields: Fields) -> Fields:
    """The axes that keep their size, counted from the first or from the last, keep their fields."""
    before, after = shape_of(node.inputs[0]), shape_of(node.outputs[0])
    first = agreeing(before, after)
    last = agreeing(before[::-1], after[::-1])
    shift = len(after) - len(before)
    return {i: field for i, field in fields.items() if i < first} | {
        i + shift: field for i, field in fields.items() if i >= len(before) - last
    }


@of_first
def _transpose_axes(node: Node, fields: Fields) -> Fields:
    order = attribute(node, "perm") or range(rank_of(node.inputs[0]))[::-1]
    return {to: fields[i] for to, i in enumerate(order) if i in fields}


@of_first
def _squeeze_axes(node: Node, fields: Fields) -> Fields:
    axes = listed_axes(node)
    return squeezed(without(fields, axes), axes) if axes else {}


def squeezed(fields: Fields, axes: list[int]) -> Fields:
    """Return the fields after the removal of these axes, which have no fields."""
    return {i - sum(a < i for a in axes): field for i, field in fields.items()}


@of_first
def _unsqueeze_axes(node: Node, fields: Fields) -> Fields:
    rank, added = rank_of(node.outputs[0]), known_value(node.inputs[1])
    if added is None:
        return {}
    kept = [i for i in range(rank) if i not in added % rank]
    return {kept[i]: field for i, field in fields.items()}


@of_data
def _transpose_roles(node: Node, lines: Lines, output: Tensor) -> Lines:
    return [lines[i] for i in attribute(node, "perm") or range(len(lines))[::-1]]


@of_data
def _squeeze_roles(node: Node, lines: Lines, output: Tensor) -> Lines:
    sizes = shape_of(node.inputs[0])
    axes = listed_axes(node) or [i for i, size in enumerate(sizes) if size == 1]
    kept = [line for i, line in enumerate(lines) if i not in axes]
    return kept if len(kept) == rank_of(output) else unknown(output)


@of_data
def _unsqueeze_roles(node: Node, lines: Lines, output: Tensor) -> Lines:
    rank, added = rank_of(output), known_value(node.inputs[1])
    if added is None:
        return unknown(output)
    old = iter(lines)
    return [() if i in added % rank else next(old) for i in range(rank)]


def _transpose_slide(slide: Slide, node: Node) -> Placed:
    """The map stays; the values of a window are read in another order."""
    x = slide.data(node)
    perm = attribute(node, "perm") or list(range(x.order.ndim + 1))[::-1]
    if perm[0] != 0:
        refuse(node, "moves the batch axis")
    return x.ordered(x.order.transpose([a - 1 for a in perm[1:]]))


def _reshape_slide(slide: Slide, node: Node) -> Placed:
    """The map stays; the values of a window are read in another shape."""
    x = slide.data(node)
    size = x.channels * x.positions
    return x.ordered(x.order.reshape(row_shape(node, node.outputs[0], size)))


def _depth_to_space(op: Emitter, n: Node, g: Tensor) -> Signals:
    block = attribute(n, "blocksize")
    if attribute(n, "mode", "DCR") == "DCR":
        return (op.SpaceToDepth(g, blocksize=block),)
    shape = op.shape(n.inputs[0])
    rows, columns = op.Slice(shape, [2], [3]), op.Slice(shape, [3], [4])
    apart = reshape(op, g, op.Shape(g, end=2), rows, [block], columns, [block])
    blocks = op.Transpose(apart, perm=[0, 1, 3, 5, 2, 4])
    return (op.reshape_like(blocks, n.inputs[0]),)


def _space_to_depth(op: Emitter, n: Node, g: Tensor) -> Signals:
    return (op.DepthToSpace(g, blocksize=attribute(n, "blocksize"), mode="DCR"),)


@of_first
def _space_to_depth_axes(node: Node, fields: Fields) -> Fields:
    block = [attribute(node, "blocksize")] * 2
    return windowed(fields, block, block, [0, 0])


OPERATORS: dict[str, Operator] = {
    "DepthToSpace": channels_first(
        _depth_to_space, axes=batch_only, slide=FRACTION, makes_channels=True
    ),
    "Flatten": Operator(
        _reshaped,
        batch=_flatten_batch,
        axes=_reshape_axes,
        slide=_reshape_slide,
        roles=regrouped,
    ),
    "Reshape": Operator(
        _reshaped,
        batch=_reshape_batch,
        axes=_reshape_axes,
        slide=_reshape_slide,
        roles=regrouped,
    ),
    "SpaceToDepth": channels_first(
        _space_to_depth,
        axes=_space_to_depth_axes,
        slide=Without("its blocks begin at the edge of one window"),
        makes_channels=True,
    ),
    "Squeeze": Operator(
        _reshaped,
        batch=batching.over_axes,
        axes=_squeeze_axes,
        slide=_reshape_slide,
        roles=_squeeze_roles,
    ),
    "Transpose": Operator(
        _transpose,
        batch=_transpose_batch,
        axes=_transpose_axes,
        slide=_transpose_slide,
        roles=_transpose_roles,
    ),
    "Unsqueeze": Operator(
        _reshaped,
        batch=batching.over_axes,
        axes=_unsqueeze_axes,
        slide=_reshape_slide,
        roles=_unsqueeze_roles,
    ),
}
