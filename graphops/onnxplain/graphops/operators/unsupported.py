"""Operators that a signal could pass and that have no rule yet, with advice if there is any.

An operator that gets a rule moves to the file of its family.
"""

from __future__ import annotations

from dataclasses import replace

from onnxplain.graphops.ir import Node, Tensor, attribute, rank_of, shape_of
from onnxplain.graphops.operators import roles
from onnxplain.graphops.operators.matmul import product_roles
from onnxplain.graphops.operators.operator import Operator, Refused, Without
from onnxplain.graphops.operators.roles import Lines, Role, RolesRule

__all__ = ["OPERATORS"]

QDQ = (
    "quantise the model in QDQ format, whose pairs of QuantizeLinear and DequantizeLinear have "
    "rules (ONNX Runtime: quantize_static with quant_format=QuantFormat.QDQ)"
)
UNROLLED = "export the model with the loop unrolled"
NO_SEQUENCES = "export the model with Split and Concat instead of sequences of tensors"
INFERENCE = "a loss is for training: export the model for inference"

NO_RULE = Without("it has no rule, so its other facts are not stated")


def _refused(
    advice: str, *names: str, carried: RolesRule | Without = NO_RULE
) -> dict[str, Operator]:
    operator = Operator(Refused(advice), NO_RULE, NO_RULE, NO_RULE, NO_RULE, carried)
    return dict.fromkeys(names, operator)


def _integer_product_roles(second: int) -> RolesRule:
    """Return the rule of a matrix product whose second factor is this input."""
    return lambda node, lines, output: product_roles(
        (node.inputs[0], lines[0]), (node.inputs[second], lines[second]), output
    )


@roles.of_data
def _recurrent_roles(node: Node, lines: Lines, output: Tensor) -> Lines:
    """[length, batch, inputs] becomes [length, directions, batch, hidden]; layout 1 starts [batch].

    The hidden units of both directions are the channels, direction by direction.
    """
    later = int(attribute(node, "layout", 0))  # with layout 1, the directions come one axis later
    rank, sizes = rank_of(output), shape_of(output)
    axis, hidden = rank - 3 + later, sizes[-1]
    (unit,) = roles.fresh(Role.CHANNEL, output, rank - 1)
    result = [*(lines[:2] if rank == 4 else [lines[1 - later]]), (unit,)]
    if sizes[axis] == 1 or not isinstance(hidden, int):
        return [*result[:axis], (), *result[axis:]]
    unit = replace(unit, outer=False, whole=None)
    result[-1] = (unit,)
    outer = replace(unit, size=sizes[axis], stride=hidden, outer=True)
    return [*result[:axis], (outer,), *result[axis:]]


OPERATORS: dict[str, Operator] = {
    **_refused(QDQ, "ConvInteger", "QLinearConv", carried=roles.channels_first(makes=True)),
    **_refused(QDQ, "DynamicQuantizeLinear", carried=roles.same),
    **_refused(QDQ, "MatMulInteger", carried=_integer_product_roles(1)),
    **_refused(QDQ, "QLinearMatMul", carried=_integer_product_roles(3)),
    **_refused(UNROLLED, "GRU", "LSTM", "RNN", carried=_recurrent_roles),
    **_refused(UNROLLED, "Loop", "Scan", "SequenceMap"),
    **_refused("export the model with a condition that does not depend on the image", "If"),
    **_refused(
        NO_SEQUENCES, "ConcatFromSequence", "Optional", "OptionalGetElement", "SequenceAt",
        "SequenceConstruct", "SequenceErase", "SequenceInsert", "SplitToSequence",
    ),
    **_refused("export the model without a cache of keys and values", "TensorScatter"),
    **_refused(INFERENCE, "NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"),
    **_refused("", "BitCast", "Col2Im", "CumProd", "DFT", "Det", "STFT"),
    **_refused("", "DeformConv", carried=roles.channels_first(makes=True)),
    **_refused("", "MaxRoiPool", "RoiAlign", carried=roles.channels_first(makes=False)),
}  # fmt: skip
