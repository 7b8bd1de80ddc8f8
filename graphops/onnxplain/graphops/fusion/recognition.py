"""Recognising the groups of a graph: one pass over its nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from onnxplain.graphops.fusion.composite_activation import activation
from onnxplain.graphops.fusion.fused import Flow, Fused
from onnxplain.graphops.fusion.group_normalization import group_normalization
from onnxplain.graphops.fusion.hard_sigmoid import hard_sigmoid
from onnxplain.graphops.fusion.normalizations import normalization
from onnxplain.graphops.fusion.padded_convolution import padded_convolution
from onnxplain.graphops.fusion.rectifiers import bounded_rectifier, masked_rectifier
from onnxplain.graphops.ir import Node, Tensor, is_standard

__all__ = ["recognize"]

# What may end at a node: the first that recognises a group wins.
KINDS: tuple[Callable[[Node, Flow], Fused | None], ...] = (
    padded_convolution,
    bounded_rectifier,
    masked_rectifier,
    hard_sigmoid,
    normalization,
    group_normalization,
    activation,
)


def recognize(inputs: Iterable[Tensor], nodes: Sequence[Node]) -> dict[str, Fused]:
    """Return the groups among the nodes of a graph, by the name of their output.

    Groups may overlap: one may lie inside another.
    """
    flow = Flow.of(inputs, nodes)
    groups = {}
    for node in nodes:
        if not is_standard(node) or not flow.varying(node):
            continue
        group = next(filter(None, (kind(node, flow) for kind in KINDS)), None)
        if group is not None and group.inputs[0].dtype == group.outputs[0].dtype:
            groups[group.outputs[0].name] = group
    return groups
