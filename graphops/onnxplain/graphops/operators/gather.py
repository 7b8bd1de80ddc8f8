"""Operators that pick elements by index, and those that make indices.

Where an element was picked, its signal is added to what else was picked from there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from onnxplain.graphops.errors import UnsupportedOperator
from onnxplain.graphops.ir import HALF, Emitter, Node, Tensor, attribute, onnx_type
from onnxplain.graphops.operators import batching, sliding
from onnxplain.graphops.operators.axes import Fields, axis_of, of_first
from onnxplain.graphops.operators.kinds import (
    NO_PRODUCTS,
    NOT_FOLLOWED,
    STEPS,
    no_flow,
)
from onnxplain.graphops.operators.operator import Operator, Without
from onnxplain.graphops.operators.table import Signals
from onnxplain.graphops.operators.window_layout import Index, Placed, refuse

__all__ = ["OPERATORS", "add_along", "index_range", "indexed_batch", "rank_of", "widened"]


def rank_of(tensor: Tensor, n: Node) -> int:
    """Return the rank of a node's tensor. Raises UnsupportedOperator where it is not known."""
    if tensor.shape is None:
        raise UnsupportedOperator(
            f"{n.op} '{n.name}' cannot be reversed: the rank of '{tensor.name}' is not known"
        )
    return len(tensor.shape)


def widened(op: Emitter, g: Tensor, work: Any) -> Tensor:
    """Do `work` in float32 for half precision, which runtimes cannot add into a tensor in."""
    if onnx_type(g) not in HALF:
        return work(g)
    return op.Cast(work(op.Cast(g, to=onnx.TensorProto.FLOAT)), to=onnx_type(g))


def add_along(op: Emitter, g: Tensor, index: Tensor, axis: int, rank: int, size: Tensor) -> Tensor:
    """Add the slices of `g` along `axis` into zeros at the places `index` (int64[L], L its size).

    `size` is int64[1], the length of the axis in the result.
    """
    others = [i for i in range(rank) if i != axis]
    places = op.Unsqueeze(index, others) if others else index

    def scattered(g: Tensor) -> Tensor:
        shape = op.Shape(g)
        parts = [op.Slice(shape, [0], [axis])] if axis else []
        parts.append(size)
        if axis < rank - 1:
            parts.append(op.Slice(shape, [axis + 1], [rank]))
        zeros = op.Expand(op.constant(0, g.dtype), op.Concat(*parts, axis=0))
        everywhere = op.Expand(places, shape)
        return op.ScatterElements(zeros, everywhere, g, axis=axis, reduction="add")

    return widened(op, g, scattered)


def index_range(op: Emitter, size: Tensor) -> Tensor:
    """Return the places 0, 1, ... on an axis of that size, int64[1]."""
    count = op.Squeeze(size, [0])
    return op.Range(op.constant(0, np.int64), count, op.constant(1, np.int64))


def _gather(op: Emitter, n: Node, g: Any) -> Signals:
    x, index = n.inputs
    rank = rank_of(x, n)
    axis = attribute(n, "axis", 0) % rank
    parts = [op.Slice(op.shape(x), [0], [axis])] if axis else []
    parts.append(op.constant([-1], np.int64))
    if axis < rank - 1:
        parts.append(op.Slice(op.shape(x), [axis + 1], [rank]))
    flat = op.Reshape(g, op.Concat(*parts, axis=0))
    size = op.Slice(op.shape(x), [axis], [axis + 1])
    places = op.Cast(op.Reshape(index, [-1]), to=onnx.TensorProto.INT64)
    return add_along(op, flat, places, axis, rank, size), None


def _top_k(op: Emitter, n: Node, g: Any) -> Signals:
    """Put the signal back where the values were."""
    zeros = op.zeros_like(n.inputs[0], g.dtype)
    axis = attribute(n, "axis", -1)
    return op.ScatterElements(zeros, n.outputs[1], g, axis=axis), None


def _compress(op: Emitter, n: Node, g: Any) -> Signals:
    x, condition = n.inputs
    axis = attribute(n, "axis")
    if axis is None:  # of all elements in a row
        count = op.ReduceProd(op.shape(x), keepdims=1)
        picked = op.Compress(index_range(op, count), condition, axis=0)
        return op.reshape_like(add_along(op, g, picked, 0, 1, count), x), None
    rank = rank_of(x, n)
    size = op.Slice(op.shape(x), [axis % rank], [axis % rank + 1])
    picked = op.Compress(index_range(op, size), condition, axis=0)
    return add_along(op, g, picked, axis % rank, rank, size), None


def _gather_elements(op: Emitter, n: Node, g: Any) -> Signals:
    x, index = n.inputs
    axis = attribute(n, "axis", 0)

    def scattered(g: Tensor) -> Tensor:
        zeros = op.zeros_like(x, g.dtype)
        return op.ScatterElements(zeros, index, g, axis=axis, reduction="add")

    return widened(op, g, scattered), None


def _gather_nd(op: Emitter, n: Node, g: Any) -> Signals:
    x, index = n.inputs
    batch = attribute(n, "batch_dims", 0)
    places = _with_batch(op, n, index, batch)

    def scattered(g: Tensor) -> Tensor:
        return op.ScatterND(op.zeros_like(x, g.dtype), places, g, reduction="add")

    return widened(op, g, scattered), None


def _with_batch(op: Emitter, n: Node, index: Tensor, batch: int) -> Tensor:
    """Prefix each index with its place on the leading axes, which `batch_dims` leaves implicit."""
    index = op.Cast(index, to=onnx.TensorProto.INT64)
    rank = rank_of(n.inputs[1], n)
    columns = []
    shape = op.Concat(op.Slice(op.Shape(index), [0], [rank - 1]), [1], axis=0)
    for axis in range(batch):
        place = index_range(op, op.Slice(op.Shape(index), [axis], [axis + 1]))
        others = [i for i in range(rank) if i != axis]
        columns.append(op.Expand(op.Unsqueeze(place, others), shape))
    return op.Concat(*columns, index, axis=-1) if columns else index


def indexed_batch(node: Node, batched: list[bool]) -> bool:
    """GatherElements and ScatterElements: an index for each image, along another axis."""
    axis = attribute(node, "axis", 0)
    return all(batched) and batching.beside_batch(axis, node.inputs[0])


def _gather_nd_batch(node: Node, batched: list[bool]) -> bool:
    return all(batched) and attribute(node, "batch_dims", 0) > 0


@of_first
def _gather_axes(node: Node, fields: Fields) -> Fields:
    """The axes of the index take the place of the one that was picked from."""
    axis, added = axis_of(node, 0), len(node.inputs[1].shape) - 1
    return {i + added * (i > axis): f for i, f in fields.items() if i != axis}


@sliding.picked
def _gather_slide(node: Node, x: Placed, known: list[np.ndarray]) -> Index:
    axis = int(attribute(node, "axis", 0)) % (x.order.ndim + 1)
    if axis == 0:
        refuse(node, "takes single images of a batch")
    return np.take(x.order, known[0], axis=axis - 1)


INDEXED = Without("its indices count the positions of one window")
SORTED = Without("which positions are picked depends on their values")

OPERATORS: dict[str, Operator] = {
    "Compress": Operator(
        _compress,
        batch=batching.axes_by_attribute,
        axes=NOT_FOLLOWED,
        slide=Without("not written: exporters write Gather"),
        cost=NO_PRODUCTS,
    ),
    "Gather": Operator(
        _gather,
        batch=batching.along_axis(0),
        axes=_gather_axes,
        slide=_gather_slide,
        cost=NO_PRODUCTS,
    ),
    "GatherElements": Operator(
        _gather_elements, batch=indexed_batch, axes=NOT_FOLLOWED, slide=INDEXED, cost=NO_PRODUCTS
    ),
    "GatherND": Operator(
        _gather_nd, batch=_gather_nd_batch, axes=NOT_FOLLOWED, slide=INDEXED, cost=NO_PRODUCTS
    ),
    "OneHot": no_flow(STEPS),
    "TopK": Operator(
        _top_k, batch=batching.along_axis(-1), axes=SORTED, slide=SORTED, cost=NO_PRODUCTS
    ),
    "Unique": no_flow(STEPS),
}
