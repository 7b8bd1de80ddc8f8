"""Arithmetic and functions of one variable, element by element.

a, b, x are inputs, y the output, g the signal at it. Where inputs are broadcast, the rules return
signals of the output's shape, which `unbroadcasting` sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from onnxplain.graphops.ir import Emitter, Node, Tensor, is_float, is_half, onnx_type
from onnxplain.graphops.operators.constructors import STEPS, broadcasting_elementwise, elementwise
from onnxplain.graphops.operators.operator import Operator
from onnxplain.graphops.operators.rules import Signals

__all__ = ["OPERATORS"]

Slope = Callable[[Emitter, Tensor], Tensor]


def _div(op: Emitter, n: Node, g: Tensor) -> Signals:
    a, b = n.inputs
    return op.Div(g, b), op.Neg(op.Div(op.Mul(g, a), op.Mul(b, b)))


def _pow(op: Emitter, n: Node, g: Tensor) -> Signals:
    """da = g·b·a^(b−1), zero where b = 0; db = g·y·log a, zero where a ≤ 0."""
    a, b = n.inputs
    exponent = op.narrowed(b, onnx_type(g))
    slope = op.Mul(exponent, op.Pow(a, op.Sub(exponent, 1.0)))
    to_a = op.Mul(g, op.Where(op.Equal(exponent, 0.0), 0.0, slope))
    if not is_float(b):
        return to_a, None
    positive = op.Greater(a, 0.0)
    logarithm = op.Where(positive, op.Log(op.Where(positive, a, 1.0)), 0.0)
    to_b = op.Mul(g, op.Mul(n.outputs[0], logarithm))
    return to_a, op.narrowed(to_b, op.signal_type(b))


def _mod(op: Emitter, n: Node, g: Tensor) -> Signals:
    """y = a − b·trunc(a/b), as C's fmod, the only form for floats."""
    ratio = op.Div(*n.inputs)
    whole = op.Mul(op.Sign(ratio), op.Floor(op.Abs(ratio)))
    return g, op.Neg(op.Mul(g, whole))


def _winners(op: Emitter, n: Node, g: Tensor) -> Signals:
    """Max and Min: the inputs that equal the output get equal shares of the signal."""
    inputs, y = n.inputs, n.outputs[0]
    if len(inputs) == 1:
        return (g,)
    if is_half(y):  # y is rounded, while a runtime may read an input before its rounding
        inputs = [op.widened(x) for x in inputs]
        (y,) = op.many(n.op, *inputs, outputs=1)
    won = [op.Cast(op.Equal(x, y), to=onnx_type(g)) for x in inputs]
    share = op.Div(g, op.Sum(*won))
    return tuple(op.Mul(share, w) for w in won)


def _where(op: Emitter, n: Node, g: Tensor) -> Signals:
    condition = n.inputs[0]
    return None, op.Where(condition, g, 0.0), op.Where(condition, 0.0, g)


def _reciprocal(op: Emitter, n: Node, g: Tensor) -> Signals:
    y = n.outputs[0]
    return (op.Mul(g, op.Neg(op.Mul(y, y))),)


def _of_input(slope: Slope) -> Operator:
    """A function whose derivative f'(x) is a function of the emitter and the input."""
    return elementwise(lambda op, n, g: (op.Mul(g, slope(op, n.inputs[0])),))


def _of_output(slope: Slope) -> Operator:
    """A function whose derivative is a function of the emitter and the output."""
    return elementwise(lambda op, n, g: (op.Mul(g, slope(op, n.outputs[0])),))


def _square(op: Emitter, x: Tensor) -> Tensor:
    return op.Mul(x, x)


OPERATORS: dict[str, Operator] = {
    "Abs": elementwise(lambda op, n, g: (op.Mul(g, op.Sign(n.inputs[0])),)),
    "Acos": _of_input(lambda op, x: op.Neg(op.Reciprocal(op.Sqrt(op.Sub(1.0, _square(op, x)))))),
    "Acosh": _of_input(lambda op, x: op.Reciprocal(op.Sqrt(op.Sub(_square(op, x), 1.0)))),
    "Add": broadcasting_elementwise(lambda op, n, g: (g, g)),
    "Asin": _of_input(lambda op, x: op.Reciprocal(op.Sqrt(op.Sub(1.0, _square(op, x))))),
    "Asinh": _of_input(lambda op, x: op.Reciprocal(op.Sqrt(op.Add(_square(op, x), 1.0)))),
    "Atan": _of_input(lambda op, x: op.Reciprocal(op.Add(_square(op, x), 1.0))),
    "Atanh": _of_input(lambda op, x: op.Reciprocal(op.Sub(1.0, _square(op, x)))),
    "Ceil": elementwise(STEPS),
    "Cos": _of_input(lambda op, x: op.Neg(op.Sin(x))),
    "Cosh": _of_input(lambda op, x: op.Sinh(x)),
    "Div": broadcasting_elementwise(_div),
    "Erf": _of_input(lambda op, x: op.Mul(2 / math.sqrt(math.pi), op.Exp(op.Neg(_square(op, x))))),
    "Exp": _of_output(lambda op, y: y),
    "Floor": elementwise(STEPS),
    "Log": elementwise(lambda op, n, g: (op.Div(g, n.inputs[0]),)),
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
    "Sin": _of_input(lambda op, x: op.Cos(x)),
    "Sinh": _of_input(lambda op, x: op.Cosh(x)),
    "Sqrt": elementwise(lambda op, n, g: (op.Div(g, op.Mul(2.0, n.outputs[0])),)),
    "Sub": broadcasting_elementwise(lambda op, n, g: (g, op.Neg(g))),
    "Sum": broadcasting_elementwise(lambda op, n, g: tuple(g for _ in n.inputs)),
    "Tan": _of_output(lambda op, y: op.Add(1.0, _square(op, y))),
    "Where": broadcasting_elementwise(_where),
}
