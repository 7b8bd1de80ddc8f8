"""Expand and Tile, which repeat a tensor."""

from __future__ import annotations

from onnxplain.graphops.ir import Emitter, Node, Tensor, rank_of, reshape, shape_of
from onnxplain.graphops.operators import axes, roles
from onnxplain.graphops.operators.batching import first_input, known_input
from onnxplain.graphops.operators.operator import Operator, Without
from onnxplain.graphops.operators.roles import Lines, of_data
from onnxplain.graphops.operators.rules import Signals, unbroadcasting

__all__ = ["OPERATORS"]


def _tile(op: Emitter, n: Node, g: Tensor) -> Signals:
    """Sum over the copies: [r₀·d₀, r₁·d₁, ...] is [r₀, d₀, r₁, d₁, ...]."""
    x, repeats = n.inputs
    rank = rank_of(x)
    both = op.Concat(op.Unsqueeze(repeats, [1]), op.Unsqueeze(op.shape(x), [1]), axis=1)
    apart = reshape(op, g, op.Reshape(both, [-1]))
    return op.ReduceSum(apart, list(range(0, 2 * rank, 2)), keepdims=0), None


def _expand_batch(node: Node, batched: list[bool]) -> bool:
    x, y, target = node.inputs[0].shape, node.outputs[0].shape, known_input(node, 1)
    if not first_input(node, batched) or not x or not y or len(x) != len(y):
        return False
    kept = target is not None and len(target) == len(x) and target[0] == 1
    return bool(kept or (isinstance(y[0], str) and x[0] == y[0]))


def _tile_batch(node: Node, batched: list[bool]) -> bool:
    repeats = known_input(node, 1)
    return first_input(node, batched) and repeats is not None and bool(repeats[0] == 1)


@of_data
def _expand_roles(node: Node, lines: Lines, output: Tensor) -> Lines:
    return roles.elementwise(node, [lines, None], output)


@of_data
def _tile_roles(node: Node, lines: Lines, output: Tensor) -> Lines:
    before = shape_of(node.inputs[0])
    return [roles.picked(line, output, i, before[i]) for i, line in enumerate(lines)]


OPERATORS: dict[str, Operator] = {
    "Expand": Operator(
        unbroadcasting(lambda op, n, g: (g, None)),
        batch=_expand_batch,
        axes=axes.elementwise,
        slide=Without("its output size is that of one window"),
        roles=_expand_roles,
    ),
    "Tile": Operator(
        _tile,
        batch=_tile_batch,
        axes=Without("copies of a pixel are an axis apart, which no offset and stride describes"),
        slide=Without("it repeats a whole window, which no map can hold"),
        roles=_tile_roles,
    ),
}
