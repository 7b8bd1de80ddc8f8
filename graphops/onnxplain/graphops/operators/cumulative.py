"""CumSum: running sums along an axis."""

from __future__ import annotations

from typing import Any

from onnxplain.graphops.ir import Emitter, Node
from onnxplain.graphops.operators.batching import beside_batch, first_input, known_input
from onnxplain.graphops.operators.kinds import NO_PRODUCTS
from onnxplain.graphops.operators.operator import Operator, Without
from onnxplain.graphops.operators.table import Signals

__all__ = ["OPERATORS"]


def _cumsum(op: Emitter, n: Node, g: Any) -> Signals:
    """The running sum from the other end."""
    attrs = {k: v for k, v in n.attrs.items() if k == "exclusive"}
    reverse = 1 - n.attrs.get("reverse", 0)
    return op.CumSum(g, n.inputs[1], **attrs, reverse=reverse), None


def _batch(node: Node, batched: list[bool]) -> bool:
    axis = known_input(node, 1)
    return first_input(node, batched) and axis is not None and beside_batch(axis, node.inputs[0])


OPERATORS: dict[str, Operator] = {
    "CumSum": Operator(
        _cumsum,
        batch=_batch,
        axes=Without("each position sees all that come before it, so the size differs"),
        slide=Without("a sum that starts at the edge of the picture is another at each window"),
        cost=NO_PRODUCTS,
    ),
}
