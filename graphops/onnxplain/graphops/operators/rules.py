"""What a rule is, and how rules are wrapped and merged into tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

import onnx_graphsurgeon as gs

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Emitter, Node, Tensor, is_half, onnx_type
from onnxplain.graphops.operators.broadcast import unbroadcast

__all__ = [
    "NOTHING", "Rule", "Signals", "Table", "broadcasting", "in_float32", "merge", "only_first",
    "to_first", "unbroadcasting", "widening",
]  # fmt: skip

# The signal of an input to which a method passes nothing on purpose. None stands for no derivative.
NOTHING: Tensor = gs.Variable.empty()

# One signal for each input, None where none flows.
Signals: TypeAlias = tuple[Tensor | None, ...]

# The last argument's type depends on the node: a Tensor for one float output, Signals for several.
Rule: TypeAlias = Callable[[Emitter, Node, Any], Signals]
Table: TypeAlias = dict[str, Rule]

Entry = TypeVar("Entry")


def merge(*tables: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return one table of all entries. Raises ValueError for an operator in two of the tables."""
    merged: dict[str, Entry] = {}
    for table in tables:
        twice = merged.keys() & table.keys()
        if twice:
            raise ValueError(f"two entries for {sorted(twice)}")
        merged |= table
    return merged


def to_first(node: Node, signal: Tensor) -> Signals:
    """Return the signals of a node that sends one to its first input only."""
    return signal, *(None for _ in node.inputs[1:])


def only_first(node: Node, signal: Tensor | Signals, others: str) -> Tensor:
    """Return the signal at a node's first output.

    others: a phrase for the other outputs, in which {} stands for the node. Raises UnsupportedModel
    for a signal at one of them.
    """
    first, *rest = signal if isinstance(signal, tuple) else (signal,)
    if first is None or any(one is not None for one in rest):
        phrase = others.format(f"{node.op} '{node.name}'")
        raise UnsupportedModel(
            f"the layer depends on {phrase}: there is no rule for that, so export the model "
            "without it"
        )
    return first


def unbroadcasting(rule: Rule) -> Rule:
    """Sum the rule's signals, which have the output's shape, to the shapes of the inputs."""

    def summed(op: Emitter, node: Node, g: Any) -> Signals:
        return tuple(
            r if r is None or r is NOTHING else unbroadcast(op, r, x, node.outputs[0].shape)
            for x, r in zip(node.inputs, rule(op, node, g), strict=True)
        )

    return summed


def broadcasting(rules: Table) -> Table:
    """Return the table with every rule wrapped in `unbroadcasting`."""
    return {name: unbroadcasting(rule) for name, rule in rules.items()}


def widening(rule: Rule) -> Rule:
    """Compute the rule in float32 on half precision, whose range the squares of values leave."""

    def widened(op: Emitter, node: Node, g: Any) -> Signals:
        signals: Signals = g if isinstance(g, tuple) else (g,)
        first = next(s for s in signals if s is not None)
        if not is_half(first):
            return rule(op, node, g)
        wide = tuple(None if s is None else op.widened(s) for s in signals)
        with op.in_float32():
            results = rule(op, node, wide if isinstance(g, tuple) else wide[0])
        return tuple(
            r if r is None or r is NOTHING else op.narrowed(r, onnx_type(first)) for r in results
        )

    return widened


def in_float32(rules: Table) -> Table:
    """Return the table with every rule wrapped in `widening`."""
    return {name: widening(rule) for name, rule in rules.items()}
