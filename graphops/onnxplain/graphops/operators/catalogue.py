"""The operators of all families in one table, and what follows from it."""

from __future__ import annotations

from onnxplain.graphops.ir import Node
from onnxplain.graphops.operators import (
    activation,
    arithmetic,
    attention,
    average_pooling,
    casting,
    concat,
    convolution,
    einsum,
    gather,
    grid_sample,
    matmul,
    max_pooling,
    nondifferentiable,
    normalization,
    padding,
    quantization,
    reduction,
    repeating,
    reshape,
    resize,
    rotary_embedding,
    scatter,
    slicing,
    softmax,
    unsupported,
)
from onnxplain.graphops.operators.operator import Operator, Refused, Without
from onnxplain.graphops.operators.rectifier import gate, rectifiers
from onnxplain.graphops.operators.rules import Rule, Table, merge

__all__ = [
    "ACTIVATIONS",
    "GRADIENT",
    "NO_FLOW",
    "OPERATORS",
    "REFUSED",
    "is_elementwise",
    "operator_of",
]

FAMILIES = (
    activation, arithmetic, attention, average_pooling, casting, concat, convolution, einsum,
    gather, grid_sample, matmul, max_pooling, nondifferentiable, normalization, padding,
    quantization, reduction, repeating, reshape, resize, rotary_embedding, scatter, slicing,
    softmax, unsupported,
)  # fmt: skip
OPERATORS: dict[str, Operator] = merge(*(family.OPERATORS for family in FAMILIES))


def operator_of(node: Node) -> Operator | None:
    """Return the facts about a node's operator, None for an operator of another domain."""
    return OPERATORS.get(node.op) if node.domain in (None, "", "ai.onnx") else None


def is_elementwise(node: Node) -> bool:
    """Tell whether each element of a node's output depends on the same element of its inputs."""
    operator = operator_of(node)
    return operator is not None and (operator.is_elementwise or node.op == "CastLike")


def _rules(operators: dict[str, Operator]) -> dict[str, Rule]:
    return {
        name: operator.vjp
        for name, operator in operators.items()
        if not isinstance(operator.vjp, Without | Refused)
    }


RULES = _rules(OPERATORS)

# Every form of a rectifier passes nothing at zero; Max alone would pass half.
GRADIENT: Table = RULES | rectifiers(RULES, lambda op, n, g: (gate(op, n, g),))

# The activations, which methods may give rules of their own.
ACTIVATIONS = frozenset(_rules(activation.OPERATORS | softmax.OPERATORS))

# The operators that no signal passes.
NO_FLOW = frozenset(name for name, o in OPERATORS.items() if isinstance(o.vjp, Without))

# The operators that a signal could pass and that have no rule, each with advice on what to do.
REFUSED = {name: o.vjp.advice for name, o in OPERATORS.items() if isinstance(o.vjp, Refused)}
