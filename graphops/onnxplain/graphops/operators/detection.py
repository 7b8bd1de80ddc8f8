"""Boxes and regions of interest."""

from __future__ import annotations

from onnxplain.graphops.operators.kinds import INTEGERS, ONWARDS, no_flow, refused
from onnxplain.graphops.operators.operator import Operator

__all__ = ["OPERATORS"]

OPERATORS: dict[str, Operator] = {
    "MaxRoiPool": refused(ONWARDS),
    "NonMaxSuppression": no_flow(INTEGERS),
    "RoiAlign": refused(ONWARDS),
}
