"""Operators that no signal passes: comparisons, whole numbers, sizes, random numbers, text."""

from __future__ import annotations

from onnxplain.graphops.operators.constructors import INTEGERS, elementwise, no_flow
from onnxplain.graphops.operators.operator import Operator, SizesOnly, Without

__all__ = ["OPERATORS"]

UNREAD = Without("it reads no values, or only the probabilities of a draw")
TEXT = Without("it reads text or bytes, not numbers")

OPERATORS: dict[str, Operator] = {
    **dict.fromkeys(
        ("And", "Equal", "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual",
         "Not", "Or", "Xor"), elementwise(INTEGERS)
    ),
    **dict.fromkeys(
        ("BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "NonMaxSuppression",
         "NonZero", "OptionalHasElement", "SequenceEmpty", "SequenceLength"), no_flow(INTEGERS)
    ),
    **dict.fromkeys(("Shape", "Size"), Operator(INTEGERS, SizesOnly(), SizesOnly(), SizesOnly())),
    **dict.fromkeys(
        ("Bernoulli", "BlackmanWindow", "Constant", "EyeLike", "HammingWindow", "HannWindow",
         "MelWeightMatrix", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
         "RandomUniformLike", "Range"), no_flow(UNREAD)
    ),
    "ConstantOfShape": Operator(
        UNREAD,
        batch=Without("its size may depend on the values of an image"),
        axes=SizesOnly(),
        slide=Without("its size is that of one window"),
    ),
    **dict.fromkeys(
        ("ImageDecoder", "RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit",
         "TfIdfVectorizer"), no_flow(TEXT)
    ),
}  # fmt: skip
