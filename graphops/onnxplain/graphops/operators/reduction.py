"""Reductions over axes, ArgMax and ArgMin, and CumSum.

In a formula, y and g have the reduced axes with size 1, so that they broadcast against x.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import (
    Emitter,
    Node,
    Tensor,
    attribute,
    is_half,
    is_static,
    onnx_type,
    rank_of,
)
from onnxplain.graphops.operators import batching
from onnxplain.graphops.operators.axes import (
    UNKNOWN,
    Fields,
    axis_of,
    given_axes,
    listed_axes,
    of_first,
    without,
)
from onnxplain.graphops.operators.batching import beside_batch, first_input, known_input
from onnxplain.graphops.operators.constructors import STEPS
from onnxplain.graphops.operators.operator import Operator, SlideRule, Without
from onnxplain.graphops.operators.reshape import squeezed
from onnxplain.graphops.operators.roles import Lines, of_data, resized, same, unknown
from onnxplain.graphops.operators.rules import Rule, Signals, to_first
from onnxplain.graphops.operators.sliding import become_pool
from onnxplain.graphops.operators.window_layout import Placed, Slide, refuse

__all__ = ["OPERATORS"]

Formula = Callable[[Emitter, Tensor, Tensor, Tensor, list[int]], Tensor]


def _constant_axes(n: Node) -> list[int]:
    axes = given_axes(n)
    if axes is UNKNOWN:
        raise UnsupportedModel(
            f"the axes of {n.op} '{n.name}' are not constant: export the model with fixed axes"
        )
    return [] if axes is None else [int(a) for a in axes]


def _rule(formula: Formula) -> Rule:
    def rule(op: Emitter, n: Node, g: Tensor) -> Signals:
        x, y = n.inputs[0], n.outputs[0]
        axes = _constant_axes(n)
        if not axes and not attribute(n, "noop_with_empty_axes", 0):
            axes = list(range(rank_of(x)))
        if axes and not attribute(n, "keepdims", 1):
            g, y = op.Unsqueeze(g, axes), op.Unsqueeze(y, axes)
        return to_first(n, formula(op, x, y, g, axes))

    return rule


def _mean(op: Emitter, x: Tensor, y: Tensor, g: Tensor, axes: list[int]) -> Tensor:
    """Share the signal evenly among the elements of the mean."""
    sizes = [x.shape[a] for a in axes] if x.shape is not None else [None]
    if is_static(sizes):
        return op.Expand(op.Div(g, float(math.prod(sizes))), op.shape(x))
    count = op.ReduceProd(op.Gather(op.shape(x), axes), keepdims=0)
    return op.Expand(op.Div(g, op.Cast(count, to=onnx_type(g))), op.shape(x))


def _extreme(kind: str, op: Emitter, x: Tensor, y: Tensor, g: Tensor, axes: list[int]) -> Tensor:
    """Pass the signal to all elements that equal the maximum (or minimum), in equal shares."""
    if is_half(y):  # y is rounded, while a runtime may read x before its rounding
        x = op.widened(x)
        y = op.reduced(kind, x, axes) if axes else x
    won = op.Cast(op.Equal(x, y), to=onnx_type(g))
    return op.Mul(won, op.Div(g, op.ReduceSum(won, axes, keepdims=1, noop_with_empty_axes=1)))


def _l2(op: Emitter, x: Tensor, y: Tensor, g: Tensor, axes: list[int]) -> Tensor:
    """x / y, zero where the norm is zero."""
    zero = op.Equal(y, 0.0)
    return op.Mul(x, op.Where(zero, 0.0, op.Div(g, op.Where(zero, 1.0, y))))


def _prod(op: Emitter, x: Tensor, y: Tensor, g: Tensor, axes: list[int]) -> Tensor:
    """g times the product of the other elements; a single zero is the only one to get a signal."""
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


@of_data
def _roles(node: Node, lines: Lines, output: Tensor) -> Lines:
    """A reduced channel axis that is kept has one channel; places that are reduced are none."""
    axes, rank = listed_axes(node), len(lines)
    if not axes and not attribute(node, "noop_with_empty_axes", 0):
        axes = list(range(rank))
    if not attribute(node, "keepdims", 1):
        kept = [line for i, line in enumerate(lines) if i not in axes]
        return kept if len(kept) == rank_of(output) else unknown(output)
    return [resized(line, output, i, None) if i in axes else line for i, line in enumerate(lines)]


@of_data
def _arg_roles(node: Node, lines: Lines, output: Tensor) -> Lines:
    axis = axis_of(node, 0)
    after = [() if attribute(node, "keepdims", 1) else None]
    return [
        part
        for i, line in enumerate(lines)
        for part in ([line] if i != axis else after)
        if part is not None
    ]


def _slide(pool: str, slide: Slide, node: Node) -> Placed:
    """The pooling of the same name over all positions of a window."""
    x = slide.data(node)
    axes, order = given_axes(node), x.order
    reduced = sorted({int(a) % (order.ndim + 1) for a in axes}) if axes is not None else []
    if not reduced or reduced[0] == 0:
        refuse(node, "reduces over the images of a batch")
    kept = [a for a in range(order.ndim) if a + 1 not in reduced]
    groups = order.transpose(*kept, *(a - 1 for a in reduced)).reshape(
        *(order.shape[a] for a in kept), -1
    )
    channels = groups // x.positions
    if groups.shape[-1] != x.positions or (channels != channels[..., :1]).any():
        refuse(node, "reduces over other axes than exactly the positions of a window")
    index = channels[..., 0]
    if attribute(node, "keepdims", 1):
        index = index.reshape([1 if a + 1 in reduced else n for a, n in enumerate(order.shape)])
    node.inputs = [x.tensor]
    return become_pool(node, x, pool).ordered(index)


def _cumsum(op: Emitter, n: Node, g: Tensor) -> Signals:
    """The signal is summed from the other end."""
    attrs = {k: v for k, v in n.attrs.items() if k == "exclusive"}
    reverse = 1 - n.attrs.get("reverse", 0)
    return op.CumSum(g, n.inputs[1], **attrs, reverse=reverse), None


def _cumsum_batch(node: Node, batched: list[bool]) -> bool:
    axis = known_input(node, 1)
    return first_input(node, batched) and axis is not None and beside_batch(axis, node.inputs[0])


def _reduction(formula: Formula, slide: SlideRule | None = None) -> Operator:
    return Operator(
        _rule(formula),
        batch=batching.over_axes,
        axes=_axes,
        slide=slide or Without("no pooling computes it; ReduceMax and ReduceMean slide"),
        roles=_roles,
    )


ARG = Operator(
    STEPS,
    batch=batching.along_axis(0),
    axes=Without("no signal passes it"),
    slide=Without("its output counts the positions of one window, or channels in another order"),
    roles=_arg_roles,
)

OPERATORS: dict[str, Operator] = {
    "ArgMax": ARG,
    "ArgMin": ARG,
    "CumSum": Operator(
        _cumsum,
        batch=_cumsum_batch,
        axes=Without("each position sees all positions before it, so the size differs"),
        slide=Without("its sums begin at the edge of one window"),
        roles=same,
    ),
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
