"""Panels of small pictures of one size: a block of them beside another, with thin gaps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from onnxplain.engine.drawing.colormaps import (
    Pixels,
    channels_last,
    limit_of,
    map_colours,
    reconstruction,
    signed_map,
)
from onnxplain.engine.drawing.page import Panel
from onnxplain.engine.drawing.picture_panels import Kind
from onnxplain.engine.drawing.style import Style
from onnxplain.engine.pictures import Preprocess

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Blocks", "tile_pixels", "tiles_panel"]

# Over a tile's longer side: the gaps between tiles and between blocks, and what follows the blocks,
# so that those of one panel belong together.
GAP, BETWEEN, AFTER = 0.04, 0.1, 0.16
WHITE = 255


@dataclass(frozen=True)
class Blocks:
    """Near-square blocks of tiles side by side. All lengths are in units of a tile's longer side.

    tile: the height and width of a tile in pixels. count: the tiles of a block. blocks: their
    number.
    """

    tile: tuple[int, int]
    count: int
    blocks: int = 2

    @property
    def columns(self) -> int:
        """The tiles of a row of a block."""
        return math.ceil(math.sqrt(self.count))

    @property
    def size(self) -> tuple[float, float]:
        """The height and width of all blocks together."""
        height, width = self._sides
        rows = math.ceil(self.count / self.columns)
        block = self.columns * width + (self.columns - 1) * GAP
        between = (self.blocks - 1) * BETWEEN + AFTER
        return rows * height + (rows - 1) * GAP, self.blocks * block + between

    def place(self, block: int, number: int) -> tuple[float, float, float, float]:
        """Return top, left, bottom and right of a tile."""
        height, width = self._sides
        row, column = divmod(number, self.columns)
        start = block * (self.columns * width + (self.columns - 1) * GAP + BETWEEN)
        top, left = row * (height + GAP), start + column * (width + GAP)
        return top, left, top + height, left + width

    @property
    def _sides(self) -> tuple[float, float]:
        longer = max(self.tile)
        return self.tile[0] / longer, self.tile[1] / longer


def tiles_panel(
    captions: Sequence[str],
    tiles: Callable[[Style], Sequence[Sequence[Pixels]]],
    blocks: Blocks,
    *,
    name: str = "",
    width: float,
) -> Panel:
    """Return the panel of blocks of tiles, each tile at whole pixels, so that gaps stay even.

    tiles: returns the tiles of each block, uint8 [h, w, 3], as many as there are. width: inches,
        where there is room.
    """
    height_units, width_units = blocks.size

    def paint(ax: Axes, style: Style) -> None:
        window = ax.get_window_extent()
        scale = max(window.width / width_units, 8.0)  # pixels per unit
        size = round(scale * height_units), round(scale * width_units)
        canvas = np.full((*size, 3), WHITE, np.uint8)
        for block, row in enumerate(tiles(style)):
            for number, tile in enumerate(row):
                place = (round(scale * end) for end in blocks.place(block, number))
                top, left, bottom, right = place
                canvas[top:bottom, left:right] = _resized(tile, bottom - top, right - left)
        ax.imshow(canvas, extent=(0, width_units, height_units, 0), interpolation="nearest")
        ax.set(xticks=[], yticks=[], aspect="equal")
        for spine in ax.spines.values():
            spine.set_visible(False)

    return Panel(tuple(captions), height_units / width_units, paint, name, width=width)


def tile_pixels(
    attribution: npt.NDArray[Any], kind: Kind, how: Preprocess | None, cmap: str | None
) -> Pixels:
    """Return an attribution [C, h, w] or [h, w, C] in colours, scaled by its largest values.

    kind: see `kind_of`. how: the preprocessing, whose channel order the attribution has.
    """
    if kind == "map":
        values = signed_map(attribution)
        limit = limit_of(values) or 1.0
        colour_map, low = map_colours(cmap, values)
        colours = colour_map((values / limit - low) / (1 - low), bytes=True)
        return np.asarray(colours[:, :, :3])
    channels = channels_last(attribution)
    if how is not None and how.color == "BGR":
        channels = channels[:, :, ::-1]
    return reconstruction(channels, limit_of(channels) or 1.0)


def _resized(tile: Pixels, height: int, width: int) -> Pixels:
    """Return a tile at another size: its pixels stay sharp where they are enlarged."""
    larger = height >= tile.shape[0] and width >= tile.shape[1]
    how = Image.Resampling.NEAREST if larger else Image.Resampling.BOX
    return np.asarray(Image.fromarray(tile).resize((width, height), how))
