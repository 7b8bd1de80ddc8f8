"""Receptive fields along the axes of a tensor, and how operators that share a form change them.

A rule is `(node, fields) -> fields`: the fields of the output, from those of each input. An input
that no pixel reaches has None in their place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Node, attribute, known_value
from onnxplain.graphops.operators.window import Window

__all__ = [
    "UNKNOWN",
    "AxisField",
    "Fields",
    "along_axis",
    "axis_of",
    "batch_only",
    "elementwise",
    "listed_axes",
    "of_first",
    "optional_input",
    "rank_of_input",
    "same",
    "together",
    "window",
    "windowed",
    "without",
]


@dataclass(frozen=True)
class AxisField:
    """The receptive field of the positions on one axis, on the axis `source` of the input.

    Position p sees `size` pixels, from `offset + p·stride` on; the offset is None where it depends
    on a size that is not known.
    """

    source: int
    size: int = 1
    stride: int = 1
    offset: int | None = 0

    def windowed(self, extent: int, stride: int, start: int | None) -> AxisField:
        """Look through windows of this extent and stride, the first of which begins at `start`."""
        offset = None
        if self.offset is not None and start is not None:
            offset = self.offset + start * self.stride
        size = self.size + (extent - 1) * self.stride
        return AxisField(self.source, size, self.stride * stride, offset)


# By axis of the tensor. Along those that are missing, every position sees all of the input.
Fields: TypeAlias = dict[int, AxisField]

UNKNOWN = np.empty(0)


def of_first(
    rule: Callable[[Node, Fields], Fields],
) -> Callable[[Node, list[Fields | None]], Fields]:
    """Return the rule of operators with one data input; where pixels reach another, all is seen."""

    def checked(node: Node, fields: list[Fields | None]) -> Fields:
        first, *others = fields
        return rule(node, first) if first and all(other is None for other in others) else {}

    return checked


def elementwise(node: Node, fields: list[Fields | None]) -> Fields:
    """Axes are counted from the last; one of size 1 that is repeated has no positions."""
    out = node.outputs[0].shape
    aligned: list[Fields | None] = []
    for tensor, seen in zip(node.inputs, fields, strict=True):
        if seen is not None:
            missing = len(out) - len(tensor.shape)
            kept = [i for i in seen if tensor.shape[i] != 1 or out[missing + i] == 1]
            aligned.append({missing + i: seen[i] for i in kept})
    return together(aligned)


def together(fields: list[Fields | None]) -> Fields:
    """Return the fields where branches meet: from the first to the last pixel of any of them."""
    first, *rest = [f for f in fields if f is not None]
    if not rest:
        return first
    joined: Fields = {}
    for i, axis in first.items():
        axes = [axis, *(f[i] for f in rest if i in f)]
        starts = [a.offset for a in axes if a.offset is not None]
        alike = len({(a.source, a.stride) for a in axes}) == 1
        if alike and len(starts) == 1 + len(rest):
            end = max(s + a.size for s, a in zip(starts, axes, strict=True))
            joined[i] = replace(axis, size=end - min(starts), offset=min(starts))
    return joined


def without(fields: Fields, axes: Iterable[int]) -> Fields:
    """Return the fields where positions on these axes see everything."""
    return {i: field for i, field in fields.items() if i not in axes}


@of_first
def same(node: Node, fields: Fields) -> Fields:
    """Every position sees what it saw."""
    return fields


@of_first
def batch_only(node: Node, fields: Fields) -> Fields:
    """Each image sees all of itself, and nothing of another."""
    return {i: field for i, field in fields.items() if i == 0}


@of_first
def window(node: Node, fields: Fields) -> Fields:
    """A window slides along the spatial axes: convolutions and poolings."""
    try:
        shape = Window.of(node)
    except UnsupportedModel:  # the kernel's size is not known
        return windowed(fields, [], [], [])
    pads = shape.static_pads()
    before: Sequence[int | None] = pads[0] if pads is not None else [None] * len(shape.kernel)
    starts = [None if pad is None else -pad for pad in before]
    return windowed(fields, shape.extent, shape.strides, starts)


def windowed(
    fields: Fields, extents: list[int], strides: list[int], starts: Sequence[int | None]
) -> Fields:
    """Return the fields seen through windows on the axes from 2 on; of axis 1, all is seen."""
    windows = enumerate(zip(extents, strides, starts, strict=True), start=2)
    seen = {i: fields[i].windowed(*given) for i, given in windows if i in fields}
    return {i: field for i, field in fields.items() if i == 0} | seen


def along_axis(default: int) -> Callable[[Node, list[Fields | None]], Fields]:
    """Return the rule of operators that see all along the attribute `axis`."""
    return of_first(lambda node, fields: without(fields, [axis_of(node, default)]))


def rank_of_input(node: Node) -> int:
    """Return the rank of the first input."""
    return len(node.inputs[0].shape)


def axis_of(node: Node, default: int) -> int:
    """Return the attribute `axis`, counted from 0."""
    return int(attribute(node, "axis", default)) % rank_of_input(node)


def listed_axes(node: Node) -> list[int]:
    """Return the axes of a reduction or a Squeeze; all of them where they are not known."""
    given = attribute(node, "axes")
    axes = optional_input(node, 1) if given is None else np.array(given)
    if axes is UNKNOWN:
        return list(range(rank_of_input(node)))
    return [] if axes is None else (axes % rank_of_input(node)).tolist()


def optional_input(node: Node, index: int) -> np.ndarray | None:
    """Return the value of an input, None where the node has none, UNKNOWN where it is computed."""
    if len(node.inputs) <= index or node.inputs[index].is_empty():
        return None
    value = known_value(node.inputs[index])
    return UNKNOWN if value is None else value.ravel()
