"""Rules of the gradient in their fastest form, where that is another for the rule as a whole."""

from __future__ import annotations

from onnxplain.graphops.fusion import ACTIVATION, Fused
from onnxplain.graphops.ir import Emitter, Node, Tensor
from onnxplain.graphops.lowering.blocked import channels_of, repeated, scaled, sizes_of
from onnxplain.graphops.lowering.max_pool import compares, max_pool
from onnxplain.graphops.operators import GRADIENT, Rule, Signals, Table, Window

__all__ = ["fast_rules", "form_of"]


def fast_rules(table: Table, chained: Rule, unpool: Rule, comparing: bool) -> Table:
    """Return the table with faster rules in place of those of the gradient.

    chained: the rule of a group of nodes, one by one. unpool: the rule of MaxPool where its input
    and output are not compared; comparing: whether they are where that is possible.
    """
    fast = dict(table)
    if table.get(ACTIVATION, chained) is chained:
        fast[ACTIVATION] = _swish(chained)
    if table["AveragePool"] is GRADIENT["AveragePool"]:
        fast["AveragePool"] = _average_pool(table["AveragePool"])
    if table["MaxPool"] is GRADIENT["MaxPool"]:
        fast["MaxPool"] = _max_pool(unpool) if comparing else unpool
    return fast


def form_of(node: Node) -> str:
    """Return what is special about the fast rule of a node, or ""."""
    if node.op == "MaxPool" and compares(node):
        return "comparison with the maximum"
    if node.op == "AveragePool" and _tiles(node):
        return "nearest Resize"
    if (
        node.op == ACTIVATION
        and _sigmoid_of_swish(node) is not None
        and channels_of(node.inputs[0])
    ):
        return "σ·(1 + x − y)"
    return ""


def _max_pool(otherwise: Rule) -> Rule:
    def rule(op: Emitter, n: Node, g: Tensor) -> Signals:
        several = op.image_index(n.inputs[0]) is not None  # comparing once per result costs more
        return otherwise(op, n, g) if several or not compares(n) else (max_pool(op, n, g),)

    return rule


def _average_pool(otherwise: Rule) -> Rule:
    """Windows side by side: each element has its window's share of the signal."""

    def rule(op: Emitter, n: Node, g: Tensor) -> Signals:
        if not _tiles(n):
            return otherwise(op, n, g)
        height, width = Window.of(n).kernel
        g.shape = g.shape or op.signal_shape(n.outputs[0])
        return (repeated(op, scaled(op, g, 1 / (height * width)), [height, width]),)

    return rule


def _tiles(node: Node) -> bool:
    """Tell whether the windows of a pool lie side by side and cover its maps."""
    x, y, window = sizes_of(node.inputs[0]), sizes_of(node.outputs[0]), Window.of(node)
    if channels_of(node.inputs[0]) is None or x is None or y is None:
        return False
    covered = [n * k for n, k in zip(y, window.kernel, strict=True)]
    if window.static_pads() != ([0, 0], [0, 0]) or max(window.dilations) > 1:
        return False
    return window.kernel == window.strides and covered == x


def _swish(chained: Rule) -> Rule:
    """y = x·σ(x) has the derivative σ + x·σ·(1 − σ) = σ·(1 + x − y)."""

    def rule(op: Emitter, n: Node, g: Tensor) -> Signals:
        x, y, sigmoid = n.inputs[0], n.outputs[0], _sigmoid_of_swish(n)
        if sigmoid is None or channels_of(x) is None:
            return chained(op, n, g)
        slope = op.Mul(sigmoid, op.Add(scaled(op, y, -1, 1), x))
        return (op.Mul(g, slope),)

    return rule


def _sigmoid_of_swish(n: Node) -> Tensor | None:
    """Return σ(x) where a group of nodes is x·σ(x)."""
    if not isinstance(n, Fused) or [m.op for m in n.members] != ["Sigmoid", "Mul"]:
        return None
    sigmoid, product = n.members
    x, s = n.inputs[0], sigmoid.outputs[0]
    same = sigmoid.inputs[0] is x and {t.name for t in product.inputs} == {x.name, s.name}
    return s if same else None
