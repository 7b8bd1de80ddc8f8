"""The page of an explanation: its pictures, each unit's attribution, and the overlays."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PIL import Image

from onnxplain.engine.drawing import Panel, Pixels, enlarged, even_columns, figure, overlay

if TYPE_CHECKING:
    from onnxplain.engine.explanation import Explanation

__all__ = ["page_of"]

SIDE = 224  # pixels of a drawn picture's longer side, where there is room
PAGE = 30e6  # the most pixels of all drawn pictures of a page together
WITH_OVERLAYS = 16  # the most units of a picture that get an overlay each: more would only crowd


def page_of(one: Explanation) -> Image.Image:
    """Draw an explanation, see `Explanation.draw`. Raises OptionError where it cannot be drawn."""
    one.require_drawable()
    (images, units), shown = one.channels.shape, one.shown_pictures()
    overlays = bool(shown) and units <= WITH_OVERLAYS and one.drawn_as != "picture"
    side = int(min(SIDE, math.sqrt(PAGE / (images * units * (1 + overlays)))))
    columns = even_columns(units, 4) if overlays else math.ceil(math.sqrt(units))
    columns = 1 if one.wide else columns
    rows: list[list[Panel | None]] = []
    for i in range(images):
        panels = [_panel(one, i, u, side, shown[i] if overlays else None) for u in range(units)]
        for start in range(0, units, columns):
            row: list[Panel | None] = list(panels[start : start + columns])
            if shown:
                picture = Panel((one.name(i) or "input",), (enlarged(shown[i], side),))
                row.insert(0, None if start else picture)
            rows.append(row)
    if units == 1 and not one.wide:
        together = max(1, round(math.sqrt(images / 3)))  # panels are three times as wide
        rows = [
            [panel for row in rows[start : start + together] for panel in row]
            for start in range(0, images, together)
        ]
    return figure(rows, f"{one.method} · {one.layer}", one.legend(overlays), one.notes)


def _panel(one: Explanation, image: int, unit: int, side: int, picture: Pixels | None) -> Panel:
    pictures = [one.shown(image, unit, side)]
    if picture is not None:
        over = overlay(one.denoised(image, unit), picture)
        pictures.append(enlarged(over, side))
    captions = one.captions(image, unit)
    return Panel(captions if one.shown_pictures() else one.named(captions, image), tuple(pictures))
