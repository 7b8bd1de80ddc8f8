"""Comparisons, logic and other operators whose outputs are true or false, or whole numbers."""

from __future__ import annotations

from onnxplain.graphops.operators.kinds import INTEGERS, elementwise, no_flow
from onnxplain.graphops.operators.operator import Operator

__all__ = ["OPERATORS"]

OPERATORS: dict[str, Operator] = {
    **dict.fromkeys(
        ("And", "Equal", "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual",
         "Not", "Or", "Xor"), elementwise(INTEGERS)
    ),
    **dict.fromkeys(
        ("BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "NonMaxSuppression",
         "NonZero", "OptionalHasElement", "SequenceEmpty", "SequenceLength"), no_flow(INTEGERS)
    ),
}  # fmt: skip
