"""The operators of all families in one table, and what follows from it."""

from __future__ import annotations

from onnxplain.graphops.ir import Node
from onnxplain.graphops.operators import (
    activation,
    arithmetic,
    average_pooling,
    casting,
    comparison,
    concat,
    convolution,
    cumulative,
    depth,
    einsum,
    functions,
    gather,
    generators,
    grid_sample,
    matmul,
    max_pooling,
    normalization,
    padding,
    quantization,
    reduction,
    repeating,
    reshape,
    resize,
    scatter,
    slicing,
    softmax,
    text,
    unsupported,
)
from onnxplain.graphops.operators.operator import Operator, Refused, Without
from onnxplain.graphops.operators.rectifier import gate, rectifiers
from onnxplain.graphops.operators.table import Rule, Table, merge

__all__ = ["ACTIVATIONS", "GRADIENT", "NO_FLOW", "OPERATORS", "REFUSED", "operator_of"]

OPERATORS: dict[str, Operator] = merge(
    activation.OPERATORS,
    arithmetic.OPERATORS,
    average_pooling.OPERATORS,
    casting.OPERATORS,
    comparison.OPERATORS,
    concat.OPERATORS,
    convolution.OPERATORS,
    cumulative.OPERATORS,
    depth.OPERATORS,
    einsum.OPERATORS,
    functions.OPERATORS,
    gather.OPERATORS,
    generators.OPERATORS,
    grid_sample.OPERATORS,
    matmul.OPERATORS,
    max_pooling.OPERATORS,
    normalization.OPERATORS,
    padding.OPERATORS,
    quantization.OPERATORS,
    reduction.OPERATORS,
    repeating.OPERATORS,
    reshape.OPERATORS,
    resize.OPERATORS,
    scatter.OPERATORS,
    slicing.OPERATORS,
    softmax.OPERATORS,
    text.OPERATORS,
    unsupported.OPERATORS,
)


def operator_of(node: Node) -> Operator | None:
    """Return what is known of a node's operator, None where it is not ONNX's own."""
    return OPERATORS.get(node.op) if node.domain in (None, "", "ai.onnx") else None


def _rules(operators: dict[str, Operator]) -> dict[str, Rule]:
    return {
        name: operator.vjp
        for name, operator in operators.items()
        if not isinstance(operator.vjp, Without | Refused)
    }


RULES = _rules(OPERATORS)

# A rectifier passes nothing at zero, however it is spelled: not half, as Max otherwise would.
GRADIENT: Table = RULES | rectifiers(RULES, lambda op, n, g: (gate(op, n, g),))

# The activations that a method may treat apart, or leave as they are.
ACTIVATIONS = frozenset(_rules(activation.OPERATORS | softmax.OPERATORS))

# The operators that no signal passes: said, not forgotten.
NO_FLOW = frozenset(name for name, o in OPERATORS.items() if isinstance(o.vjp, Without))

# The operators that a signal could pass and that have no rule, and what to do about each.
REFUSED = {name: o.vjp.advice for name, o in OPERATORS.items() if isinstance(o.vjp, Refused)}
