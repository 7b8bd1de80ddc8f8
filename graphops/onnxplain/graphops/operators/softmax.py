"""Softmax, LogSoftmax and Hardmax, which compare the values along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxplain.graphops.ir import Emitter, Node, attribute
from onnxplain.graphops.operators import axes, batching
from onnxplain.graphops.operators.kinds import NO_PRODUCTS, STEPS
from onnxplain.graphops.operators.operator import Operator, Without
from onnxplain.graphops.operators.table import Signals
from onnxplain.graphops.operators.window_layout import Placed, Slide, refuse

__all__ = ["OPERATORS"]


def _softmax(op: Emitter, n: Node, g: Any) -> Signals:
    y, axis = n.outputs[0], attribute(n, "axis", -1)
    return (op.Mul(y, op.Sub(g, op.ReduceSum(op.Mul(g, y), [axis], keepdims=1))),)


def _log_softmax(op: Emitter, n: Node, g: Any) -> Signals:
    y, axis = n.outputs[0], attribute(n, "axis", -1)
    return (op.Sub(g, op.Mul(op.Exp(y), op.ReduceSum(g, [axis], keepdims=1))),)


def _slide(slide: Slide, node: Node) -> Placed:
    """The same along the channels; along anything else it sees the whole window."""
    x = slide.data(node)
    order = x.order
    axis = int(attribute(node, "axis", -1)) % (order.ndim + 1)
    lines = np.moveaxis(order, axis - 1, -1) if axis else order
    position = lines % x.positions
    if axis == 0 or lines.shape[-1] != x.channels or (position != position[..., :1]).any():
        refuse(node, f"works along axis {axis}, which is not that of the channels")
    node.inputs[0] = x.tensor
    node.attrs["axis"] = 1
    return x.at(node.outputs[0])


OPERATORS: dict[str, Operator] = {
    "Hardmax": Operator(
        STEPS,
        batch=batching.along_axis(-1),
        axes=Without("nothing flows through it: nobody asks what stands behind it"),
        slide=_slide,
        cost=NO_PRODUCTS,
    ),
    **{
        name: Operator(
            vjp,
            batch=batching.along_axis(-1),
            axes=axes.along_axis(-1),
            slide=_slide,
            cost=NO_PRODUCTS,
        )
        for name, vjp in {"LogSoftmax": _log_softmax, "Softmax": _softmax}.items()
    },
}
