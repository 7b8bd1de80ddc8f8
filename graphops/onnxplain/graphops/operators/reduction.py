"""Vector-Jacobian products of the reductions over axes.

In a formula, y and g keep the reduced axes with size 1, so that they broadcast against x.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import onnx

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import HALF, Emitter, Node, Tensor, attribute, known_value, onnx_type
from onnxplain.graphops.operators.table import Rule, Signals

__all__ = ["RULES", "constant_axes"]

Formula = Callable[[Emitter, Tensor, Tensor, Tensor, list[int]], Tensor]


def constant_axes(n: Node) -> list[int] | None:
    """Return the axes that a node has as attribute or as constant input, None where it has none."""
    axes = attribute(n, "axes")
    if axes is None and len(n.inputs) > 1 and not n.inputs[1].is_empty():
        known = known_value(n.inputs[1])
        if known is None:
            raise UnsupportedModel(
                f"the axes of {n.op} '{n.name}' are not constant: export the model with fixed axes"
            )
        axes = known.tolist()
    return list(axes) if axes is not None else None


def _reduction(formula: Formula) -> Rule:
    def rule(op: Emitter, n: Node, g: Any) -> Signals:
        x, y = n.inputs[0], n.outputs[0]
        rest = (None,) * (len(n.inputs) - 1)
        axes = constant_axes(n)
        if not axes and not attribute(n, "noop_with_empty_axes", 0):
            if x.shape is None:
                raise UnsupportedModel(f"'{x.name}', the input of '{n.name}', has no known rank")
            axes = list(range(len(x.shape)))
        axes = axes or []
        if axes and not attribute(n, "keepdims", 1):
            g, y = op.Unsqueeze(g, axes), op.Unsqueeze(y, axes)
        return (formula(op, x, y, g, axes), *rest)

    return rule


def _mean(op: Emitter, x: Tensor, y: Tensor, g: Tensor, axes: list[int]) -> Tensor:
    """Share the signal evenly among the elements that went into the mean."""
    sizes: list[Any] = [x.shape[a] for a in axes] if x.shape is not None else [None]
    if all(isinstance(s, int) for s in sizes):
        count: Any = float(math.prod(sizes))
    else:
        count = op.Cast(op.ReduceProd(op.Gather(op.shape(x), axes), keepdims=0), to=onnx_type(g))
    return op.Expand(op.Div(g, count), op.shape(x))


def _extreme(kind: str, op: Emitter, x: Tensor, y: Tensor, g: Tensor, axes: list[int]) -> Tensor:
    """To all that are the maximum (or minimum), in equal shares."""
    if onnx_type(y) in HALF:  # y is rounded, where a runtime may read x as it was before
        x = op.Cast(x, to=onnx.TensorProto.FLOAT)
        y = op.reduced(kind, x, axes) if axes else x
    won = op.Cast(op.Equal(x, y), to=onnx_type(g))
    return op.Mul(won, op.Div(g, op.ReduceSum(won, axes, keepdims=1, noop_with_empty_axes=1)))


def _l2(op: Emitter, x: Tensor, y: Tensor, g: Tensor, axes: list[int]) -> Tensor:
    """x / y, and zero where the norm is."""
    zero = op.Equal(y, 0.0)
    return op.Mul(x, op.Where(zero, 0.0, op.Div(g, op.Where(zero, 1.0, y))))


def _prod(op: Emitter, x: Tensor, y: Tensor, g: Tensor, axes: list[int]) -> Tensor:
    """The product of the others: y / x without zeros; with one, only that one's is not zero."""
    zero = op.Equal(x, 0.0)
    filled = op.Where(zero, 1.0, x)
    product = op.reduced("ReduceProd", filled, axes) if axes else filled
    zeros = op.ReduceSum(op.Cast(zero, to=onnx_type(g)), axes, keepdims=1, noop_with_empty_axes=1)
    beside = op.Where(op.Equal(zeros, 1.0), product, 0.0)
    others = op.Where(op.Equal(zeros, 0.0), op.Div(product, filled), 0.0)
    return op.Mul(g, op.Where(zero, beside, others))


RULES: dict[str, Rule] = {
    "ReduceL1": _reduction(lambda op, x, y, g, axes: op.Mul(g, op.Sign(x))),
    "ReduceL2": _reduction(_l2),
    "ReduceLogSum": _reduction(
        lambda op, x, y, g, axes: op.Expand(op.Div(g, op.Exp(y)), op.shape(x))
    ),
    "ReduceLogSumExp": _reduction(lambda op, x, y, g, axes: op.Mul(g, op.Exp(op.Sub(x, y)))),
    "ReduceMax": _reduction(partial(_extreme, "ReduceMax")),
    "ReduceMean": _reduction(_mean),
    "ReduceMin": _reduction(partial(_extreme, "ReduceMin")),
    "ReduceProd": _reduction(_prod),
    "ReduceSum": _reduction(lambda op, x, y, g, axes: op.Expand(g, op.shape(x))),
    "ReduceSumSquare": _reduction(lambda op, x, y, g, axes: op.Mul(g, op.Mul(2.0, x))),
}
