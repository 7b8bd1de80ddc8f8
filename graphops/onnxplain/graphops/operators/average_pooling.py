"""Average and Lp poolings, over windows and global."""

from __future__ import annotations

import math

import numpy as np
import onnx_graphsurgeon as gs

from onnxplain.graphops.ir import Emitter, Node, Tensor, attribute, is_static, onnx_type
from onnxplain.graphops.operators import axes, sliding
from onnxplain.graphops.operators.constructors import channels_first
from onnxplain.graphops.operators.operator import Cost, Operator, Without
from onnxplain.graphops.operators.rules import Signals
from onnxplain.graphops.operators.window import Window, spread_evenly

__all__ = ["OPERATORS", "pool_cost"]


def _average_pool(op: Emitter, n: Node, g: Tensor) -> Signals:
    """Share the signal evenly among the elements that the window's mean counts."""
    window = Window.of(n)
    if window.same and attribute(n, "count_include_pad", 0):  # all windows end inside
        shared = op.Div(g, float(math.prod(window.kernel)))
    else:
        shared = op.Div(g, op.Cast(_counts(op, n, window), to=onnx_type(g)))
    return (spread_evenly(op, window, shared),)


def _counts(op: Emitter, n: Node, window: Window) -> Tensor:
    """Return float32 [1, 1, ...]: the number of elements that each window's mean counts.

    A convolution counts ones: those of the input, and those of its padding if that counts too.
    """
    x, y = n.inputs[0], n.outputs[0]
    start, pads = window.begin(op), window.static_pads()
    ones = op.ConstantOfShape(
        op.Concat([1, 1], op.shape(x, 2), axis=0), value=gs.Constant("ones", np.ones(1, np.float32))
    )
    rank = len(window.kernel)
    if attribute(n, "count_include_pad", 0) and pads is not None:
        ones = op.Pad(ones, op.Concat([0, 0], start, [0, 0], pads[1], axis=0), 1.0)
        start = op.constant([0] * rank, np.int64)
    # zeros, which do not count, behind them: with ceil_mode a window may reach beyond the padding
    ones = op.Pad(ones, op.Concat([0, 0], start, [0, 0], window.end(op), axis=0), 0.0)
    kernel = op.constant(np.ones((1, 1, *window.kernel)), np.float32)
    counts = op.Conv(ones, kernel, **window.attrs)
    return op.Slice(counts, [0] * rank, op.shape(y, 2), window.axes)


def _lp_pool(op: Emitter, n: Node, g: Tensor) -> Signals:
    """y = (Σ|x|ᵖ)^(1/p), so dx = sign x·|x|ᵖ⁻¹·Σ g/yᵖ⁻¹ over the windows; zero where y = 0."""
    x, y, p = n.inputs[0], n.outputs[0], float(attribute(n, "p", 2))
    spread = spread_evenly(op, Window.of(n), _over_norm(op, g, y, p))
    return (op.Mul(_powered(op, x, p), spread),)


def _global_lp_pool(op: Emitter, n: Node, g: Tensor) -> Signals:
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


def _global_average_pool(op: Emitter, n: Node, g: Tensor) -> Signals:
    x = n.inputs[0]
    sizes = x.shape[2:] if x.shape is not None else [None]
    if is_static(sizes):
        shared = op.Div(g, float(math.prod(sizes)))
    else:
        count = op.ReduceProd(op.shape(x, 2), keepdims=0)
        shared = op.Div(g, op.Cast(count, to=onnx_type(g)))
    return (op.Expand(shared, op.shape(x)),)


def pool_cost(node: Node) -> Cost:
    """Return the cost of a pooling, which has a window and no multiply-adds."""
    return Cost(Window.of(node), 0)


OPERATORS: dict[str, Operator] = {
    "AveragePool": channels_first(
        _average_pool, axes=axes.window, slide=sliding.window, cost=pool_cost
    ),
    "GlobalAveragePool": channels_first(
        _global_average_pool, axes=axes.batch_only, slide=sliding.global_pool("AveragePool")
    ),
    "GlobalLpPool": channels_first(
        _global_lp_pool,
        axes=axes.batch_only,
        slide=Without("not written: no classifier is known to use it"),
    ),
    "LpPool": channels_first(_lp_pool, axes=axes.window, slide=sliding.window, cost=pool_cost),
}
