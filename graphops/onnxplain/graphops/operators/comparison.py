"""Comparisons, logic and bits: their outputs are true or false, or whole numbers."""

from __future__ import annotations

from onnxplain.graphops.operators.kinds import INTEGERS, elementwise, no_flow
from onnxplain.graphops.operators.operator import Operator

__all__ = ["OPERATORS"]

OPERATORS: dict[str, Operator] = {
    "And": elementwise(INTEGERS),
    "BitShift": no_flow(INTEGERS),
    "BitwiseAnd": no_flow(INTEGERS),
    "BitwiseNot": no_flow(INTEGERS),
    "BitwiseOr": no_flow(INTEGERS),
    "BitwiseXor": no_flow(INTEGERS),
    "Equal": elementwise(INTEGERS),
    "Greater": elementwise(INTEGERS),
    "GreaterOrEqual": elementwise(INTEGERS),
    "IsInf": elementwise(INTEGERS),
    "IsNaN": elementwise(INTEGERS),
    "Less": elementwise(INTEGERS),
    "LessOrEqual": elementwise(INTEGERS),
    "Not": elementwise(INTEGERS),
    "Or": elementwise(INTEGERS),
    "Xor": elementwise(INTEGERS),
}
