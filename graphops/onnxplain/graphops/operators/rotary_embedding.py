"""The rotation of vectors by their position."""

from __future__ import annotations

from onnxplain.graphops.ir import Emitter, Node, Tensor, optional_input, rank_of
from onnxplain.graphops.operators import axes, roles
from onnxplain.graphops.operators.axes import Fields
from onnxplain.graphops.operators.operator import Operator, Without
from onnxplain.graphops.operators.rules import Signals, to_first

__all__ = ["OPERATORS"]


def _rotary_embedding(op: Emitter, n: Node, g: Tensor) -> Signals:
    """A rotation, undone by one through the opposite angle."""
    cosine, sine, *position = n.inputs[1:]
    return to_first(n, op.RotaryEmbedding(g, cosine, op.Neg(sine), *position, **n.attrs))


def _batch(node: Node, batched: list[bool]) -> bool:
    """The tables have one row for each place of each image, or for each number of a position."""
    by_position = optional_input(node, 3) is not None
    tables = batched[1:3]
    return batched[0] and (batched[3] and not any(tables) if by_position else all(tables))


@axes.of_first
def _axes(node: Node, fields: Fields) -> Fields:
    return axes.without(fields, [rank_of(node.inputs[0]) - 1])


OPERATORS: dict[str, Operator] = {
    "RotaryEmbedding": Operator(
        _rotary_embedding,
        batch=_batch,
        axes=_axes,
        slide=Without("the rotation depends on the position in one window"),
        roles=roles.same,
    ),
}
