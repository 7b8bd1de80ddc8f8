"""What a rule is, and how tables of rules are put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import onnx

from onnxplain.graphops.ir import HALF, Emitter, Node, Tensor, onnx_type
from onnxplain.graphops.operators.broadcast import unbroadcast

__all__ = ["NO_FLOW", "REFUSED", "Rule", "Signals", "Table", "broadcasting", "in_float32", "merge"]

Signals: TypeAlias = tuple[Tensor | None, ...]
Rule: TypeAlias = Callable[[Emitter, Node, Any], Signals]
Table: TypeAlias = dict[str, Rule]

# Nothing flows through these: said, not forgotten. Their derivative is zero wherever it exists, or
# what they read is no number that a signal could be of.
NO_FLOW = frozenset({
    "And", "ArgMax", "ArgMin", "Bernoulli", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr",
    "BitwiseXor", "BlackmanWindow", "Ceil", "Constant", "ConstantOfShape", "Equal", "EyeLike",
    "Floor", "Greater", "GreaterOrEqual", "HammingWindow", "HannWindow", "Hardmax", "ImageDecoder",
    "IsInf", "IsNaN", "Less", "LessOrEqual", "MelWeightMatrix", "Multinomial", "NonMaxSuppression",
    "NonZero", "Not", "OneHot", "OptionalHasElement", "Or", "RandomNormal", "RandomNormalLike",
    "RandomUniform", "RandomUniformLike", "Range", "RegexFullMatch", "Round", "SequenceEmpty",
    "SequenceLength", "Shape", "Sign", "Size", "StringConcat", "StringNormalizer", "StringSplit",
    "TfIdfVectorizer", "Unique", "Xor",
})  # fmt: skip

QDQ = (
    "quantise the model in QDQ format, whose pairs of QuantizeLinear and DequantizeLinear have "
    "rules (ONNX Runtime: quantize_static with quant_format=QuantFormat.QDQ)"
)
UNROLLED = "export the model with it unrolled"
NO_SEQUENCES = "export the model without sequences of tensors, with Split and Concat in their place"
SPELLED_OUT = "export the model for an opset that spells it out (MatMul, Softmax, Mul, Add)"
ONWARDS = "project back to a tensor after it (`to`)"

# Operators that a signal could pass and that have no rule, and what to do about each.
REFUSED: dict[str, str] = {
    **dict.fromkeys(
        ("ConvInteger", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul"),
        QDQ,
    ),
    **dict.fromkeys(("GRU", "LSTM", "Loop", "RNN", "Scan", "SequenceMap"), UNROLLED),
    "If": "export the model with a condition that does not depend on the image",
    **dict.fromkeys(
        ("ConcatFromSequence", "Optional", "OptionalGetElement", "SequenceAt", "SequenceConstruct",
         "SequenceErase", "SequenceInsert", "SplitToSequence"), NO_SEQUENCES
    ),
    **dict.fromkeys(
        ("Attention", "RotaryEmbedding", "TensorScatter"), SPELLED_OUT
    ),
    **dict.fromkeys(("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"),
                    "a loss is for training: export the model for inference"),
    **dict.fromkeys(
        ("BitCast", "Col2Im", "CumProd", "DFT", "DeformConv", "Det", "MaxRoiPool", "RoiAlign",
         "STFT"), ONWARDS
    ),
}  # fmt: skip


def merge(*tables: Table) -> dict[str, Rule]:
    """Return one table of all; an operator that two tables know is an error."""
    merged: dict[str, Rule] = {}
    for table in tables:
        twice = merged.keys() & table.keys()
        if twice:
            raise ValueError(f"two rules for {sorted(twice)}")
        merged |= table
    return merged


def broadcasting(rules: Table) -> dict[str, Rule]:
    """Let each rule give signals of the output's shape; sum them to their input's, here, once."""

    def around(rule: Rule) -> Rule:
        def summed(op: Emitter, node: Node, g: Any) -> Signals:
            return tuple(
                None if r is None else unbroadcast(op, r, x, node.outputs[0].shape)
                for x, r in zip(node.inputs, rule(op, node, g), strict=True)
            )

        return summed

    return {name: around(rule) for name, rule in rules.items()}


def in_float32(rules: Table) -> dict[str, Rule]:
    """Let each rule work in float32 for half precision, whose range squares of values leave."""

    def around(rule: Rule) -> Rule:
        def widened(op: Emitter, node: Node, g: Any) -> Signals:
            several = g if isinstance(g, tuple) else (g,)
            kind = onnx_type(next(s for s in several if s is not None))
            if kind not in HALF:
                return rule(op, node, g)
            wide = _cast_all(op, several, onnx.TensorProto.FLOAT)
            with op.in_float32():
                results = rule(op, node, wide if isinstance(g, tuple) else wide[0])
            return _cast_all(op, results, kind)

        return widened

    return {name: around(rule) for name, rule in rules.items()}


def _cast_all(op: Emitter, signals: Signals, kind: int) -> Signals:
    return tuple(None if s is None else op.Cast(s, to=kind) for s in signals)
