"""Receptive fields along the axes of a tensor, and the rules that several operators share.

A rule is `(node, fields) -> fields`: the fields of the output from those of each input, which are
None for an input that no pixel reaches. All ranks are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Node, attribute, known_value, optional_input, rank_of, shape_of
from onnxplain.graphops.operators.window import Window

__all__ = [
    "AxisField", "Fields", "UNKNOWN", "along_axis", "axis_of", "batch_only", "elementwise",
    "given_axes", "listed_axes", "of_first", "optional_value", "same", "together", "window",
    "windowed", "without",
]  # fmt: skip


@dataclass(frozen=True)
class AxisField:
    """The receptive field of the positions on one axis, along the axis `source` of the input.

    Position p sees `size` pixels from `offset + p·stride` on; the offset is None where it depends
    on an unknown size.
    """

    source: int
    size: int = 1
    stride: int = 1
    offset: int | None = 0

    def windowed(self, extent: int, stride: int, start: int | None) -> AxisField:
        """Return the field of windows of this extent and stride, the first beginning at `start`."""
        offset = None
        if self.offset is not None and start is not None:
            offset = self.offset + start * self.stride
        size = self.size + (extent - 1) * self.stride
        return AxisField(self.source, size, self.stride * stride, offset)


# By axis of the tensor. Along an axis that is missing, every position sees all of the input.
Fields: TypeAlias = dict[int, AxisField]

UNKNOWN = np.empty(0)  # compared by identity: a value that is computed from the images


def of_first(
    rule: Callable[[Node, Fields], Fields],
) -> Callable[[Node, list[Fields | None]], Fields]:
    """Return the rule of an operator with one data input; if pixels reach another, it sees all."""

    def checked(node: Node, fields: list[Fields | None]) -> Fields:
        first, *others = fields
        return rule(node, first) if first and all(other is None for other in others) else {}

    return checked


def elementwise(node: Node, fields: list[Fields | None]) -> Fields:
    """Axes are aligned at the last; an axis of size 1 that is broadcast has no positions."""
    out = shape_of(node.outputs[0])
    aligned: list[Fields | None] = []
    for tensor, seen in zip(node.inputs, fields, strict=True):
        if seen is not None:
            shape = shape_of(tensor)
            missing = len(out) - len(shape)
            kept = [i for i in seen if shape[i] != 1 or out[missing + i] == 1]
            aligned.append({missing + i: seen[i] for i in kept})
    return together(aligned)


def together(fields: list[Fields | None]) -> Fields:
    """Return the fields where branches meet: from the first to the last pixel that any sees."""
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
    """Return the fields without these axes, along which positions then see all of the input."""
    return {i: field for i, field in fields.items() if i not in axes}


@of_first
def same(node: Node, fields: Fields) -> Fields:
    """The fields stay the same."""
    return fields


@of_first
def batch_only(node: Node, fields: Fields) -> Fields:
    """Each position sees all of its image, and nothing of another."""
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
    """Return the fields of windows on the axes from 2 on; along axis 1, all is seen."""
    windows = enumerate(zip(extents, strides, starts, strict=True), start=2)
    seen = {i: fields[i].windowed(*sizes) for i, sizes in windows if i in fields}
    return {i: field for i, field in fields.items() if i == 0} | seen


def along_axis(default: int) -> Callable[[Node, list[Fields | None]], Fields]:
    """Return the rule of operators that see all along the axis of their attribute `axis`."""
    return of_first(lambda node, fields: without(fields, [axis_of(node, default)]))


def axis_of(node: Node, default: int) -> int:
    """Return the attribute `axis`, counted from 0."""
    return int(attribute(node, "axis", default)) % rank_of(node.inputs[0])


def listed_axes(node: Node) -> list[int]:
    """Return the axes of a reduction or a Squeeze, counted from 0; all where they are not known."""
    axes, rank = given_axes(node), rank_of(node.inputs[0])
    if axes is UNKNOWN:
        return list(range(rank))
    return [] if axes is None else [int(a) % rank for a in axes]


def given_axes(node: Node) -> np.ndarray | None:
    """Return a node's `axes`, attribute or input 1; None where absent, UNKNOWN where computed."""
    axes = attribute(node, "axes")
    return optional_value(node, 1) if axes is None else np.array(axes)


def optional_value(node: Node, index: int) -> np.ndarray | None:
    """Return the value of an input; None where it is absent, UNKNOWN where it is computed."""
    tensor = optional_input(node, index)
    if tensor is None:
        return None
    value = known_value(tensor)
    return UNKNOWN if value is None else value.ravel()
