"""Softmax, LogSoftmax and Hardmax, which compare the values along an axis."""

from __future__ import annotations

import numpy as np

from onnxplain.graphops.ir import Emitter, Node, Tensor, attribute
from onnxplain.graphops.operators import axes, batching, roles
from onnxplain.graphops.operators.constructors import STEPS
from onnxplain.graphops.operators.operator import Operator, Without
from onnxplain.graphops.operators.rules import Signals
from onnxplain.graphops.operators.window_layout import Placed, Slide, refuse

__all__ = ["OPERATORS", "softmax"]


def softmax(op: Emitter, n: Node, g: Tensor) -> Signals:
    """dx = y·(g − Σ g·y), the sum being along the axis."""
    y, axis = n.outputs[0], attribute(n, "axis", -1)
    return (op.Mul(y, op.Sub(g, op.ReduceSum(op.Mul(g, y), [axis], keepdims=1))),)


def _log_softmax(op: Emitter, n: Node, g: Tensor) -> Signals:
    y, axis = n.outputs[0], attribute(n, "axis", -1)
    return (op.Sub(g, op.Mul(op.Exp(y), op.ReduceSum(g, [axis], keepdims=1))),)


def _slide(slide: Slide, node: Node) -> Placed:
    """Along the channels the node stays; along another axis it would need the whole window."""
    x = slide.data(node)
    order = x.order
    axis = int(attribute(node, "axis", -1)) % (order.ndim + 1)
    lines = np.moveaxis(order, axis - 1, -1) if axis else order
    position = lines % x.positions
    if axis == 0 or lines.shape[-1] != x.channels or (position != position[..., :1]).any():
        refuse(node, f"works along axis {axis}, which is not the channel axis")
    node.inputs[0] = x.tensor
    node.attrs["axis"] = 1
    return x.at(node.outputs[0])


BATCH = batching.along_axis(-1)

OPERATORS: dict[str, Operator] = {
    "Hardmax": Operator(
        STEPS,
        batch=BATCH,
        axes=Without("no signal passes it, so no field behind it is needed"),
        slide=_slide,
        roles=roles.same,
    ),
    "LogSoftmax": Operator(
        _log_softmax, batch=BATCH, axes=axes.along_axis(-1), slide=_slide, roles=roles.same
    ),
    "Softmax": Operator(
        softmax, batch=BATCH, axes=axes.along_axis(-1), slide=_slide, roles=roles.same
    ),
}
