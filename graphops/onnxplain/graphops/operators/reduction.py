"""Reductions over axes, and ArgMax and ArgMin.

In a formula, y and g keep the reduced axes with size 1, so that they broadcast against x.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import onnx

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import HALF, Emitter, Node, Tensor, attribute, known_value, onnx_type
from onnxplain.graphops.operators import batching
from onnxplain.graphops.operators.axes import Fields, listed_axes, of_first, without
from onnxplain.graphops.operators.kinds import NO_PRODUCTS, STEPS
from onnxplain.graphops.operators.operator import Operator, SlideRule, Without
from onnxplain.graphops.operators.reshape import squeezed
from onnxplain.graphops.operators.sliding import become_pool
from onnxplain.graphops.operators.table import Rule, Signals
from onnxplain.graphops.operators.window_layout import Placed, Slide, refuse

__all__ = ["OPERATORS"]

Formula = Callable[[Emitter, Tensor, Tensor, Tensor, list[int]], Tensor]


def _constant_axes(n: Node) -> list[int] | None:
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


def _rule(formula: Formula) -> Rule:
    def rule(op: Emitter, n: Node, g: Any) -> Signals:
        x, y = n.inputs[0], n.outputs[0]
        rest = (None,) * (len(n.inputs) - 1)
        axes = _constant_axes(n)
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


@of_first
def _axes(node: Node, fields: Fields) -> Fields:
    axes = listed_axes(node)
    if not axes and attribute(node, "noop_with_empty_axes", 0):
        return fields
    seen = without(fields, axes or fields.keys())
    return seen if attribute(node, "keepdims", 1) else squeezed(seen, axes)


def _slide(pool: str, slide: Slide, node: Node) -> Placed:
    """The pooling of the same name, over all positions of a window; the channels stay."""
    x = slide.data(node)
    axes = attribute(node, "axes")
    if axes is None and len(node.inputs) > 1:
        axes = known_value(node.inputs[1])
    order = x.order
    places = (
        sorted({int(a) % (order.ndim + 1) for a in np.ravel(axes)}) if axes is not None else [0]
    )
    if places[:1] in ([], [0]):
        refuse(node, "reduces over the images of a batch")
    kept = [a for a in range(order.ndim) if a + 1 not in places]
    groups = order.transpose(*kept, *(a - 1 for a in places)).reshape(
        *(order.shape[a] for a in kept), -1
    )
    channels = groups // x.positions
    if groups.shape[-1] != x.positions or (channels != channels[..., :1]).any():
        refuse(node, "does not reduce over all positions of a window and over nothing else")
    index = channels[..., 0]
    if attribute(node, "keepdims", 1):
        index = index.reshape([1 if a + 1 in places else n for a, n in enumerate(order.shape)])
    node.inputs = [x.tensor]
    return become_pool(node, x, pool).ordered(index)


def _reduction(formula: Formula, slide: SlideRule | None = None) -> Operator:
    return Operator(
        _rule(formula),
        batch=batching.over_axes,
        axes=_axes,
        slide=slide or Without("no pooling gives it: ReduceMax and ReduceMean slide"),
        cost=NO_PRODUCTS,
    )


ARG = Operator(
    STEPS,
    batch=batching.along_axis(0),
    axes=Without("no signal passes it"),
    slide=Without("its output counts positions of one window, or channels in an order of theirs"),
    cost=NO_PRODUCTS,
)

OPERATORS: dict[str, Operator] = {
    "ArgMax": ARG,
    "ArgMin": ARG,
    "ReduceL1": _reduction(lambda op, x, y, g, axes: op.Mul(g, op.Sign(x))),
    "ReduceL2": _reduction(_l2),
    "ReduceLogSum": _reduction(
        lambda op, x, y, g, axes: op.Expand(op.Div(g, op.Exp(y)), op.shape(x))
    ),
    "ReduceLogSumExp": _reduction(lambda op, x, y, g, axes: op.Mul(g, op.Exp(op.Sub(x, y)))),
    "ReduceMax": _reduction(partial(_extreme, "ReduceMax"), partial(_slide, "MaxPool")),
    "ReduceMean": _reduction(_mean, partial(_slide, "AveragePool")),
    "ReduceMin": _reduction(partial(_extreme, "ReduceMin")),
    "ReduceProd": _reduction(_prod),
    "ReduceSum": _reduction(lambda op, x, y, g, axes: op.Expand(g, op.shape(x))),
    "ReduceSumSquare": _reduction(lambda op, x, y, g, axes: op.Mul(g, op.Mul(2.0, x))),
}
