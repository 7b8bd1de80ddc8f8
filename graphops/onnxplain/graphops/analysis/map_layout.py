"""How the axes of a layer are laid out as a map: tokens become the picture's grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from onnxplain.graphops.analysis.axis_roles import Axes, Places
from onnxplain.graphops.ir import Shape

__all__ = ["MapLayout", "layout_of"]


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


def layout_of(sizes: Shape, axes: Axes) -> MapLayout:
    """Return the layout of a layer of this shape whose axes run along these, with a batch axis.

    All other axes, except for that of the images, are positions, whether or not their places in the
    picture are known.
    """
    channel = axes.channel or 0
    tokens: dict[int, Places] = {}
    columns: list[tuple[int, int | None, int | str | None]] = []
    for axis, size in enumerate(sizes):
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
