"""Operators on strings and encoded pictures, which hold no numbers that a signal could be of."""

from __future__ import annotations

from onnxplain.graphops.operators.kinds import no_flow
from onnxplain.graphops.operators.operator import Operator, Without

__all__ = ["OPERATORS"]

TEXT = Without("it reads text or bytes, no numbers that a signal could be of")

OPERATORS: dict[str, Operator] = {
    "ImageDecoder": no_flow(TEXT),
    "RegexFullMatch": no_flow(TEXT),
    "StringConcat": no_flow(TEXT),
    "StringNormalizer": no_flow(TEXT),
    "StringSplit": no_flow(TEXT),
    "TfIdfVectorizer": no_flow(TEXT),
}
