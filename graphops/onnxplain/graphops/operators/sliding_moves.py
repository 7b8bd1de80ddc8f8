"""How what only moves values slides: the map stays, or loses and gains whole channels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnxplain.graphops.ir import Node, attribute, known_value
from onnxplain.graphops.operators.window_layout import Placed, Slide, refuse, row_shape

__all__ = ["joined", "picked", "reordered"]


def reordered(slide: Slide, node: Node) -> Placed:
    """Flattening and turning only change in which order a window is read: the map stays."""
    x = slide.data(node)
    if node.op == "Transpose":
        perm = attribute(node, "perm") or list(range(x.order.ndim + 1))[::-1]
        if perm[0] != 0:
            refuse(node, "moves the images of a batch")
        return x.ordered(x.order.transpose([a - 1 for a in perm[1:]]))
    size = x.channels * x.positions
    return x.ordered(x.order.reshape(row_shape(node, node.outputs[0], size)))


def joined(slide: Slide, node: Node) -> Placed:
    """Parts side by side are their channels side by side, read in the order that they had."""
    if not all(t.name in slide.placed for t in node.inputs):
        refuse(node, "appends something that is not of the picture")
    parts = [slide.placed[t.name] for t in node.inputs]
    first = parts[0]
    if any((p.window, p.stride) != (first.window, first.stride) for p in parts):
        refuse(node, "brings together windows of different sizes, as pyramid pooling does")
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


def picked(slide: Slide, node: Node) -> Placed:
    """Gather and Slice may take whole channels, such as the red one of a picture."""
    x = slide.data(node)
    values = [None if t.is_empty() else known_value(t) for t in node.inputs[1:]]
    given = [value for value in values if value is not None]
    if len(given) < len(values):
        refuse(node, "takes a part of the window that is not known")
    index = _gathered(node, x, given[0]) if node.op == "Gather" else _sliced(node, x, given)
    channels = index // x.positions
    kept = np.unique(channels)
    if index.size != kept.size * x.positions or np.unique(index).size != index.size:
        refuse(node, "takes a part of the window that is not whole channels")
    numbers = np.searchsorted(kept, channels) * x.positions + index % x.positions
    tensor = slide.op.raw("Gather", x.tensor, kept.tolist(), axis=1)
    made = replace(x, tensor=tensor, channels=kept.size, index=None)
    return made.ordered(numbers.astype(np.int32))


def _gathered(node: Node, x: Placed, places: np.ndarray) -> np.ndarray:
    axis = int(attribute(node, "axis", 0)) % (x.order.ndim + 1)
    if axis == 0:
        refuse(node, "takes single images of a batch")
    return np.take(x.order, places, axis=axis - 1)


def _sliced(node: Node, x: Placed, given: list[np.ndarray]) -> np.ndarray:
    starts, ends, *rest = given
    rank = x.order.ndim + 1
    axes = rest[0] % rank if rest else np.arange(starts.size)
    steps = rest[1] if len(rest) > 1 else np.ones_like(starts)
    parts = [slice(None)] * rank
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if step < 0 or axis == 0:
            refuse(node, "turns the window round, or takes single images of a batch")
        parts[axis] = slice(int(start), int(end), int(step))
    return x.order[tuple(parts[1:])]
