"""Branches, loops and recurrent cells, whose bodies a walk back would have to unroll."""

from __future__ import annotations

from onnxplain.graphops.operators.kinds import refused
from onnxplain.graphops.operators.operator import Operator

__all__ = ["OPERATORS"]

UNROLLED = "export the model with it unrolled"

OPERATORS: dict[str, Operator] = {
    "GRU": refused(UNROLLED),
    "If": refused("export the model with a condition that does not depend on the image"),
    "LSTM": refused(UNROLLED),
    "Loop": refused(UNROLLED),
    "RNN": refused(UNROLLED),
    "Scan": refused(UNROLLED),
    "SequenceMap": refused(UNROLLED),
}
