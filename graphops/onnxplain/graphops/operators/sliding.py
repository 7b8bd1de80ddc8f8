"""Sliding rules that several operators share: a node's form in a fully convolutional network.

A rule is `(slide, node) -> Placed`: it changes the node, or drops it by returning another node's
tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from onnxplain.graphops.ir import Node, attribute, constant, is_constant, known_value
from onnxplain.graphops.operators.window import Window
from onnxplain.graphops.operators.window_layout import (
    Index,
    Placed,
    Slide,
    as_map,
    map_shape,
    merged,
    per_channel,
    refuse,
)

__all__ = ["become_pool", "elementwise", "global_pool", "picked", "window"]


def elementwise(slide: Slide, node: Node, one_number: bool = False) -> Placed:
    """The node stays; all maps have one order, and constants are the same at all positions.

    one_number: whether constants must be scalars, for operators that do not broadcast them.
    """
    x = merged(node, [slide.placed[t.name] for t in node.inputs if t.name in slide.placed])
    for i, tensor in enumerate(node.inputs):
        if tensor.name in slide.placed:
            node.inputs[i] = slide.placed[tensor.name].tensor
        elif not tensor.is_empty():
            value = np.asarray(tensor.values) if is_constant(tensor) else known_value(tensor)
            if value is None:
                refuse(node, f"takes '{tensor.name}', which is neither a map nor a constant")
            if value.ndim > x.order.ndim + 1 or (value.size > 1 and one_number):
                refuse(node, f"takes a constant of shape {list(value.shape)}")
            node.inputs[i] = constant(slide.op.name("constant"), per_channel(node, x, value))
    return x.at(node.outputs[0])


def window(slide: Slide, node: Node) -> Placed:
    """A convolution or a pooling stays, with the padding that it has on one window."""
    x = slide.data(node)
    shape, out = Window.of(node), node.outputs[0]
    pads, sizes = shape.static_pads(), map_shape(node)
    if pads is None:
        refuse(node, "pads by unknown amounts")
    node.inputs[0] = as_map(slide.op, node, x)
    before, after = pads
    reach = [
        (n - 1) * s + e for n, s, e in zip(sizes[1:], shape.strides, shape.extent, strict=True)
    ]
    whole = [w + b + a for w, b, a in zip(x.window, before, after, strict=True)]
    beyond = any(r > w for r, w in zip(reach, whole, strict=True))  # ceil_mode's last window
    if any(before) or any(after) or beyond:
        slide.padded.append(node.name)
    if attribute(node, "ceil_mode", 0) and not beyond:
        node.attrs["ceil_mode"] = 0
    node.attrs.pop("auto_pad", None)
    node.attrs["pads"] = [*before, *after]
    strides = shape.strides
    if all(n == 1 for n in sizes[1:]) and shape.extent == whole:
        strides = [1] * len(strides)  # one window has one position, whatever the stride
        node.attrs["strides"] = strides
    stride = tuple(a * b for a, b in zip(x.stride, strides, strict=True))
    return Placed(out, sizes[0], tuple(sizes[1:]), stride)


def global_pool(pool: str) -> Callable[[Slide, Node], Placed]:
    """Return the rule of a global pooling, which becomes the pooling `pool` over one window."""

    def rule(slide: Slide, node: Node) -> Placed:
        x = slide.data(node)
        node.inputs[0] = as_map(slide.op, node, x)
        return become_pool(node, x, pool)

    return rule


def become_pool(node: Node, x: Placed, pool: str) -> Placed:
    """Turn the node into the pooling `pool` over one window of `x`, with stride 1."""
    node.op = pool
    node.attrs = {"kernel_shape": list(x.window), "strides": [1] * len(x.window)}
    return replace(x, tensor=node.outputs[0], window=(1,) * len(x.window), index=None)


def picked(
    pick: Callable[[Node, Placed, list[np.ndarray]], Index],
) -> Callable[[Slide, Node], Placed]:
    """Return the rule of an operator that picks whole channels, such as a picture's red one.

    pick: `(node, x, values) -> order`: the part of the order of `x` that the node picks, from the
    values of its other inputs.
    """

    def rule(slide: Slide, node: Node) -> Placed:
        x = slide.data(node)
        values = [None if t.is_empty() else known_value(t) for t in node.inputs[1:]]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            refuse(node, "picks an unknown part of the window")
        index = pick(node, x, known)
        channels = index // x.positions
        kept = np.unique(channels)
        if index.size != kept.size * x.positions or np.unique(index).size != index.size:
            refuse(node, "picks a part of the window other than whole channels")
        numbers = np.searchsorted(kept, channels) * x.positions + index % x.positions
        tensor = slide.op.raw("Gather", x.tensor, kept.tolist(), axis=1)
        whole = replace(x, tensor=tensor, channels=kept.size, index=None)
        return whole.ordered(numbers.astype(np.int32))

    return rule
