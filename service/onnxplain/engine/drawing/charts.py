"""Line charts, drawn with Pillow and laid out on a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from onnxplain.engine.drawing.figure import clipped, remarked

__all__ = ["Chart", "charts"]

WIDTH, HEIGHT = 300, 216
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 44, 40
INK, MUTED, GRID = (25, 25, 25), (105, 105, 105), (225, 225, 225)
# Okabe and Ito's palette, which colour-blind readers can distinguish.
COLOURS = [
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (230, 159, 0),
    (86, 180, 233),
]
TICKS = 4


@dataclass(frozen=True, eq=False)
class Chart:
    """Curves over the same x.

    axis: the label of the x axis. x: [points]. curves: [points] each, by name.
    """

    title: str
    axis: str
    x: npt.NDArray[np.float64]
    curves: dict[str, npt.NDArray[np.float64]]


def charts(rows: Sequence[Sequence[Chart]], title: str, remarks: Sequence[str] = ()) -> Image.Image:
    """Draw rows of charts under a title; each chart has a legend of its curves' names.

    remarks: the notes of a result, see `remarked`.
    """
    columns = max(len(row) for row in rows)
    page = Image.new("RGB", (columns * WIDTH + 40, len(rows) * HEIGHT + 60), "white")
    ImageDraw.Draw(page).text((20, 14), title, INK, ImageFont.load_default(18))
    for r, row in enumerate(rows):
        for c, chart in enumerate(row):
            page.paste(_drawn(chart), (20 + c * WIDTH, 48 + r * HEIGHT))
    return remarked(page, remarks)


def _drawn(chart: Chart) -> Image.Image:
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    ink, small = ImageDraw.Draw(image), ImageFont.load_default(11)
    values = np.concatenate(list(chart.curves.values()))
    low, high = min(0.0, float(np.nanmin(values))), float(np.nanmax(values)) or 1.0
    first, last = float(chart.x[0]), float(chart.x[-1])
    span = last - first or 1.0

    def at(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (x - first) / span * (WIDTH - LEFT - RIGHT)
        return across, HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    across = float(LEFT)
    heading = ImageFont.load_default(13)
    ink.text((LEFT, 6), clipped(chart.title, heading, WIDTH - LEFT - RIGHT), INK, heading)
    for i in range(TICKS + 1):
        y = low + (high - low) * i / TICKS
        ink.line([at(first, y), at(last, y)], GRID)
        ink.text((LEFT - 6, at(first, y)[1]), f"{y:.2g}", MUTED, small, anchor="rm")
        x = first + (last - first) * i / TICKS
        ink.text((at(x, low)[0], HEIGHT - BOTTOM + 4), f"{x:.3g}", MUTED, small, anchor="ma")
    ink.text((WIDTH - RIGHT, HEIGHT - 6), chart.axis, MUTED, small, anchor="rs")
    for number, (name, curve) in enumerate(chart.curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = [at(x, y) for x, y in zip(chart.x, curve, strict=True)]
        ink.line(points, colour, width=2, joint="curve")
        if len(chart.curves) > 1:
            text = clipped(name, small, WIDTH - RIGHT - round(across))
            ink.text((across, 24), text, colour, small)
            across += small.getlength(text) + 12
    return image
