"""Fourier transforms."""

from __future__ import annotations

from onnxplain.graphops.operators.kinds import ONWARDS, refused
from onnxplain.graphops.operators.operator import Operator

__all__ = ["OPERATORS"]

OPERATORS: dict[str, Operator] = {"DFT": refused(ONWARDS), "STFT": refused(ONWARDS)}
