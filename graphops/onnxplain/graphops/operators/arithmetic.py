"""Arithmetic of one or several tensors, element by element.

a, b, x are inputs, y the output, g the signal at it. Where inputs are repeated to a common shape,
their signals are summed back centrally.
"""

from __future__ import annotations

from typing import Any

import onnx

from onnxplain.graphops.ir import HALF, Emitter, Node, is_float, onnx_type
from onnxplain.graphops.operators.kinds import STEPS, broadcasting_elementwise, elementwise
from onnxplain.graphops.operators.operator import Operator
from onnxplain.graphops.operators.table import Signals

__all__ = ["OPERATORS"]


def _div(op: Emitter, n: Node, g: Any) -> Signals:
    a, b = n.inputs
    return op.Div(g, b), op.Neg(op.Div(op.Mul(g, a), op.Mul(b, b)))


def _pow(op: Emitter, n: Node, g: Any) -> Signals:
    """da = g·b·a^(b−1), zero where b is; db = g·y·log a, zero where a is not above zero."""
    a, b = n.inputs
    exponent = op.Cast(b, to=onnx_type(g)) if onnx_type(b) != onnx_type(g) else b
    slope = op.Mul(exponent, op.Pow(a, op.Sub(exponent, 1.0)))
    to_a = op.Mul(g, op.Where(op.Equal(exponent, 0.0), 0.0, slope))
    if not is_float(b):
        return to_a, None
    positive = op.Greater(a, 0.0)
    logarithm = op.Where(positive, op.Log(op.Where(positive, a, 1.0)), 0.0)
    to_b = op.Mul(g, op.Mul(n.outputs[0], logarithm))
    return to_a, op.Cast(to_b, to=op.signal_type(b)) if onnx_type(b) != onnx_type(g) else to_b


def _mod(op: Emitter, n: Node, g: Any) -> Signals:
    """y = a − b·trunc(a/b), as C's fmod; floats know no other."""
    ratio = op.Div(*n.inputs)
    whole = op.Mul(op.Sign(ratio), op.Floor(op.Abs(ratio)))
    return g, op.Neg(op.Mul(g, whole))


def _winners(op: Emitter, n: Node, g: Any) -> Signals:
    """Max and Min: to those inputs that are the output, in equal shares."""
    inputs, y = n.inputs, n.outputs[0]
    if len(inputs) == 1:
        return (g,)
    if onnx_type(y) in HALF:  # y is rounded, where a runtime may read an input as it was before
        inputs = [op.Cast(x, to=onnx.TensorProto.FLOAT) for x in inputs]
        y = getattr(op, n.op)(*inputs)
    won = [op.Cast(op.Equal(x, y), to=onnx_type(g)) for x in inputs]
    share = op.Div(g, op.Sum(*won))
    return tuple(op.Mul(share, w) for w in won)


def _where(op: Emitter, n: Node, g: Any) -> Signals:
    condition = n.inputs[0]
    return None, op.Where(condition, g, 0.0), op.Where(condition, 0.0, g)


def _reciprocal(op: Emitter, n: Node, g: Any) -> Signals:
    y = n.outputs[0]
    return (op.Mul(g, op.Neg(op.Mul(y, y))),)


OPERATORS: dict[str, Operator] = {
    "Abs": elementwise(lambda op, n, g: (op.Mul(g, op.Sign(n.inputs[0])),)),
    "Add": broadcasting_elementwise(lambda op, n, g: (g, g)),
    "Ceil": elementwise(STEPS),
    "Div": broadcasting_elementwise(_div),
    "Floor": elementwise(STEPS),
    "Max": broadcasting_elementwise(_winners),
    "Mean": broadcasting_elementwise(
        lambda op, n, g: tuple(op.Div(g, float(len(n.inputs))) for _ in n.inputs)
    ),
    "Min": broadcasting_elementwise(_winners),
    "Mod": broadcasting_elementwise(_mod),
    "Mul": broadcasting_elementwise(
        lambda op, n, g: (op.Mul(g, n.inputs[1]), op.Mul(g, n.inputs[0]))
    ),
    "Neg": elementwise(lambda op, n, g: (op.Neg(g),)),
    "Pow": broadcasting_elementwise(_pow),
    "Reciprocal": elementwise(_reciprocal),
    "Round": elementwise(STEPS),
    "Sign": elementwise(STEPS),
    "Sqrt": elementwise(lambda op, n, g: (op.Div(g, op.Mul(2.0, n.outputs[0])),)),
    "Sub": broadcasting_elementwise(lambda op, n, g: (g, op.Neg(g))),
    "Sum": broadcasting_elementwise(lambda op, n, g: tuple(g for _ in n.inputs)),
    "Where": broadcasting_elementwise(_where),
}
