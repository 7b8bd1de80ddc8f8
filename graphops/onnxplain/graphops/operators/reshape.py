"""Operators that give the values another shape or another order of axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxplain.graphops.ir import Emitter, Node, attribute, is_constant, known_value
from onnxplain.graphops.operators import batching
from onnxplain.graphops.operators.axes import (
    Fields,
    listed_axes,
    of_first,
    rank_of_input,
    without,
)
from onnxplain.graphops.operators.batching import rank, starts_with_batch
from onnxplain.graphops.operators.kinds import NO_PRODUCTS
from onnxplain.graphops.operators.operator import Operator
from onnxplain.graphops.operators.table import Signals
from onnxplain.graphops.operators.window_layout import Placed, Slide, refuse, row_shape

__all__ = ["OPERATORS", "squeezed"]


def _reshaped(op: Emitter, n: Node, g: Any) -> Signals:
    return (op.reshape_like(g, n.inputs[0]), *(None for _ in n.inputs[1:]))


def _transpose(op: Emitter, n: Node, g: Any) -> Signals:
    perm = attribute(n, "perm")
    if perm is None:  # all axes reversed, which is its own inverse
        return (op.Transpose(g),)
    return (op.Transpose(g, perm=[int(i) for i in np.argsort(perm)]),)


def _flatten_batch(node: Node, batched: list[bool]) -> bool:
    axis, size = attribute(node, "axis", 1), rank(node.inputs[0])
    return axis == 1 or (axis < 0 and size is not None and axis + size == 1)


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
    if target[0] == -1 and all(isinstance(d, int) for d in image):
        rest = [image[i] if v == 0 else v for i, v in enumerate(target[1:])]
        return int(np.prod(rest)) == int(np.prod(image))
    return target[0] == 0


def _transpose_batch(node: Node, batched: list[bool]) -> bool:
    perm = attribute(node, "perm")
    return bool(perm) and perm[0] == 0


@of_first
def _reshape_axes(node: Node, fields: Fields) -> Fields:
    """Axes that keep their size, counted from the first or from the last, stay what they were."""
    before, after = node.inputs[0].shape, node.outputs[0].shape
    first = _agreeing(before, after)
    last = _agreeing(before[::-1], after[::-1])
    shift = len(after) - len(before)
    return {i: field for i, field in fields.items() if i < first} | {
        i + shift: field for i, field in fields.items() if i >= len(before) - last
    }


def _agreeing(before: list[int | str | None], after: list[int | str | None]) -> int:
    count = 0
    for a, b in zip(before, after, strict=False):
        if a is None or a != b:
            break
        count += 1
    return count


@of_first
def _transpose_axes(node: Node, fields: Fields) -> Fields:
    order = attribute(node, "perm") or range(rank_of_input(node))[::-1]
    return {to: fields[i] for to, i in enumerate(order) if i in fields}


@of_first
def _squeeze_axes(node: Node, fields: Fields) -> Fields:
    axes = listed_axes(node)
    return squeezed(without(fields, axes), axes) if axes else {}


def squeezed(fields: Fields, axes: list[int]) -> Fields:
    """Return the fields after these axes, which are not among theirs, were taken away."""
    return {i - sum(a < i for a in axes): field for i, field in fields.items()}


@of_first
def _unsqueeze_axes(node: Node, fields: Fields) -> Fields:
    size, added = len(node.outputs[0].shape), known_value(node.inputs[1])
    if added is None:
        return {}
    kept = [i for i in range(size) if i not in added % size]
    return {kept[i]: field for i, field in fields.items()}


def _transpose_slide(slide: Slide, node: Node) -> Placed:
    """The map stays, and a window of it is read in another order."""
    x = slide.data(node)
    perm = attribute(node, "perm") or list(range(x.order.ndim + 1))[::-1]
    if perm[0] != 0:
        refuse(node, "moves the images of a batch")
    return x.ordered(x.order.transpose([a - 1 for a in perm[1:]]))


def _reshape_slide(slide: Slide, node: Node) -> Placed:
    """The map stays, and a window of it is read in another shape."""
    x = slide.data(node)
    size = x.channels * x.positions
    return x.ordered(x.order.reshape(row_shape(node, node.outputs[0], size)))


OPERATORS: dict[str, Operator] = {
    "Flatten": Operator(
        _reshaped, batch=_flatten_batch, axes=_reshape_axes, slide=_reshape_slide, cost=NO_PRODUCTS
    ),
    "Reshape": Operator(
        _reshaped, batch=_reshape_batch, axes=_reshape_axes, slide=_reshape_slide, cost=NO_PRODUCTS
    ),
    "Squeeze": Operator(
        _reshaped,
        batch=batching.over_axes,
        axes=_squeeze_axes,
        slide=_reshape_slide,
        cost=NO_PRODUCTS,
    ),
    "Transpose": Operator(
        _transpose,
        batch=_transpose_batch,
        axes=_transpose_axes,
        slide=_transpose_slide,
        cost=NO_PRODUCTS,
    ),
    "Unsqueeze": Operator(
        _reshaped,
        batch=batching.over_axes,
        axes=_unsqueeze_axes,
        slide=_reshape_slide,
        cost=NO_PRODUCTS,
    ),
}
