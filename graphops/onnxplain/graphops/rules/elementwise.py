"""Vector-Jacobian products of the element-wise operators. g is the signal at the output."""

from __future__ import annotations

from typing import Any

from onnxplain.graphops.emit import Emitter
from onnxplain.graphops.graph import Node
from onnxplain.graphops.rules.table import Signals, broadcasting

__all__ = ["RULES"]


def _div(op: Emitter, n: Node, g: Any) -> Signals:
    a, b = n.inputs
    return op.Div(g, b), op.Neg(op.Div(op.Mul(g, a), op.Mul(b, b)))


RULES = broadcasting(
    {
        "Add": lambda op, n, g: (g, g),
        "Sub": lambda op, n, g: (g, op.Neg(g)),
        "Mul": lambda op, n, g: (op.Mul(g, n.inputs[1]), op.Mul(g, n.inputs[0])),
        "Div": _div,
        "Identity": lambda op, n, g: (g,),
    }
)
