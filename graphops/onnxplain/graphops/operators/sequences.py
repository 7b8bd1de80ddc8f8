"""Sequences of tensors and optional tensors."""

from __future__ import annotations

from onnxplain.graphops.operators.kinds import INTEGERS, no_flow, refused
from onnxplain.graphops.operators.operator import Operator

__all__ = ["OPERATORS"]

SPLIT = "export the model without sequences of tensors, with Split and Concat in their place"

OPERATORS: dict[str, Operator] = {
    "ConcatFromSequence": refused(SPLIT),
    "Optional": refused(SPLIT),
    "OptionalGetElement": refused(SPLIT),
    "OptionalHasElement": no_flow(INTEGERS),
    "SequenceAt": refused(SPLIT),
    "SequenceConstruct": refused(SPLIT),
    "SequenceEmpty": no_flow(INTEGERS),
    "SequenceErase": refused(SPLIT),
    "SequenceInsert": refused(SPLIT),
    "SequenceLength": no_flow(INTEGERS),
    "SplitToSequence": refused(SPLIT),
}
