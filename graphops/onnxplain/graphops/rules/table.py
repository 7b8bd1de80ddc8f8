"""What a rule is, and how tables of rules are put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from onnxplain.graphops.broadcast import unbroadcast
from onnxplain.graphops.emit import Emitter
from onnxplain.graphops.graph import Node, Tensor

__all__ = ["NO_FLOW", "Rule", "Signals", "Table", "broadcasting", "merge"]

Signals: TypeAlias = tuple[Tensor | None, ...]
Rule: TypeAlias = Callable[[Emitter, Node, Any], Signals]
Table: TypeAlias = dict[str, Rule]

# Nothing flows through these: said, not forgotten. Their derivative is zero wherever it exists.
NO_FLOW = frozenset({
    "And", "ArgMax", "ArgMin", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor",
    "Ceil", "ConstantOfShape", "Equal", "EyeLike", "Floor", "Greater", "GreaterOrEqual", "Hardmax",
    "IsInf", "IsNaN", "Less", "LessOrEqual", "NonMaxSuppression", "NonZero", "Not", "OneHot", "Or",
    "Range", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli",
    "Multinomial", "Round", "Shape", "Sign", "Size", "Unique", "Xor",
})  # fmt: skip


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
