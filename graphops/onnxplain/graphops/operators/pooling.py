"""Vector-Jacobian products of the poolings; max-pools unpool as `unpool.py` says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from onnxplain.graphops.ir import Emitter, Node, Tensor, attribute, onnx_type
from onnxplain.graphops.operators.table import Rule, Signals
from onnxplain.graphops.operators.unpool import FORMS, choose_form, spread_evenly
from onnxplain.graphops.operators.window import Window

__all__ = ["RULES", "unpooling"]


def unpooling(requested: str, target: str = "cpu") -> Rule:
    """Return the rule of MaxPool in the form asked for, `auto` for the target's best exact one."""

    def max_pool(op: Emitter, n: Node, g: Any) -> Signals:
        form, _ = choose_form(n, requested, target)
        return (FORMS[form](op, n, g),)

    return max_pool


def _average_pool(op: Emitter, n: Node, g: Any) -> Signals:
    """Share the signal evenly among the elements of each window that were counted."""
    window = Window.of(n)
    if window.same and attribute(n, "count_include_pad", 0):  # such padding fits all windows
        counts: Any = float(math.prod(window.kernel))
    else:
        counts = op.Cast(_counts(op, n, window), to=onnx_type(g))
    return (spread_evenly(op, window, op.Div(g, counts)),)


def _counts(op: Emitter, n: Node, window: Window) -> Tensor:
    """Return float32 [1, 1, ...]: how many elements each window of an AveragePool divides by.

    Counted by summing ones: those of the input, and those of its padding where that counts too.
    """
    x, y = n.inputs[0], n.outputs[0]
    begin, end = window.begin(op), window.static_pads()
    start = op.constant(begin, np.int64) if isinstance(begin, list) else begin
    ones = op.ConstantOfShape(
        op.Concat([1, 1], op.shape(x, 2), axis=0),
        value=gs.Constant("ones", np.ones(1, np.float32)),
    )
    rank = len(window.kernel)
    if attribute(n, "count_include_pad", 0) and end is not None:
        ones = op.Pad(ones, op.Concat([0, 0], start, [0, 0], end[1], axis=0), 1.0)
        start = op.constant([0] * rank, np.int64)
    # zeros, which do not count, after that: ceil_mode lets windows reach beyond the padding
    ones = op.Pad(ones, op.Concat([0, 0], start, [0, 0], window.end(op), axis=0), 0.0)
    counts = op.Conv(
        ones,
        op.constant(np.ones((1, 1, *window.kernel)), np.float32),
        kernel_shape=window.kernel,
        strides=window.strides,
        dilations=window.dilations,
    )
    axes = list(range(2, 2 + rank))
    return op.Slice(counts, [0] * rank, op.shape(y, 2), axes)


def _lp_pool(op: Emitter, n: Node, g: Any) -> Signals:
    """y = (Σ|x|ᵖ)^(1/p), so dx = sign x·|x|ᵖ⁻¹·Σ g/yᵖ⁻¹ over the windows; zero where y is."""
    x, y, p = n.inputs[0], n.outputs[0], float(attribute(n, "p", 2))
    spread = spread_evenly(op, Window.of(n), _over_norm(op, g, y, p))
    return (op.Mul(_powered(op, x, p), spread),)


def _global_lp_pool(op: Emitter, n: Node, g: Any) -> Signals:
    x, y, p = n.inputs[0], n.outputs[0], float(attribute(n, "p", 2))
    return (op.Mul(_powered(op, x, p), _over_norm(op, g, y, p)),)


def _powered(op: Emitter, x: Tensor, p: float) -> Tensor:
    return x if p == 2 else op.Mul(op.Sign(x), op.Pow(op.Abs(x), p - 1))


def _over_norm(op: Emitter, g: Tensor, y: Tensor, p: float) -> Tensor:
    if p == 1:
        return g
    zero = op.Equal(y, 0.0)
    norm = op.Pow(op.Where(zero, 1.0, y), p - 1)
    return op.Where(zero, 0.0, op.Div(g, norm))


def _max_unpool(op: Emitter, n: Node, g: Any) -> Signals:
    """Pick the signal at the indices; they count through all images, and here within one."""
    indices = n.inputs[1]
    row = op.ReduceProd(op.shape(n.outputs[0], 1), keepdims=1)
    places = op.Flatten(op.Mod(indices, row), axis=1)
    picked = op.GatherElements(op.Flatten(g, axis=1), places, axis=1)
    return (op.reshape_like(picked, n.inputs[0]), *(None for _ in n.inputs[1:]))


def _global_average_pool(op: Emitter, n: Node, g: Any) -> Signals:
    x = n.inputs[0]
    sizes = x.shape[2:] if x.shape is not None else [None]
    if all(isinstance(s, int) for s in sizes):
        count: Any = float(math.prod(sizes))
    else:
        count = op.Cast(op.ReduceProd(op.shape(x, 2), keepdims=0), to=onnx_type(g))
    return (op.Expand(op.Div(g, count), op.shape(x)),)


def _global_max_pool(op: Emitter, n: Node, g: Any) -> Signals:
    """Everything goes to the first maximum of each channel, in row-major order."""
    x = n.inputs[0]
    values = op.Reshape(x, [0, 0, -1])
    switch = op.ArgMax(values, axis=2, keepdims=1)
    places = op.Range(
        op.constant(0, np.int64),
        op.ReduceProd(op.shape(x, 2), keepdims=0),
        op.constant(1, np.int64),
    )
    placed = op.Where(op.Equal(switch, places), op.Reshape(g, [0, 0, 1]), 0.0)
    return (op.reshape_like(placed, x),)


RULES: dict[str, Rule] = {
    "AveragePool": _average_pool,
    "GlobalLpPool": _global_lp_pool,
    "LpPool": _lp_pool,
    "MaxUnpool": _max_unpool,
    "GlobalAveragePool": _global_average_pool,
    "GlobalMaxPool": _global_max_pool,
    "MaxPool": unpooling("auto"),
}
