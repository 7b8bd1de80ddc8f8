"""Operators that a signal could pass and that have no rule yet, with advice if there is any.

An operator that gets a rule moves to the file of its family.
"""

from __future__ import annotations

from onnxplain.graphops.operators.operator import Operator, Refused, Without

__all__ = ["OPERATORS"]

QDQ = (
    "quantise the model in QDQ format, whose pairs of QuantizeLinear and DequantizeLinear have "
    "rules (ONNX Runtime: quantize_static with quant_format=QuantFormat.QDQ)"
)
UNROLLED = "export the model with the loop unrolled"
NO_SEQUENCES = "export the model with Split and Concat instead of sequences of tensors"
BASIC = "export the model for an older opset, with basic operators (MatMul, Softmax, Mul, Add)"
INFERENCE = "a loss is for training: export the model for inference"

NO_RULE = Without("it has no rule, so its other facts are not stated")


def _refused(advice: str, *names: str) -> dict[str, Operator]:
    return dict.fromkeys(names, Operator(Refused(advice), NO_RULE, NO_RULE, NO_RULE, NO_RULE))


OPERATORS: dict[str, Operator] = {
    **_refused(
        QDQ, "ConvInteger", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul"
    ),
    **_refused(UNROLLED, "GRU", "LSTM", "Loop", "RNN", "Scan", "SequenceMap"),
    **_refused("export the model with a condition that does not depend on the image", "If"),
    **_refused(
        NO_SEQUENCES, "ConcatFromSequence", "Optional", "OptionalGetElement", "SequenceAt",
        "SequenceConstruct", "SequenceErase", "SequenceInsert", "SplitToSequence",
    ),
    **_refused(BASIC, "Attention", "RotaryEmbedding", "TensorScatter"),
    **_refused(INFERENCE, "NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"),
    **_refused(
        "", "BitCast", "Col2Im", "CumProd", "DFT", "DeformConv", "Det", "MaxRoiPool",
        "RoiAlign", "STFT",
    ),
}  # fmt: skip
