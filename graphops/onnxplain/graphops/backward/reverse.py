"""The backward pass: from the signal at the layer to the signal at the target.

Each node's rule maps the signal at its outputs to signals at its inputs; where branches meet,
signals are added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from onnxplain.graphops.analysis import Path
from onnxplain.graphops.errors import UnsupportedModel, UnsupportedOperator
from onnxplain.graphops.fusion import Fused
from onnxplain.graphops.ir import Emitter, Node, Tensor, is_float, is_standard
from onnxplain.graphops.operators import GRADIENT, NOTHING, REFUSED, Signals, Table

__all__ = [
    "chained", "has_rule", "require_rules", "require_signal", "require_signals", "reverse",
]  # fmt: skip


def reverse(op: Emitter, path: Path, seed: Tensor, table: Table) -> list[Tensor]:
    """Append the backward pass of `seed` from the path's layer to its targets.

    Returns the signal at each target, of its shape. Raises UnsupportedOperator where a node on the
    path has no rule, and UnsupportedModel where no signal reaches a target.
    """
    path = path.expanded(table)
    require_rules(path, table)
    cotangents = Cotangents(op)
    cotangents.add(path.layer, seed)
    for node in reversed(path.nodes):
        with op.scoped(node.name):
            g = cotangents.take(node.outputs)
            results = () if g is None else table[node.op](op, node, g)
        if g is None:
            continue
        if len(results) != len(node.inputs):
            raise ValueError(
                f"the rule of {node.op} returned {len(results)} signals for its "
                f"{len(node.inputs)} inputs"
            )
        require_signals(node, results, path)
        for tensor, signal in zip(node.inputs, results, strict=True):
            if tensor.name in path.tensors and signal is not None and signal is not NOTHING:
                cotangents.add(tensor, signal)
    signals = []
    for target in path.targets:
        with op.scoped(path.nodes[0].name if path.nodes else ""):
            arrived = cotangents.take_one(target)
        if arrived is None:
            raise UnsupportedModel(f"no signal from '{path.layer.name}' reaches '{target.name}'")
        signals.append(arrived)
    return signals


def chained(op: Emitter, n: Node, g: Tensor) -> Signals:
    """The gradient rule of a group of nodes: the chain rule through its members."""
    if not isinstance(n, Fused):
        raise TypeError(f"{n.op} '{n.name}' is no group of nodes")
    return tuple(reverse(op, Path.through(n, op.opset), g, GRADIENT))


def has_rule(table: Table) -> Callable[[Node], bool]:
    """Return a predicate that tells whether a node has a rule in `table`."""
    return lambda node: is_standard(node) and node.op in table


def require_signal(node: Node, signal: Tensor | None) -> Tensor:
    """Return a signal that a node's rule returned. Raises UnsupportedOperator for None."""
    if signal is None:
        raise UnsupportedOperator(f"{node.op} '{node.name}' passes no signal to its input")
    return signal


def require_signals(node: Node, signals: Signals, path: Path) -> None:
    """Raise UnsupportedOperator where a node's rule has no signal for an input on the path."""
    for tensor, signal in zip(node.inputs, signals, strict=True):
        if signal is None and tensor.name in path.tensors:
            raise UnsupportedOperator(
                f"{node.op} '{node.name}' passes no signal to its input '{tensor.name}', which "
                f"depends on '{path.target.name}'"
            )


def require_rules(path: Path, table: Table) -> None:
    """Raise UnsupportedOperator for the first node on the path that has no rule."""
    known, path = has_rule(table), path.expanded(table)
    for node in path.nodes:
        if known(node):
            continue
        domain = "" if is_standard(node) else f" of domain '{node.domain}'"
        advice = "" if domain else REFUSED.get(node.op, "")
        raise UnsupportedOperator(
            f"no rule for {node.op}{domain} (node '{node.name}', opset {path.opset}) on the path "
            f"from '{path.target.name}' to '{path.layer.name}'" + (f"; {advice}" if advice else "")
        )


class Cotangents:
    """The signals collected at each tensor so far; their sum is taken once."""

    def __init__(self, op: Emitter) -> None:
        self._op = op
        self._arrived: dict[str, list[Tensor]] = {}

    def add(self, tensor: Tensor, signal: Tensor) -> None:
        """Add a signal at `tensor`, whose shape it has."""
        if signal.shape is None and signal.inputs:
            signal.shape = self._op.signal_shape(tensor)
        self._arrived.setdefault(tensor.name, []).append(signal)

    def take(self, outputs: Iterable[Tensor]) -> Tensor | tuple[Tensor | None, ...] | None:
        """Return the signal at a node's float outputs: one, or a tuple where there are several.

        None where no output has a signal. Quantised integers count as floats.
        """
        outputs = [t for t in outputs if not t.is_empty()]
        integers = [t.dtype for t in outputs if t.name in self._arrived and not is_float(t)]
        floats = [t for t in outputs if is_float(t) or t.dtype in integers]
        sums = [self.take_one(t) for t in floats]
        if all(s is None for s in sums):
            return None
        return sums[0] if len(floats) == 1 else tuple(sums)

    def take_one(self, tensor: Tensor) -> Tensor | None:
        """Return the sum of the signals at one tensor, None where there are none."""
        arrived = self._arrived.pop(tensor.name, [])
        if len(arrived) < 2:
            return arrived[0] if arrived else None
        total = self._op.Sum(*arrived) if len(arrived) > 2 else self._op.Add(*arrived)
        total.shape = self._op.signal_shape(tensor)
        return total
