"""Operators that pick elements by index: the signals of an element picked several times add up."""

from __future__ import annotations

import numpy as np
import onnx

from onnxplain.graphops.ir import (
    Emitter,
    Node,
    Tensor,
    attribute,
    dtype_of,
    known_value,
    onnx_type,
    rank_of,
    reshape,
    shape_of,
)
from onnxplain.graphops.operators import batching, roles, sliding
from onnxplain.graphops.operators.axes import Fields, axis_of, of_first
from onnxplain.graphops.operators.constructors import INDEXED, NOT_FOLLOWED, STEPS, no_flow
from onnxplain.graphops.operators.operator import Operator, Without
from onnxplain.graphops.operators.regroup import regrouped
from onnxplain.graphops.operators.roles import Lines, Role, of_data, unknown
from onnxplain.graphops.operators.rules import Signals
from onnxplain.graphops.operators.window_layout import Index, Placed, refuse

__all__ = ["OPERATORS", "add_along", "axis_size", "index_range", "indexed_batch"]


def add_along(op: Emitter, g: Tensor, index: Tensor, axis: int, rank: int, size: Tensor) -> Tensor:
    """Add the slices of `g` along `axis` into zeros at the positions `index`, one for each slice.

    index: int64[L]. size: int64[1], the length of the axis in the result. Half precision is added
    in float32, since runtimes lack kernels for it.
    """
    others = [i for i in range(rank) if i != axis]
    positions = op.Unsqueeze(index, others) if others else index
    wide = op.widened(g)
    shape = op.Shape(wide)
    parts = [op.Slice(shape, [0], [axis])] if axis else []
    parts.append(size)
    if axis < rank - 1:
        parts.append(op.Slice(shape, [axis + 1], [rank]))
    zeros = op.Expand(op.constant(0, dtype_of(wide)), op.Concat(*parts, axis=0))
    everywhere = op.Expand(positions, shape)
    summed = op.ScatterElements(zeros, everywhere, wide, axis=axis, reduction="add")
    return op.narrowed(summed, onnx_type(g))


def axis_size(op: Emitter, x: Tensor, axis: int) -> Tensor:
    """Return the size of an axis, counted from 0, as int64[1]."""
    return op.Slice(op.shape(x), [axis], [axis + 1])


def index_range(op: Emitter, size: Tensor) -> Tensor:
    """Return the positions 0, 1, ... on an axis of that size, int64[1]."""
    count = op.Squeeze(size, [0])
    return op.Range(op.constant(0, np.int64), count, op.constant(1, np.int64))


def _gather(op: Emitter, n: Node, g: Tensor) -> Signals:
    x, index = n.inputs
    rank = rank_of(x)
    axis = attribute(n, "axis", 0) % rank
    positions = op.Cast(op.Reshape(index, [-1]), to=onnx.TensorProto.INT64)
    parts = [op.Slice(op.shape(x), [0], [axis])] if axis else []
    parts.append(op.Shape(positions))
    if axis < rank - 1:
        parts.append(op.Slice(op.shape(x), [axis + 1], [rank]))
    flat = reshape(op, g, *parts)
    size = axis_size(op, x, axis)
    return add_along(op, flat, positions, axis, rank, size), None


def _gather_batch(node: Node, batched: list[bool]) -> bool:
    """Of rows of a table that each image picks by its own indices, axis 0 is the indices'."""
    data, index = batched
    if index:
        return not data and attribute(node, "axis", 0) == 0
    return batching.beside_batch(attribute(node, "axis", 0), node.inputs[0])


def _top_k(op: Emitter, n: Node, g: Tensor) -> Signals:
    """Scatter the signal to the positions that the values came from."""
    zeros = op.zeros_like(n.inputs[0], g.dtype)
    axis = attribute(n, "axis", -1)
    return op.ScatterElements(zeros, n.outputs[1], g, axis=axis), None


def _compress(op: Emitter, n: Node, g: Tensor) -> Signals:
    x, condition = n.inputs
    axis = attribute(n, "axis")
    if axis is None:  # x is flattened
        count = op.ReduceProd(op.shape(x), keepdims=1)
        picked = op.Compress(index_range(op, count), condition, axis=0)
        return op.reshape_like(add_along(op, g, picked, 0, 1, count), x), None
    rank = rank_of(x)
    size = axis_size(op, x, axis % rank)
    picked = op.Compress(index_range(op, size), condition, axis=0)
    return add_along(op, g, picked, axis % rank, rank, size), None


def _gather_elements(op: Emitter, n: Node, g: Tensor) -> Signals:
    x, index = n.inputs
    wide = op.widened(g)
    zeros = op.zeros_like(x, wide.dtype)
    summed = op.ScatterElements(zeros, index, wide, axis=attribute(n, "axis", 0), reduction="add")
    return op.narrowed(summed, onnx_type(g)), None


def _gather_nd(op: Emitter, n: Node, g: Tensor) -> Signals:
    x, index = n.inputs
    positions = _with_batch(op, index, attribute(n, "batch_dims", 0))
    wide = op.widened(g)
    summed = op.ScatterND(op.zeros_like(x, wide.dtype), positions, wide, reduction="add")
    return op.narrowed(summed, onnx_type(g)), None


def _with_batch(op: Emitter, index: Tensor, batch: int) -> Tensor:
    """Prefix each index with its position on the leading axes, implied by `batch_dims`."""
    rank = rank_of(index)
    index = op.Cast(index, to=onnx.TensorProto.INT64)
    columns = []
    shape = op.Concat(op.Slice(op.Shape(index), [0], [rank - 1]), [1], axis=0)
    for axis in range(batch):
        position = index_range(op, axis_size(op, index, axis))
        others = [i for i in range(rank) if i != axis]
        columns.append(op.Expand(op.Unsqueeze(position, others), shape))
    return op.Concat(*columns, index, axis=-1) if columns else index


def indexed_batch(node: Node, batched: list[bool]) -> bool:
    """GatherElements and ScatterElements: indices for each image, along another axis than 0."""
    axis = attribute(node, "axis", 0)
    return all(batched) and batching.beside_batch(axis, node.inputs[0])


def _gather_nd_batch(node: Node, batched: list[bool]) -> bool:
    return all(batched) and attribute(node, "batch_dims", 0) > 0


@of_first
def _gather_axes(node: Node, fields: Fields) -> Fields:
    """The axes of the index replace the axis that is picked from."""
    axis, added = axis_of(node, 0), rank_of(node.inputs[1]) - 1
    return {i + added * (i > axis): f for i, f in fields.items() if i != axis}


def _gather_roles(node: Node, lines: list[Lines | None], output: Tensor) -> Lines:
    """The axes of the index replace the axis that is picked from; embeddings are channels."""
    data, index = lines[0], lines[1] or unknown(node.inputs[1])
    axis, added = axis_of(node, 0), rank_of(node.inputs[1])
    if data is not None and len(data) == 1 and _counts_all(node):
        return regrouped(node, [data], output)
    if data is None:
        rest = [roles.fresh(Role.CHANNEL, output, i) for i in range(added, rank_of(output))]
        return [*index, *rest] if axis == 0 else unknown(output)
    if lines[1] is None and added == 1:
        index = [roles.picked(data[axis], output, axis, shape_of(node.inputs[0])[axis])]
    return [*data[:axis], *index, *data[axis + 1 :]]


def _counts_all(node: Node) -> bool:
    """Tell whether the index counts the elements of a vector, as PyTorch's as_strided does."""
    index, size = known_value(node.inputs[1]), shape_of(node.inputs[0])[0]
    if index is None or not isinstance(size, int):
        return False
    return np.array_equal(index.ravel(), np.arange(size))


@of_data
def _elements_roles(node: Node, lines: Lines, output: Tensor) -> Lines:
    """Along the axis it picks other entries; on the others the index may be shorter."""
    before = shape_of(node.inputs[0])
    return [roles.picked(line, output, i, before[i]) for i, line in enumerate(lines)]


@sliding.picked
def _gather_slide(node: Node, x: Placed, known: list[np.ndarray]) -> Index:
    axis = int(attribute(node, "axis", 0)) % (x.order.ndim + 1)
    if axis == 0:
        refuse(node, "picks single images of a batch")
    return np.take(x.order, known[0], axis=axis - 1)


SORTED = Without("which positions are picked depends on their values")

OPERATORS: dict[str, Operator] = {
    "Compress": Operator(
        _compress,
        batch=batching.axes_by_attribute,
        axes=NOT_FOLLOWED,
        slide=Without("not written: exporters write Gather instead"),
        roles=roles.same,
    ),
    "Gather": Operator(
        _gather,
        batch=_gather_batch,
        axes=_gather_axes,
        slide=_gather_slide,
        roles=_gather_roles,
    ),
    "GatherElements": Operator(
        _gather_elements,
        batch=indexed_batch,
        axes=NOT_FOLLOWED,
        slide=INDEXED,
        roles=_elements_roles,
    ),
    "GatherND": Operator(_gather_nd, batch=_gather_nd_batch, axes=NOT_FOLLOWED, slide=INDEXED),
    "OneHot": no_flow(STEPS),
    "TopK": Operator(
        _top_k, batch=batching.along_axis(-1), axes=SORTED, slide=SORTED, roles=_elements_roles
    ),
    "Unique": no_flow(STEPS),
}
