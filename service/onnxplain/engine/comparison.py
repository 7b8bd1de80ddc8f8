"""Several methods' explanations of the same pictures, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image

from onnxplain.engine.explanation import Explanation
from onnxplain.engine.figure import Note, Panel, figure
from onnxplain.engine.pictures import enlarged, overlay, projection
from onnxplain.graphops.errors import OptionError

__all__ = ["draw_side_by_side"]

SIDE = 128
COLUMNS = 4


def draw_side_by_side(explanations: Sequence[Explanation]) -> Image.Image:
    """Draw each picture, then one panel a method: its map, and that laid over the picture.

    The explanations are of the same pictures and as many units; of one unit each, as a rule.
    Raises OptionError where one is not a map.
    """
    for explanation in explanations:
        if explanation.attribution.ndim not in (4, 5):
            raise OptionError(
                f"what '{explanation.method}' gives to '{explanation.to}' is not a picture and "
                "cannot be drawn: save its numbers instead"
            )
    first = explanations[0]
    images, units = first.channels.shape
    columns = math.ceil(len(explanations) / math.ceil(len(explanations) / COLUMNS))
    rows: list[list[Panel | None]] = []
    for image in range(images):
        for unit in range(units):
            panels = [_panel(explanation, image, unit) for explanation in explanations]
            for start in range(0, len(panels), columns):
                row: list[Panel | None] = list(panels[start : start + columns])
                if first.pictures:
                    shown = Panel(
                        (first.captions(image, unit)[0], first.captions(image, unit)[-1]),
                        (enlarged(first.pictures[image], SIDE),),
                    )
                    row.insert(0, None if start else shown)
                rows.append(row)
    note = Note(
        "Each map scaled by its own largest values; beside it, its strength on the picture."
    )
    return figure(rows, f"{len(explanations)} methods · {first.layer}", [note])


def _panel(explanation: Explanation, image: int, unit: int) -> Panel:
    attribution = explanation.attribution[image, unit]
    drawn = [enlarged(projection(attribution), SIDE)]
    if explanation.pictures:
        drawn.append(enlarged(overlay(attribution, explanation.pictures[image]), SIDE))
    return Panel((explanation.method,), tuple(drawn))
