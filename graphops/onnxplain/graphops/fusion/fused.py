"""The node that stands for a group, and what is known when groups are recognised."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from onnxplain.graphops.ir import Node, StandIn, Tensor
from onnxplain.graphops.operators import SizesOnly, operator_of

__all__ = ["ACTIVATION", "Flow", "Fused"]

ACTIVATION = "Activation"  # the operator of a group that is an element-wise function of one tensor


class Fused(StandIn):
    """An operator that a group of nodes spells.

    op: the ONNX operator, or ACTIVATION. inputs: the tensor that the group is a function of, then
    the parameters of the operator. outputs: the group's output. members: the nodes, in order.
    """

    members: tuple[Node, ...]

    def __init__(
        self, op: str, inputs: Sequence[Tensor], members: Sequence[Node], **attrs: Any
    ) -> None:
        last = members[-1]
        super().__init__(op, last.name, attrs, inputs, last.outputs[:1])
        self.members = tuple(members)

    @property
    def interior(self) -> set[str]:
        """The names of the tensors between the group's input and its output."""
        return {t.name for member in self.members[:-1] for t in member.outputs}


@dataclass(frozen=True)
class Flow:
    """Which tensors depend on the network's inputs, and the order in which they are computed.

    order: the number of the node that computes a tensor, by the tensor's name; -1 for an input.
    Tensors that depend on no input's values are not in it.
    """

    order: dict[str, int]

    @classmethod
    def of(cls, inputs: Iterable[Tensor], nodes: Iterable[Node]) -> Flow:
        """Follow the inputs through the nodes; sizes do not depend on values."""
        order = {t.name: -1 for t in inputs}
        for i, node in enumerate(nodes):
            operator = operator_of(node)
            if operator is not None and isinstance(operator.batch, SizesOnly):
                continue
            if any(t.name in order for t in signals(node)):
                order.update((t.name, i) for t in node.outputs if not t.is_empty())
        return cls(order)

    def varying(self, node: Node) -> list[Tensor]:
        """Return the inputs of a node that depend on the network's inputs, with repetitions."""
        return [t for t in signals(node) if t.name in self.order]

    def is_constant(self, tensor: Tensor) -> bool:
        """Tell whether the tensor depends on no input's values."""
        return not tensor.is_empty() and tensor.name not in self.order

    def in_order(self, members: Iterable[Node]) -> list[Node]:
        """Return the nodes in the graph's order, each once."""
        numbered = {self.order[m.outputs[0].name]: m for m in members}
        return [numbered[i] for i in sorted(numbered)]


def signals(node: Node) -> list[Tensor]:
    """Return the inputs whose values count, and not only their types."""
    operator = operator_of(node)
    type_only = operator.type_only if operator is not None else ()
    return [t for i, t in enumerate(node.inputs) if i not in type_only]
