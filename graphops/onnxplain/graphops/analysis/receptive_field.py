"""Which part of the input a layer's units see, by arithmetic along the graph.

A unit at position p of an axis sees `size` pixels of the input, from `offset + p·stride` on; in the
padding that is below zero. Araujo, Norris and Sim 2019, "Computing receptive fields of
convolutional neural networks", Distill.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from onnxplain.graphops.ir import Graph, Node, Tensor, rank_of, reads, shape_of
from onnxplain.graphops.operators import ELEMENTWISE, POOLS, VIEWS, Axis, View, without

__all__ = ["ReceptiveField", "receptive_fields"]

SIZES_ONLY = {"ConstantOfShape", "Shape", "Size"}

Numbers: TypeAlias = "tuple[int | None, ...]"
Views: TypeAlias = "list[View | None]"  # of a node's inputs, None for what no pixel reaches


@dataclass(frozen=True)
class ReceptiveField:
    """What a layer's units see, one number for each spatial axis of the input.

    None on an axis where they may see all of it, as behind a global pooling or a dense layer, or
    where whole numbers do not say it, as behind an upsampling. The offset alone is None where the
    padding depends on a size that is not known.
    """

    size: Numbers
    stride: Numbers
    offset: Numbers


def receptive_fields(graph: Graph, source: Tensor) -> dict[str, ReceptiveField]:
    """Return what the tensors made of `source` see of it, by name, where that is not all of it."""
    if not source.shape or len(source.shape) < 3:
        return {}
    views: dict[str, View] = {source.name: {i: Axis(i) for i in range(len(source.shape))}}
    spatial: list[int] = []
    for node in graph.nodes:
        if node.op in SIZES_ONLY or not any(t.name in views for t in reads(node)):
            continue
        inputs = [views.get(t.name) for t in node.inputs]
        if not spatial and node.op in {"Conv", *POOLS} and inputs[0]:
            spatial = _spatial(inputs[0], len(source.shape))
        view = _through(node, inputs)
        views.update((t.name, view) for t in node.outputs)
    spatial = spatial or list(range(2, len(source.shape)))
    fields = {name: _field(view, spatial) for name, view in views.items()}
    return {name: field for name, field in fields.items() if any(field.size)}


def _spatial(view: View, rank: int) -> list[int]:
    """Return the input's axes that a convolution slides along, also those it sees all of."""
    tracked = [axis.source for i, axis in sorted(view.items()) if i >= 2]
    others = {axis.source for i, axis in view.items() if i < 2}
    lost = [i for i in range(rank) if i not in others and i not in tracked]
    # Where the batch's or the channels' place is not known, a lost axis may be that.
    return sorted([*tracked, *lost]) if lost and len(others) == 2 else tracked


def _field(view: View, spatial: list[int]) -> ReceptiveField:
    by_source = {axis.source: axis for axis in view.values()}
    axes = [by_source.get(i) for i in spatial]
    return ReceptiveField(
        size=tuple(a.size if a else None for a in axes),
        stride=tuple(a.stride if a else None for a in axes),
        offset=tuple(a.offset if a else None for a in axes),
    )


def _through(node: Node, views: Views) -> View:
    """Return what the node's outputs see."""
    tensors = [t for t in [*node.inputs, node.outputs[0]] if not t.is_empty()]
    if node.domain not in (None, "", "ai.onnx") or any(t.shape is None for t in tensors):
        return {}
    if node.op in ELEMENTWISE or node.op == "Expand":
        return _elementwise(node, views)
    if node.op == "Concat":
        return without(_together(views), [node.attrs["axis"] % rank_of(tensors[-1])])
    if node.op in VIEWS and views[0] and not any(v is not None for v in views[1:]):
        return VIEWS[node.op](node, views[0])
    return {}


def _together(views: Views) -> View:
    """Return what is seen where branches meet: from the first to the last pixel of any of them."""
    first, *rest = [v for v in views if v is not None]
    if not rest:
        return first
    joined: View = {}
    for i, axis in first.items():
        axes = [axis, *(v[i] for v in rest if i in v)]
        starts = [a.offset for a in axes if a.offset is not None]
        alike = len({(a.source, a.stride) for a in axes}) == 1
        if alike and len(starts) == 1 + len(rest):
            end = max(s + a.size for s, a in zip(starts, axes, strict=True))
            joined[i] = replace(axis, size=end - min(starts), offset=min(starts))
    return joined


def _elementwise(node: Node, views: Views) -> View:
    """Axes are counted from the last; one of size 1 that is repeated has no positions."""
    out = shape_of(node.outputs[0])
    aligned: Views = []
    for tensor, view in zip(node.inputs, views, strict=True):
        if view is not None:
            shape = shape_of(tensor)
            missing = len(out) - len(shape)
            kept = [i for i in view if shape[i] != 1 or out[missing + i] == 1]
            aligned.append({missing + i: view[i] for i in kept})
    return _together(aligned)
