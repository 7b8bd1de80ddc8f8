"""Functions of one variable: exponential, logarithm, trigonometric and hyperbolic functions."""

from __future__ import annotations

import math
from collections.abc import Callable

from onnxplain.graphops.ir import Emitter, Tensor
from onnxplain.graphops.operators.kinds import elementwise
from onnxplain.graphops.operators.operator import Operator

__all__ = ["OPERATORS"]

Slope = Callable[[Emitter, Tensor], Tensor]


def _of_input(slope: Slope) -> Operator:
    """A function whose derivative f'(x) is a function of the emitter and the input."""
    return elementwise(lambda op, n, g: (op.Mul(g, slope(op, n.inputs[0])),))


def _of_output(slope: Slope) -> Operator:
    """A function whose derivative is a function of the emitter and the output."""
    return elementwise(lambda op, n, g: (op.Mul(g, slope(op, n.outputs[0])),))


def _square(op: Emitter, x: Tensor) -> Tensor:
    return op.Mul(x, x)


OPERATORS: dict[str, Operator] = {
    "Acos": _of_input(lambda op, x: op.Neg(op.Reciprocal(op.Sqrt(op.Sub(1.0, _square(op, x)))))),
    "Acosh": _of_input(lambda op, x: op.Reciprocal(op.Sqrt(op.Sub(_square(op, x), 1.0)))),
    "Asin": _of_input(lambda op, x: op.Reciprocal(op.Sqrt(op.Sub(1.0, _square(op, x))))),
    "Asinh": _of_input(lambda op, x: op.Reciprocal(op.Sqrt(op.Add(_square(op, x), 1.0)))),
    "Atan": _of_input(lambda op, x: op.Reciprocal(op.Add(_square(op, x), 1.0))),
    "Atanh": _of_input(lambda op, x: op.Reciprocal(op.Sub(1.0, _square(op, x)))),
    "Cos": _of_input(lambda op, x: op.Neg(op.Sin(x))),
    "Cosh": _of_input(lambda op, x: op.Sinh(x)),
    "Erf": _of_input(lambda op, x: op.Mul(2 / math.sqrt(math.pi), op.Exp(op.Neg(_square(op, x))))),
    "Exp": _of_output(lambda op, y: y),
    "Log": elementwise(lambda op, n, g: (op.Div(g, n.inputs[0]),)),
    "Sin": _of_input(lambda op, x: op.Cos(x)),
    "Sinh": _of_input(lambda op, x: op.Cosh(x)),
    "Tan": _of_output(lambda op, y: op.Add(1.0, _square(op, y))),
}
