"""What a rule is, and how rules are wrapped and put together into tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

import onnx

from onnxplain.graphops.ir import HALF, Emitter, Node, Tensor, onnx_type
from onnxplain.graphops.operators.broadcast import unbroadcast

__all__ = [
    "Rule",
    "Signals",
    "Table",
    "broadcasting",
    "in_float32",
    "merge",
    "unbroadcasting",
    "widening",
]

Signals: TypeAlias = tuple[Tensor | None, ...]
Rule: TypeAlias = Callable[[Emitter, Node, Any], Signals]
Table: TypeAlias = dict[str, Rule]

Entry = TypeVar("Entry")


def merge(*tables: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return one table of all; an operator that stands in two tables raises ValueError."""
    merged: dict[str, Entry] = {}
    for table in tables:
        twice = merged.keys() & table.keys()
        if twice:
            raise ValueError(f"two entries for {sorted(twice)}")
        merged |= table
    return merged


def unbroadcasting(rule: Rule) -> Rule:
    """Let the rule give signals of the output's shape, and sum each to the shape of its input."""

    def summed(op: Emitter, node: Node, g: Any) -> Signals:
        return tuple(
            None if r is None else unbroadcast(op, r, x, node.outputs[0].shape)
            for x, r in zip(node.inputs, rule(op, node, g), strict=True)
        )

    return summed


def broadcasting(rules: Table) -> Table:
    """Return the table with every rule wrapped in `unbroadcasting`."""
    return {name: unbroadcasting(rule) for name, rule in rules.items()}


def widening(rule: Rule) -> Rule:
    """Let the rule work in float32 for half precision, whose range squares of values leave."""

    def widened(op: Emitter, node: Node, g: Any) -> Signals:
        several = g if isinstance(g, tuple) else (g,)
        kind = onnx_type(next(s for s in several if s is not None))
        if kind not in HALF:
            return rule(op, node, g)
        cast = _cast_all(op, several, onnx.TensorProto.FLOAT)
        with op.in_float32():
            results = rule(op, node, cast if isinstance(g, tuple) else cast[0])
        return _cast_all(op, results, kind)

    return widened


def in_float32(rules: Table) -> Table:
    """Return the table with every rule wrapped in `widening`."""
    return {name: widening(rule) for name, rule in rules.items()}


def _cast_all(op: Emitter, signals: Signals, kind: int) -> Signals:
    return tuple(None if s is None else op.Cast(s, to=kind) for s in signals)
