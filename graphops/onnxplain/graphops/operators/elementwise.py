"""Vector-Jacobian products of the element-wise operators. g is the signal at the output.

a, b, x are inputs, y the output; broadcasting is undone by the table.
"""

from __future__ import annotations

import math
from typing import Any

import onnx

from onnxplain.graphops.ir import HALF, Emitter, Node, is_float, onnx_type
from onnxplain.graphops.operators.table import Rule, Signals, broadcasting

__all__ = ["RULES"]


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


def _cast(op: Emitter, n: Node, g: Any) -> Signals:
    """The other way; the signal of quantised integers is a float."""
    if not is_float(n.inputs[0]):
        return (g,)
    return (op.Cast(g, to=op.signal_type(n.inputs[0])),)


def _cast_like(op: Emitter, n: Node, g: Any) -> Signals:
    """Of the second input only the type counts: what it says of itself changes nothing."""
    x, like = n.inputs
    return op.Cast(g, to=op.signal_type(x)), op.zeros_like(like)


def _cumsum(op: Emitter, n: Node, g: Any) -> Signals:
    """The running sum from the other end."""
    attrs = {k: v for k, v in n.attrs.items() if k == "exclusive"}
    reverse = 1 - n.attrs.get("reverse", 0)
    return op.CumSum(g, n.inputs[1], **attrs, reverse=reverse), None


def _trilu(op: Emitter, n: Node, g: Any) -> Signals:
    rest = list(n.inputs[1:])
    return (op.Trilu(g, *rest, **n.attrs), *(None for _ in rest))


def _of_input(slope: Any) -> Rule:
    """A rule g·f'(x), from f' as a function of the emitter and the input."""
    return lambda op, n, g: (op.Mul(g, slope(op, n.inputs[0])),)


def _of_output(slope: Any) -> Rule:
    """A rule g·f'(y), from the derivative as a function of the emitter and the output."""
    return lambda op, n, g: (op.Mul(g, slope(op, n.outputs[0])),)


def _square(op: Emitter, x: Any) -> Any:
    return op.Mul(x, x)


RULES: dict[str, Rule] = broadcasting(
    {
        "Add": lambda op, n, g: (g, g),
        "Sub": lambda op, n, g: (g, op.Neg(g)),
        "Mul": lambda op, n, g: (op.Mul(g, n.inputs[1]), op.Mul(g, n.inputs[0])),
        "Div": _div,
        "Pow": _pow,
        "Max": _winners,
        "Min": _winners,
        "Mod": _mod,
        "Sum": lambda op, n, g: tuple(g for _ in n.inputs),
        "Mean": lambda op, n, g: tuple(op.Div(g, float(len(n.inputs))) for _ in n.inputs),
        "Where": _where,
        "Expand": lambda op, n, g: (g, None),
    }
) | {
    "Abs": _of_input(lambda op, x: op.Sign(x)),
    "Acos": _of_input(lambda op, x: op.Neg(op.Reciprocal(op.Sqrt(op.Sub(1.0, _square(op, x)))))),
    "Acosh": _of_input(lambda op, x: op.Reciprocal(op.Sqrt(op.Sub(_square(op, x), 1.0)))),
    "Asin": _of_input(lambda op, x: op.Reciprocal(op.Sqrt(op.Sub(1.0, _square(op, x))))),
    "Asinh": _of_input(lambda op, x: op.Reciprocal(op.Sqrt(op.Add(_square(op, x), 1.0)))),
    "Atan": _of_input(lambda op, x: op.Reciprocal(op.Add(_square(op, x), 1.0))),
    "Atanh": _of_input(lambda op, x: op.Reciprocal(op.Sub(1.0, _square(op, x)))),
    "Cast": _cast,
    "CastLike": _cast_like,
    "Cos": _of_input(lambda op, x: op.Neg(op.Sin(x))),
    "Cosh": _of_input(lambda op, x: op.Sinh(x)),
    "CumSum": _cumsum,
    "Erf": _of_input(lambda op, x: op.Mul(2 / math.sqrt(math.pi), op.Exp(op.Neg(_square(op, x))))),
    "Exp": _of_output(lambda op, y: y),
    "Identity": lambda op, n, g: (g,),
    "Log": lambda op, n, g: (op.Div(g, n.inputs[0]),),
    "Neg": lambda op, n, g: (op.Neg(g),),
    "Reciprocal": _of_output(lambda op, y: op.Neg(_square(op, y))),
    "Sin": _of_input(lambda op, x: op.Cos(x)),
    "Sinh": _of_input(lambda op, x: op.Cosh(x)),
    "Sqrt": lambda op, n, g: (op.Div(g, op.Mul(2.0, n.outputs[0])),),
    "Tan": _of_output(lambda op, y: op.Add(1.0, _square(op, y))),
    "Trilu": _trilu,
}
