"""A node that is in no graph: the rule of its operator reads it like any other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnxplain.graphops.ir.graph import Node, Tensor

__all__ = ["StandIn"]


class StandIn(Node):
    """An operator that stands for other nodes. Its tensors do not list it among their nodes."""

    def __init__(
        self,
        op: str,
        name: str,
        attrs: dict[str, Any],
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
    ) -> None:
        self.op, self.name, self.domain, self.attrs = op, name, "", attrs
        self.inputs, self.outputs = list(inputs), list(outputs)
