"""Expand and Tile, which repeat a tensor."""

from __future__ import annotations

from typing import Any

from onnxplain.graphops.ir import Emitter, Node
from onnxplain.graphops.operators import axes
from onnxplain.graphops.operators.batching import first_input, known_input, rank
from onnxplain.graphops.operators.gather import rank_of
from onnxplain.graphops.operators.kinds import NO_PRODUCTS
from onnxplain.graphops.operators.operator import Operator, Without
from onnxplain.graphops.operators.table import Signals, unbroadcasting

__all__ = ["OPERATORS"]


def _tile(op: Emitter, n: Node, g: Any) -> Signals:
    """Sum over the copies: [r₀·d₀, r₁·d₁, ...] is [r₀, d₀, r₁, d₁, ...]."""
    x, repeats = n.inputs
    rank = rank_of(x, n)
    both = op.Concat(op.Unsqueeze(repeats, [1]), op.Unsqueeze(op.shape(x), [1]), axis=1)
    apart = op.Reshape(g, op.Reshape(both, [-1]))
    return op.ReduceSum(apart, list(range(0, 2 * rank, 2)), keepdims=0), None


def _expand_batch(node: Node, batched: list[bool]) -> bool:
    x, y, target = node.inputs[0], node.outputs[0], known_input(node, 1)
    if not first_input(node, batched) or rank(x) is None or rank(x) != rank(y):
        return False
    known = target is not None and len(target) == len(x.shape) and target[0] == 1
    return bool(known or (isinstance(y.shape[0], str) and x.shape[0] == y.shape[0]))


def _tile_batch(node: Node, batched: list[bool]) -> bool:
    repeats = known_input(node, 1)
    return first_input(node, batched) and repeats is not None and bool(repeats[0] == 1)


OPERATORS: dict[str, Operator] = {
    "Expand": Operator(
        unbroadcasting(lambda op, n, g: (g, None)),
        batch=_expand_batch,
        axes=axes.elementwise,
        slide=Without("the size that it repeats to is that of one window"),
        cost=NO_PRODUCTS,
    ),
    "Tile": Operator(
        _tile,
        batch=_tile_batch,
        axes=Without("copies of a pixel lie a window apart, which is no offset and stride"),
        slide=Without("it repeats a whole window, in an order that no map has"),
        cost=NO_PRODUCTS,
    ),
}
