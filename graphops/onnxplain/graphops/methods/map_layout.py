"""How the axes of a layer are laid out as a map: tokens become the picture's grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from onnxplain.graphops.analysis import Axes, Places
from onnxplain.graphops.backward import Walk
from onnxplain.graphops.ir import Shape, Tensor, shape_of

__all__ = ["MapLayout", "laid_out", "layout_of"]

END = 2**62


@dataclass(frozen=True)
class MapLayout:
    """The axes of a layer after its tokens have been laid out as a grid.

    tokens: by axis of the layer, the places of those that are laid out. before: for each axis of
        the grid that of the layer. sources: the axis of the picture whose places it has, or None.
    shape: the sizes. channel: the channel axis. positions: the axes of the map, in the order of the
        picture's axes where these are known.
    """

    tokens: Mapping[int, Places]
    before: tuple[int, ...]
    sources: tuple[int | None, ...]
    shape: tuple[int | str | None, ...]
    channel: int
    positions: tuple[int, ...]

    @property
    def sizes(self) -> Shape:
        """The map's sizes."""
        return [self.shape[i] for i in self.positions]


def layout_of(tensor: Tensor, axes: Axes) -> MapLayout:
    """Return the layout of a layer whose axes run along these.

    All other axes, except for that of the images, are positions, whether or not their places in the
    picture are known.
    """
    channel = axes.channel or 0
    tokens: dict[int, Places] = {}
    columns: list[tuple[int, int | None, int | str | None]] = []
    for axis, size in enumerate(shape_of(tensor)):
        places = axes.places.get(axis) if axis not in (0, channel) else None
        if places is None or places.sizes.count(None) > 1:  # no grid
            columns.append((axis, None, size))
            continue
        if len(places.axes) > 1 or places.before or places.after:
            tokens[axis] = places
        columns += [(axis, s, n) for s, n in zip(places.axes, places.sizes, strict=True)]
    before, sources, shape = zip(*columns, strict=True)
    positions = [i for i in range(len(before)) if before[i] not in (0, channel)]
    if all(sources[i] is not None for i in positions):
        positions.sort(key=lambda i: sources[i])
    return MapLayout(tokens, before, sources, shape, before.index(channel), tuple(positions))


def laid_out(walk: Walk, layout: MapLayout, tensor: Tensor) -> Tensor:
    """Return the layer's value, or a signal of its shape, with its tokens as a grid."""
    op = walk.op
    if not layout.tokens:
        return tensor
    for axis, places in layout.tokens.items():
        if places.before or places.after:
            end = -places.after if places.after else END
            tensor = op.Slice(tensor, [places.before], [end], [axis])
    return op.Reshape(tensor, op.Concat(*_sizes(walk, layout, tensor), axis=0))


def _sizes(walk: Walk, layout: MapLayout, tensor: Tensor) -> list[Tensor | list[int]]:
    """Return the grid's sizes one by one; the last that is not known is the rest."""
    op = walk.op
    sizes: list[Tensor | list[int]] = []
    for axis, size, source in zip(layout.before, layout.shape, layout.sources, strict=True):
        if axis not in layout.tokens:
            sizes.append(op.raw("Shape", tensor, start=axis, end=axis + 1))
        elif isinstance(size, int):
            sizes.append([size])
        else:
            sizes.append(_size_of_places(walk, Places((source or 0,), (size,))) or [-1])
    return sizes


def _size_of_places(walk: Walk, places: Places) -> Tensor | None:
    """Append the size of an axis that has these places alone, None where no tensor has one."""
    tensors = walk.graph.tensors()
    for name, axes in walk.canonical.axes.items():
        for axis, found in axes.places.items():
            if found == places and None not in places.sizes and name in tensors:
                return walk.op.raw("Shape", tensors[name], start=axis, end=axis + 1)
    return None
