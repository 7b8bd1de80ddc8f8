"""Operators on strings and encoded pictures, which hold no numbers that a signal could be of."""

from __future__ import annotations

from onnxplain.graphops.operators.kinds import no_flow
from onnxplain.graphops.operators.operator import Operator, Without

__all__ = ["OPERATORS"]

OPERATORS: dict[str, Operator] = dict.fromkeys(
    ("ImageDecoder", "RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit",
     "TfIdfVectorizer"), no_flow(Without("it reads text or bytes, not numbers"))
)  # fmt: skip
