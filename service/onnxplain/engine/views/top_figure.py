"""The figure of the strongest pictures: projections beside patches, channel by channel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.drawing import (
    Blocks,
    Page,
    Panel,
    Style,
    kind_of,
    layer_name,
    method_title,
    number,
    tile_pixels,
    tiles_panel,
)
from onnxplain.engine.methods import drawn_as
from onnxplain.engine.views.top_projection import Found

if TYPE_CHECKING:
    from onnxplain.engine.drawing import Pixels
    from onnxplain.engine.views.top_pictures import Strongest

__all__ = ["strongest_pages"]

GREY = 127  # of a patch outside the picture
BLOCK = 3.6  # inches of a channel's panel on a page of its own
COLUMNS = 3
SINGLE = 24  # channels on one page, at most; more take pages of the proportions of A4
PAGE = 8.27, 11.69  # inches of A4
AROUND, CAPTION = 1.3, 0.32  # inches: the title and the lines below, and a caption with its gap
BESIDE = 0.15  # inches of the gaps and margins, for each column
EDGE = 0.13


def strongest_pages(view: Strongest, style: Style) -> list[Page]:
    """Return the pages of the view, each of whole rows of channels."""
    channels = len(view.rows)
    several = channels > SINGLE
    columns = style.columns or _even(channels)
    blocks = Blocks(_tile(view.rows), len(view.rows[0]))
    height, width = blocks.size
    room = (style.width or PAGE[0]) - EDGE - columns * BESIDE
    size = room / columns if several else BLOCK
    panels = [_panel(view, row, blocks, size, style.title) for row in view.rows]
    rows: list[list[Panel | None]] = [
        list(panels[start : start + columns]) for start in range(0, channels, columns)
    ]
    if not several:
        return [_page(view, rows, "")]
    tall = (style.width or PAGE[0]) * PAGE[1] / PAGE[0] - AROUND
    fitting = max(1, int(tall / (room / columns * height / width + CAPTION)))
    total = math.ceil(len(rows) / fitting)
    if total == 1:
        return [_page(view, rows, "")]
    return [
        _page(view, rows[page * fitting : (page + 1) * fitting], f" · page {page + 1} of {total}")
        for page in range(total)
    ]


def _page(view: Strongest, rows: Sequence[Sequence[Panel | None]], which: str) -> Page:
    title = method_title(view.method)
    some = view.rows[0][0].projection
    signed = kind_of(some, drawn_as(view.method), view.preprocess) == "map"
    zero = "white" if signed else "mid-grey"
    return Page(
        title=f"What excites {layer_name(view.layer, view.asked)} most · {title}{which}",
        rows=rows,
        legend=(
            f"For each channel of {view.layer}, left: its projections by {title}, each scaled by "
            f"its own largest values around {zero} for zero; right: what the unit sees of the "
            "pictures that excite it most, the strongest first, row by row; no tile where it is "
            "not active",
        ),
        notes=view.notes,
    )


def _panel(
    view: Strongest, row: Sequence[Found], blocks: Blocks, width: float, titled: bool
) -> Panel:
    """Return the panel of one channel, which names the layer where no title does."""
    how = view.preprocess
    kind = kind_of(row[0].projection, drawn_as(view.method), how)
    active = [one for one in row if one.score]  # one that is off everywhere has no place

    def tiles(style: Style) -> list[list[Pixels]]:
        back = [
            tile_pixels(_framed(one.projection, one, blocks.tile, 0), kind, how, style.cmap)
            for one in active
        ]
        return [back, [_framed(one.patch, one, blocks.tile, GREY) for one in active]]

    channel, scores = row[0].channel, [number(one.score) for one in active]
    label = view.labels[channel].partition(",")[0] if channel < len(view.labels) else ""
    spread = " to ".join(dict.fromkeys((scores[0], scores[-1]))) if scores else "not active"
    captions = (
        f"{label or f'channel {channel}'} · {spread}", f"{label or channel} · {spread}",
        f"{label or channel}",
    )  # fmt: skip
    if not titled:
        whose = label or f"channel {channel}"
        captions = (
            f"{whose} of {view.layer} · {spread} · {method_title(view.method)}",
            f"{whose} of {view.layer} · {spread}", f"{whose} of {view.layer}",
        )  # fmt: skip
    name = f"channel_{channel}" + (f"_{label}" if label else "")
    return tiles_panel(captions, tiles, blocks, name=name, width=width)


def _tile(rows: Sequence[Sequence[Found]]) -> tuple[int, int]:
    """Return the height and width of the largest frame."""
    frames = np.array([one.frame for row in rows for one in row])
    height, width = (frames[:, 2:] - frames[:, :2]).max(axis=0).tolist()
    return height, width


def _framed(values: npt.NDArray[Any], one: Found, tile: tuple[int, int], fill: int) -> Any:
    """Return what is in a box at its place in a tile, in whose middle the frame lies.

    values: [h, w, 3], or [C, h, w] of a projection.
    """
    first = 0 if values.shape[:2] == one.patch.shape[:2] else 1  # the axis of rows
    shape = list(values.shape)
    shape[first : first + 2] = tile
    framed = np.full(shape, fill, values.dtype)
    here: list[slice] = []
    there: list[slice] = []
    for axis in range(2):
        size = one.frame[axis + 2] - one.frame[axis]
        start = (tile[axis] - size) // 2 + one.box[axis] - one.frame[axis]
        length = one.box[axis + 2] - one.box[axis]
        # A unit that sees the padding alone has a box outside its frame.
        kept = max(0, -start), min(length, tile[axis] - start)
        there.append(slice(kept[0], max(kept)))
        here.append(slice(start + kept[0], start + max(kept)))
    before = (slice(None),) * first
    framed[(*before, *here)] = values[(*before, *there)]
    return framed


def _even(channels: int) -> int:
    """Return the panels of a row, so that the rows are nearly full."""
    rows = math.ceil(channels / COLUMNS)
    return math.ceil(channels / rows)
