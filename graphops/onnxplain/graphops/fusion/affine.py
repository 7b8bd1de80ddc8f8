"""The scale and the bias behind a normalisation, spelled as Mul and Add of constants."""

from __future__ import annotations

from typing import TypeAlias

from onnxplain.graphops.fusion.fused import Flow
from onnxplain.graphops.ir import Node, Tensor

__all__ = ["affine"]

# The node that is scaled, the scale and the bias, and the nodes behind it.
Affine: TypeAlias = "tuple[Node, tuple[Tensor | None, Tensor | None], list[Node]]"


def affine(node: Node, flow: Flow, *ops: str) -> Affine | None:
    """Return the node of one of these operators whose output is scaled and shifted up to `node`.

    It is `node` itself where nothing is. A bias without a scale is none: it changes no signal.
    """
    members: list[Node] = []
    bias = scale = None
    found = node
    if found.op == "Add" and (parts := _signal_and_constant(found, flow)) is not None:
        members, bias = [found], parts[1]
        found = _producer(parts[0]) or node
    if found.op == "Mul" and (parts := _signal_and_constant(found, flow)) is not None:
        members, scale = [found, *members], parts[1]
        found = _producer(parts[0]) or node
    if found.op not in ops or (bias is not None and scale is None):
        return None
    return found, (scale, bias), members


def _signal_and_constant(node: Node, flow: Flow) -> tuple[Tensor, Tensor] | None:
    a, b = node.inputs
    if flow.is_constant(a) == flow.is_constant(b):
        return None
    return (b, a) if flow.is_constant(a) else (a, b)


def _producer(tensor: Tensor) -> Node | None:
    return tensor.inputs[0] if tensor.inputs else None
