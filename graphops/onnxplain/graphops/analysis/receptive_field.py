"""Receptive fields: which part of the input a layer's units see.

A unit at position p of an axis sees `size` pixels of the input, from `offset + p·stride` on;
negative pixels lie in the padding. Araujo, Norris and Sim 2019, "Computing receptive fields of
convolutional neural networks", Distill.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from onnxplain.graphops.ir import Graph, Node, Tensor, reads
from onnxplain.graphops.operators import AxisField, Fields, SizesOnly, Without, operator_of

__all__ = ["ReceptiveField", "fields_behind", "receptive_fields"]

Numbers: TypeAlias = "tuple[int | None, ...]"


@dataclass(frozen=True)
class ReceptiveField:
    """The receptive field of a layer's units, one number per spatial axis of the input.

    None on an axis that they may see completely, as after a global pooling or a dense layer, or
    where it is no whole number, as after an upsampling. The offset alone is None where the padding
    depends on an unknown size.
    """

    size: Numbers
    stride: Numbers
    offset: Numbers


def receptive_fields(graph: Graph, source: Tensor) -> dict[str, ReceptiveField]:
    """Return the receptive fields on `source` by tensor name, except those that cover all."""
    if not source.shape or len(source.shape) < 3:
        return {}
    known: dict[str, Fields] = {source.name: {i: AxisField(i) for i in range(len(source.shape))}}
    spatial: list[int] = []
    for node in graph.nodes:
        operator = operator_of(node)
        sizes_only = operator is not None and isinstance(operator.axes, SizesOnly)
        if sizes_only or not any(t.name in known for t in reads(node)):
            continue
        first = known.get(node.inputs[0].name) if node.inputs else None
        if not spatial and first and operator is not None and operator.slides_window:
            spatial = _spatial(first, len(source.shape))
        fields = fields_behind(node, [known.get(t.name) for t in node.inputs])
        known.update((t.name, fields) for t in node.outputs)
    spatial = spatial or list(range(2, len(source.shape)))
    all_fields = {name: _field(fields, spatial) for name, fields in known.items()}
    return {name: field for name, field in all_fields.items() if any(field.size)}


def _spatial(fields: Fields, rank: int) -> list[int]:
    """Return the input's axes that a convolution slides along, including those seen completely."""
    tracked = [axis.source for i, axis in sorted(fields.items()) if i >= 2]
    others = {axis.source for i, axis in fields.items() if i < 2}
    lost = [i for i in range(rank) if i not in others and i not in tracked]
    # While the batch or the channel axis is unknown, a lost axis may be that one.
    return sorted([*tracked, *lost]) if lost and len(others) == 2 else tracked


def _field(fields: Fields, spatial: list[int]) -> ReceptiveField:
    by_source = {axis.source: axis for axis in fields.values()}
    axes = [by_source.get(i) for i in spatial]
    return ReceptiveField(
        size=tuple(a.size if a else None for a in axes),
        stride=tuple(a.stride if a else None for a in axes),
        offset=tuple(a.offset if a else None for a in axes),
    )


def fields_behind(node: Node, fields: list[Fields | None]) -> Fields:
    """Return the fields of a node's outputs, empty where the operator or a rank is unknown.

    fields: those of its inputs, None for an input that no pixel reaches.
    """
    operator = operator_of(node)
    shapes = [t.shape for t in [*node.inputs, node.outputs[0]] if not t.is_empty()]
    if operator is None or isinstance(operator.axes, Without | SizesOnly) or None in shapes:
        return {}
    return operator.axes(node, fields)
