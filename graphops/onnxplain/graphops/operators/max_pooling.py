"""MaxPool, GlobalMaxPool and MaxUnpool: the gradient goes to the switches.

The signal of a max-pool's window goes to its maximum, the *switch* (Zeiler and Fergus 2014, section
2.1), the first in row-major order where several are equal. Signals of overlapping windows that
share a maximum add up. There are four forms, because runtimes and windows differ.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import (
    Emitter,
    Node,
    Tensor,
    attribute,
    dtype_of,
    is_float,
    lowest_finite,
    merge_axes,
    onnx_type,
)
from onnxplain.graphops.operators import axes, roles, sliding
from onnxplain.graphops.operators.average_pooling import pool_cost
from onnxplain.graphops.operators.constructors import INDEXED, channels_first
from onnxplain.graphops.operators.operator import Channels, Operator, Without
from onnxplain.graphops.operators.rules import Rule, Signals, to_first
from onnxplain.graphops.operators.window import Window, fold_channels, spread, spread_evenly

__all__ = ["FORMS", "LACKING", "OPERATORS", "choose_form", "unpooling"]

# The forms of unpooling for which a target has no kernels.
LACKING: dict[str, tuple[str, ...]] = {
    "cpu": (),
    "cuda": ("maxunpool",),
    "openvino": ("maxunpool",),
    "web": (),
    "tensorrt": ("maxunpool", "scatter"),
}

MAX_CANDIDATES = 1024  # elements of a window


def unpooling(requested: str, target: str = "cpu") -> Rule:
    """Return MaxPool's rule in the requested form, for `auto` the target's best exact form."""

    def max_pool(op: Emitter, n: Node, g: Tensor) -> Signals:
        form, _ = choose_form(n, requested, target)
        return (FORMS[form](op, n, g),)

    return max_pool


def choose_form(node: Node, requested: str, target: str = "cpu") -> tuple[str, str]:
    """Return the form of unpooling for a MaxPool, and a warning or an empty string.

    For `auto`, the form is the first exact one that the target has.
    """
    overlaps = Window.of(node).overlaps
    if requested == "auto":
        exact = ("scatter", "portable") if overlaps else ("maxunpool", "scatter", "portable")
        return next(form for form in exact if form not in LACKING[target]), ""
    if requested in LACKING[target]:
        return requested, (
            f"target '{target}' has no kernels for unpool '{requested}', requested for MaxPool "
            f"'{node.name}': unpool 'auto' chooses a form that it has"
        )
    if requested == "maxunpool" and overlaps:
        return requested, (
            f"the windows of MaxPool '{node.name}' overlap: where two share a maximum, MaxUnpool "
            "keeps one of their signals and loses the other; unpool 'scatter' adds them"
        )
    if requested == "window":
        return requested, (
            f"unpool 'window' spreads the signal of MaxPool '{node.name}' over its whole window, "
            "without switches"
        )
    return requested, ""


def maxunpool(op: Emitter, n: Node, g: Tensor) -> Tensor:
    """MaxUnpool with the indices of the forward MaxPool; exact where windows do not overlap.

    ONNX Runtime refuses an output smaller than the last window's end, as with ceil_mode and SAME
    padding, and an output that padding as long as the window seems to leave empty: there all
    elements are unpooled as one row.
    """
    x = n.inputs[0]
    window = Window.of(n)
    indices = _indices(op, n)
    image = op.image_index(n.outputs[0])
    if image is not None:
        # The indices of each result count from its own position in the batch.
        row = op.ReduceProd(op.shape(x, 1), keepdims=1)
        count = op.Squeeze(op.Shape(image), [0])
        starts = op.Mul(op.Range(op.constant(0, np.int64), count, op.constant(1, np.int64)), row)
        starts = op.Unsqueeze(starts, list(range(1, 2 + len(window.kernel))))
        indices = op.Add(op.Mod(indices, row), starts)
    before, after = window.static_pads() or ([], [])
    little = all(b + a < k for b, a, k in zip(before, after, window.kernel, strict=False))
    plain = not window.same and not attribute(n, "ceil_mode", 0) and max(window.dilations) == 1
    if plain and little:
        attrs = {"kernel_shape": window.kernel, "strides": window.strides}
        return op.MaxUnpool(g, indices, op.shape(x), **attrs, pads=[*before, *after])
    size = op.ReduceProd(op.shape(x), keepdims=1)
    flat = op.MaxUnpool(
        op.Reshape(g, [1, 1, -1]),
        op.Reshape(indices, [1, 1, -1]),
        op.Concat([1, 1], size, axis=0),
        kernel_shape=[1],
    )
    return op.reshape_like(flat, x)


def scatter(op: Emitter, n: Node, g: Tensor) -> Tensor:
    """ScatterElements that adds, one row for each result; exact for every window.

    Half precision is added in float32, since runtimes lack kernels for it.
    """
    x = n.inputs[0]
    row = op.ReduceProd(op.shape(x, 1), keepdims=1)
    positions = op.Flatten(op.Mod(_indices(op, n), row), axis=1)
    flat = op.widened(op.Flatten(g, axis=1))
    zeros = op.Expand(op.constant(0, dtype_of(flat)), op.Concat(op.Shape(g, end=1), row, axis=0))
    summed = op.ScatterElements(zeros, positions, flat, axis=1, reduction="add")
    return op.reshape_like(op.narrowed(summed, onnx_type(g)), x)


def portable(op: Emitter, n: Node, g: Tensor) -> Tensor:
    """Basic operators only: compute each window's switch again, and send the signal there.

    ArgMax over the strided slices at each offset into the window is the offset of the first
    maximum. The signal, at that offset and zero at the others, goes through one transposed
    convolution whose kernel moves each offset to its position.
    """
    x, y = n.inputs[0], n.outputs[0]
    window = Window.of(n)
    if math.prod(window.kernel) > MAX_CANDIDATES:
        raise UnsupportedModel(
            f"unpool 'portable' adds a node for each element of a window, and MaxPool '{n.name}' "
            f"has windows of over {MAX_CANDIDATES} elements: choose unpool 'scatter'"
        )
    pads = op.Concat([0, 0], window.begin(op), [0, 0], window.end(op), axis=0)
    values = x if is_float(x) else op.Cast(x, to=onnx_type(g))  # integers: a quantised network
    padded = op.Pad(fold_channels(op, values, x), pads, lowest_finite(g))
    last = op.Mul(op.Sub(op.shape(y, 2), 1), op.constant(window.strides, np.int64))
    candidates = []
    for offset in itertools.product(*(range(k) for k in window.kernel)):
        first = [o * d for o, d in zip(offset, window.dilations, strict=True)]
        end_at = op.Add(last, [f + 1 for f in first])
        candidates.append(op.Slice(padded, first, end_at, window.axes, window.strides))
    switch = op.ArgMax(op.Concat(*candidates, axis=1), axis=1, keepdims=1)
    offsets = np.arange(len(candidates)).reshape(1, -1, *[1] * len(window.kernel))
    there = op.Equal(switch, op.constant(offsets, np.int64))
    placed = op.Where(there, fold_channels(op, g, y), 0.0)
    kernel = np.eye(len(candidates)).reshape(len(candidates), 1, *window.kernel)
    return spread(op, window, placed, kernel)


def over_window(op: Emitter, n: Node, g: Tensor) -> Tensor:
    """Without switches: the signal goes to every element of its window."""
    return spread_evenly(op, Window.of(n), g)


FORMS: dict[str, Callable[[Emitter, Node, Tensor], Tensor]] = {
    "maxunpool": maxunpool,
    "scatter": scatter,
    "portable": portable,
    "window": over_window,
}


def _indices(op: Emitter, n: Node) -> Tensor:
    """Return the forward pool's indices, flat over the whole tensor in row-major order."""
    if attribute(n, "storage_order", 0):  # column-major: pool once more for row-major ones
        attrs = {k: v for k, v in n.attrs.items() if k != "storage_order"}
        again = op.many("MaxPool", n.inputs[0], outputs=2, **attrs)[1]
        again.dtype = np.int64
        return again
    return op.second_output(n, "indices", np.int64)


def _global_max_pool(op: Emitter, n: Node, g: Tensor) -> Signals:
    """The signal goes to the first maximum of each channel, in row-major order."""
    x = n.inputs[0]
    values = merge_axes(op, x, 2)
    switch = op.ArgMax(values, axis=2, keepdims=1)
    positions = op.Range(
        op.constant(0, np.int64),
        op.ReduceProd(op.shape(x, 2), keepdims=0),
        op.constant(1, np.int64),
    )
    placed = op.Where(op.Equal(switch, positions), op.Reshape(g, [0, 0, 1]), 0.0)
    return (op.reshape_like(placed, x),)


def _max_unpool(op: Emitter, n: Node, g: Tensor) -> Signals:
    """Pick the signal at the indices, which count through the batch, by their part in one image."""
    indices = n.inputs[1]
    row = op.ReduceProd(op.shape(n.outputs[0], 1), keepdims=1)
    positions = op.Flatten(op.Mod(indices, row), axis=1)
    picked = op.GatherElements(op.Flatten(g, axis=1), positions, axis=1)
    return to_first(n, op.reshape_like(picked, n.inputs[0]))


def _max_unpool_batch(node: Node, batched: list[bool]) -> bool:
    return all(batched[:2])


OPERATORS: dict[str, Operator] = {
    "GlobalMaxPool": channels_first(
        _global_max_pool, axes=axes.batch_only, slide=sliding.global_pool("MaxPool")
    ),
    "MaxPool": channels_first(
        unpooling("auto"), axes=axes.window, slide=sliding.window, cost=pool_cost
    ),
    "MaxUnpool": Operator(
        _max_unpool,
        batch=_max_unpool_batch,
        axes=Without("its indices may move a value to any position"),
        slide=INDEXED,
        roles=roles.channels_first(makes=False),
        channels=Channels.FIRST,
    ),
}
