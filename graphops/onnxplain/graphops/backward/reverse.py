"""The walk back: from a signal at the layer to the signal that it sends to the target.

It knows no operator. Each node's rule says what passes; where branches meet, signals add.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from onnxplain.graphops.backward.path import Path, first_explainable
from onnxplain.graphops.errors import UnsupportedModel, UnsupportedOperator
from onnxplain.graphops.ir import Emitter, Node, Tensor, is_float
from onnxplain.graphops.operators import ONWARDS, REFUSED, Rule, Table

__all__ = ["has_rule", "require_rules", "require_signal", "reverse", "rule_for"]


def reverse(op: Emitter, path: Path, seed: Tensor, table: Table) -> Tensor:
    """Append the signal that `seed`, placed at the path's layer, sends back to its target.

    Returns that tensor, of the target's shape. Raises UnsupportedOperator where a node on the path
    has no rule, and UnsupportedModel where nothing arrives.
    """
    require_rules(path, table)
    cotangents = Cotangents(op)
    cotangents.add(path.layer, seed)
    for node in reversed(path.nodes):
        with op.scoped(node.name):
            g = cotangents.take(node.outputs)
            results = () if g is None else rule_for(table, node)(op, node, g)
        if g is None:
            continue
        if len(results) != len(node.inputs):
            raise ValueError(
                f"the rule of {node.op} gave {len(results)} signals for {len(node.inputs)} inputs"
            )
        for tensor, signal in zip(node.inputs, results, strict=True):
            if tensor.name not in path.tensors:
                continue
            if signal is None:
                raise UnsupportedOperator(
                    f"{node.op} '{node.name}' carries no signal to its input '{tensor.name}', "
                    f"which depends on '{path.target.name}': choose a target after it (`to`)"
                )
            cotangents.add(tensor, signal)
    with op.scoped(path.nodes[0].name if path.nodes else ""):
        arrived = cotangents.take_one(path.target)
    if arrived is None:
        raise UnsupportedModel(
            f"nothing flows back from '{path.layer.name}' to '{path.target.name}'"
        )
    return arrived


def rule_for(table: Table, node: Node) -> Rule:
    """Return the rule of a node of the standard domain."""
    return table[node.op]


def has_rule(table: Table) -> Callable[[Node], bool]:
    """Return the test whether a node has a rule in `table`."""
    return lambda node: node.domain in (None, "", "ai.onnx") and node.op in table


def require_signal(node: Node, signal: Tensor | None) -> Tensor:
    """Return a signal that a node's rule made. Raises UnsupportedOperator where it made none."""
    if signal is None:
        raise UnsupportedOperator(f"{node.op} '{node.name}' carries no signal to its input")
    return signal


def require_rules(path: Path, table: Table) -> None:
    """Raise UnsupportedOperator for the first node on the path that has no rule."""
    known = has_rule(table)
    for node in path.nodes:
        if known(node):
            continue
        start = first_explainable(path, known)
        onwards = (
            f"explanation is possible from '{start.name}' onwards: project back to it (`to`)"
            if start is not None and start is not path.layer
            else "no part of the path can be explained"
        )
        foreign = node.domain not in (None, "", "ai.onnx")
        domain = f" of domain '{node.domain}'" if foreign else ""
        advice = "" if foreign else REFUSED.get(node.op, "")
        if advice == ONWARDS:  # which stands behind it, where there is such a tensor
            advice = ""
        raise UnsupportedOperator(
            f"no rule for {node.op}{domain} (node '{node.name}', opset {path.opset}) on the path "
            f"from '{path.target.name}' to '{path.layer.name}'; "
            + "; ".join(filter(None, [advice, onwards]))
        )


class Cotangents:
    """The signals that have arrived at each tensor so far; summed when taken."""

    def __init__(self, op: Emitter) -> None:
        self._op = op
        self._arrived: dict[str, list[Tensor]] = {}

    def add(self, tensor: Tensor, signal: Tensor) -> None:
        """Let `signal` arrive at `tensor`, whose shape it has."""
        if signal.shape is None and signal.inputs:
            signal.shape = self._op.signal_shape(tensor)
        self._arrived.setdefault(tensor.name, []).append(signal)

    def take(self, outputs: Iterable[Tensor]) -> Tensor | tuple[Tensor | None, ...] | None:
        """Return the signal at a node's float outputs: one, or a tuple where there are several.

        None where nothing arrived at any. Quantised integers count as the floats they stand for.
        """
        outputs = [t for t in outputs if not t.is_empty()]
        integers = [t.dtype for t in outputs if t.name in self._arrived and not is_float(t)]
        floats = [t for t in outputs if is_float(t) or t.dtype in integers]
        sums = [self.take_one(t) for t in floats]
        if all(s is None for s in sums):
            return None
        return sums[0] if len(floats) == 1 else tuple(sums)

    def take_one(self, tensor: Tensor) -> Tensor | None:
        """Return the sum of the signals at one tensor, None where nothing arrived."""
        arrived = self._arrived.pop(tensor.name, [])
        if len(arrived) < 2:
            return arrived[0] if arrived else None
        total = self._op.Sum(*arrived) if len(arrived) > 2 else self._op.Add(*arrived)
        total.shape = self._op.signal_shape(tensor)
        return total
