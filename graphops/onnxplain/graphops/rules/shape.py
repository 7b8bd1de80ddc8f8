"""Vector-Jacobian products of the operators that move values about, and of the mean over axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from onnxplain.graphops.emit import Emitter
from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.graph import Node, attribute, is_constant, onnx_type
from onnxplain.graphops.rules.table import Rule, Signals

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


def _reduce_mean(op: Emitter, n: Node, g: Any) -> Signals:
    """Share the signal evenly among the elements that went into the mean."""
    x = n.inputs[0]
    axes = attribute(n, "axes")
    if len(n.inputs) > 1 and not n.inputs[1].is_empty():
        if not is_constant(n.inputs[1]):
            raise UnsupportedModel(f"the axes of ReduceMean '{n.name}' are not constant")
        axes = n.inputs[1].values.tolist()
    if not axes:
        if attribute(n, "noop_with_empty_axes", 0):
            return (g, *(None for _ in n.inputs[1:]))
        if x.shape is None:
            raise UnsupportedModel(f"'{x.name}', the input of '{n.name}', has no known rank")
        axes = list(range(len(x.shape)))
    if not attribute(n, "keepdims", 1):
        g = op.Unsqueeze(g, axes)
    spread = op.Expand(op.Div(g, _count(op, n, axes)), op.shape(x))
    return (spread, *(None for _ in n.inputs[1:]))


def _count(op: Emitter, n: Node, axes: list[int]) -> Any:
    """Return how many elements of the input go into one of the output."""
    x, y = n.inputs[0], n.outputs[0]
    sizes: list[Any] = [x.shape[a] for a in axes] if x.shape is not None else [None]
    if all(isinstance(s, int) for s in sizes):
        return float(math.prod(sizes))
    elements = op.Div(op.size(x), op.size(y))
    return op.Cast(elements, to=onnx_type(x))


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
    "ReduceMean": _reduce_mean,
    "Reshape": _reshaped,
    "Squeeze": _reshaped,
    "Transpose": _transpose,
    "Unsqueeze": _reshaped,
}
