"""Vector-Jacobian products of the activations, and which of them are rectifiers."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxplain.graphops.emit import Emitter
from onnxplain.graphops.graph import Node, Tensor, attribute, is_constant
from onnxplain.graphops.rules.table import Rule, Signals

__all__ = ["RULES", "gate", "is_activation", "is_rectifier", "rectifiers"]


def gate(op: Emitter, n: Node, g: Tensor) -> Tensor:
    """Pass the signal where the rectifier passed its input: g·[0 < x < a]."""
    x = n.inputs[0]
    passed = op.Greater(x, 0.0)
    upper = _bound(n, 2)
    if n.op == "Clip" and upper is not None:
        passed = op.And(passed, op.Less(x, upper))
    return op.Where(passed, g, 0.0)


def is_rectifier(n: Node) -> bool:
    """Tell whether the node is Relu, or Clip from 0 up to any bound."""
    if n.op == "Clip":
        lower = _bound(n, 1)
        return lower is not None and is_constant(lower) and not np.any(lower.values)
    return bool(n.op == "Relu")


def is_activation(n: Node) -> bool:
    """Tell whether the node is one of the element-wise activations."""
    return n.op in RULES


def rectifiers(rule: Rule) -> dict[str, Rule]:
    """Return a table in which every rectifier follows `rule`, and no other Clip does."""

    def clip(op: Emitter, n: Node, g: Any) -> Signals:
        return (rule if is_rectifier(n) else _clip)(op, n, g) + (None,) * (len(n.inputs) - 1)

    return {"Relu": rule, "Clip": clip}


def _clip(op: Emitter, n: Node, g: Any) -> Signals:
    if is_rectifier(n):
        return (gate(op, n, g),)
    x, lower, upper = n.inputs[0], _bound(n, 1), _bound(n, 2)
    if lower is not None:
        g = op.Where(op.GreaterOrEqual(x, lower), g, 0.0)
    if upper is not None:
        g = op.Where(op.LessOrEqual(x, upper), g, 0.0)
    return (g,)


def _bound(n: Node, index: int) -> Tensor | None:
    given = n.op == "Clip" and len(n.inputs) > index and not n.inputs[index].is_empty()
    return n.inputs[index] if given else None


def _leaky_relu(op: Emitter, n: Node, g: Any) -> Signals:
    slope = attribute(n, "alpha", 0.01)
    return (op.Where(op.Greater(n.inputs[0], 0.0), g, op.Mul(g, slope)),)


def _sigmoid(op: Emitter, n: Node, g: Any) -> Signals:
    y = n.outputs[0]
    return (op.Mul(g, op.Mul(y, op.Sub(1.0, y))),)


def _softmax(op: Emitter, n: Node, g: Any) -> Signals:
    y, axis = n.outputs[0], attribute(n, "axis", -1)
    return (op.Mul(y, op.Sub(g, op.ReduceSum(op.Mul(g, y), [axis], keepdims=1))),)


RULES: dict[str, Rule] = {
    **rectifiers(lambda op, n, g: (gate(op, n, g),)),
    "LeakyRelu": _leaky_relu,
    "Sigmoid": _sigmoid,
    "Softmax": _softmax,
}
