"""Concat and Split."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnxplain.graphops.ir import (
    Emitter,
    Node,
    Tensor,
    attribute,
    is_static,
    known_sizes,
    rank_of,
    shape_of,
)
from onnxplain.graphops.operators import axes, batching, roles
from onnxplain.graphops.operators.axes import Fields
from onnxplain.graphops.operators.operator import Operator, Without
from onnxplain.graphops.operators.roles import Lines, Role, Size
from onnxplain.graphops.operators.rules import Signals, to_first
from onnxplain.graphops.operators.window_layout import Placed, Slide, refuse

__all__ = ["OPERATORS"]


def _concat(op: Emitter, n: Node, g: Tensor) -> Signals:
    axis = attribute(n, "axis")
    if len(n.inputs) == 1:
        return (g,)
    sizes = [x.shape[axis] if x.shape is not None else None for x in n.inputs]
    if is_static(sizes):
        return tuple(op.many("Split", g, sizes, axis=axis, outputs=len(n.inputs)))
    at = op.constant([axis], np.int64)
    lengths = op.Concat(*(op.Gather(op.shape(x), at) for x in n.inputs), axis=0)
    return tuple(op.many("Split", g, lengths, axis=axis, outputs=len(n.inputs)))


def _split(op: Emitter, n: Node, g: Tensor | Signals) -> Signals:
    """Concatenate the signals; the signal of a part that nothing uses is zero."""
    signals = g if isinstance(g, tuple) else (g,)
    dtype = next(s.dtype for s in signals if s is not None)
    parts = [
        op.zeros_like(y, dtype) if s is None else s for y, s in zip(n.outputs, signals, strict=True)
    ]
    return to_first(n, op.Concat(*parts, axis=attribute(n, "axis", 0)))


def _batch(node: Node, batched: list[bool]) -> bool:
    """All parts are batched: one that all images share would need a copy for each image."""
    return all(batched) and batching.beside_batch(attribute(node, "axis"), node.inputs[0])


def _axes(node: Node, fields: list[Fields | None]) -> Fields:
    return axes.without(axes.together(fields), [node.attrs["axis"] % rank_of(node.outputs[0])])


def _concat_roles(node: Node, lines: list[Lines | None], output: Tensor) -> Lines:
    """Other axes are as in an element-wise operator; along this one, the inputs follow each other.

    Beside the places of one input, entries that depend on no picture are class tokens.
    """
    axis = int(attribute(node, "axis")) % rank_of(output)
    result = roles.elementwise(node, lines, output)
    known = [(i, own[axis]) for i, own in enumerate(lines) if own is not None]
    role = max(roles.role_of(line) for _, line in known)
    result[axis] = roles.fresh(role, output, axis)
    if role is Role.PLACE:
        placed = [(i, line) for i, line in known if roles.role_of(line) is role]
        i, line = placed[0]
        sizes = [_size_along(t, axis) for t in node.inputs]
        before, after = sizes[:i], sizes[i + 1 :]
        places = roles.place_axes(line)
        if len(placed) == 1 and places and is_static(before) and is_static(after):
            more, behind = places.before + sum(before), places.after + sum(after)
            result[axis] = roles.fresh(
                role, output, axis, replace(places, before=more, after=behind)
            )
    elif role is Role.OTHER and len({part.made for _, line in known for part in line}) == 1:
        first = next(line for _, line in known if line)
        result[axis] = roles.resized(first, output, axis, None)
    return result


def _size_along(tensor: Tensor, axis: int) -> Size:
    """Return a size, also that of a class token expanded to a batch of unknown size."""
    size = shape_of(tensor)[axis]
    node = tensor.inputs[0] if tensor.inputs else None
    if isinstance(size, int) or node is None or node.op != "Expand":
        return size
    data, sizes = node.inputs[0].shape, known_sizes(node.inputs[1])
    if data is None or sizes is None or not len(data) == len(sizes) == rank_of(tensor):
        return size
    return sizes[axis] if data[axis] == 1 else size


@roles.of_data
def _split_roles(node: Node, lines: Lines, output: Tensor) -> Lines:
    """A part of the channels are channels; a part of the places is not located."""
    axis, before = axes.axis_of(node, 0), shape_of(node.inputs[0])
    part = roles.picked(lines[axis], output, axis, before[axis])
    return [part if i == axis else line for i, line in enumerate(lines)]


def _slide(slide: Slide, node: Node) -> Placed:
    """Concatenate the channels of all parts; each part keeps its order."""
    if not all(t.name in slide.placed for t in node.inputs):
        refuse(node, "appends values that do not depend on the picture")
    parts = [slide.placed[t.name] for t in node.inputs]
    first = parts[0]
    if any((p.window, p.stride) != (first.window, first.stride) for p in parts):
        refuse(node, "joins windows of different sizes, as pyramid pooling does")
    axis = int(attribute(node, "axis")) % (first.order.ndim + 1)
    if axis == 0:
        refuse(node, "joins batches")
    starts = np.cumsum([0, *(p.channels * p.positions for p in parts)]).astype(np.int32)
    index = np.concatenate(
        [p.order + s for p, s in zip(parts, starts, strict=False)], axis=axis - 1
    )
    node.inputs = [p.tensor for p in parts]
    node.attrs["axis"] = 1
    channels = sum(p.channels for p in parts)
    return replace(first, tensor=node.outputs[0], channels=channels, index=None).ordered(index)


OPERATORS: dict[str, Operator] = {
    "Concat": Operator(_concat, batch=_batch, axes=_axes, slide=_slide, roles=_concat_roles),
    "Split": Operator(
        _split,
        batch=batching.along_axis(0),
        axes=axes.along_axis(0),
        slide=Without("only operators with one output slide"),
        roles=_split_roles,
    ),
}
