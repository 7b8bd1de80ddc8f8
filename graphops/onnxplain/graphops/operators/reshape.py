"""Vector-Jacobian products of the operators that give values another shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Emitter, Node, attribute, is_constant
from onnxplain.graphops.operators.table import Rule, Signals

__all__ = ["RULES"]


def _reshaped(op: Emitter, n: Node, g: Any) -> Signals:
    return (op.reshape_like(g, n.inputs[0]), *(None for _ in n.inputs[1:]))


def _transpose(op: Emitter, n: Node, g: Any) -> Signals:
    perm = attribute(n, "perm")
    if perm is None:  # all axes reversed, which is its own inverse
        return (op.Transpose(g),)
    return (op.Transpose(g, perm=[int(i) for i in np.argsort(perm)]),)


def _concat(op: Emitter, n: Node, g: Any) -> Signals:
    axis = attribute(n, "axis")
    if len(n.inputs) == 1:
        return (g,)
    sizes = [x.shape[axis] if x.shape is not None else None for x in n.inputs]
    split: Any = sizes
    if not all(isinstance(s, int) for s in sizes):
        at = op.constant([axis], np.int64)
        split = op.Concat(*(op.Gather(op.shape(x), at) for x in n.inputs), axis=0)
    return tuple(op.many("Split", g, split, axis=axis, outputs=len(n.inputs)))


def _dropout(op: Emitter, n: Node, g: Any) -> Signals:
    training = n.inputs[2] if len(n.inputs) > 2 and not n.inputs[2].is_empty() else None
    if training is not None and not (is_constant(training) and not np.any(training.values)):
        raise UnsupportedModel(
            f"Dropout '{n.name}' is in training mode: export the model for inference"
        )
    return (g, *(None for _ in n.inputs[1:]))


RULES: dict[str, Rule] = {
    "Concat": _concat,
    "Dropout": _dropout,
    "Flatten": _reshaped,
    "Reshape": _reshaped,
    "Squeeze": _reshaped,
    "Transpose": _transpose,
    "Unsqueeze": _reshaped,
}
