"""The page of an explanation: its pictures, each unit's attribution, and the overlays."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from onnxplain.engine.drawing import (
    Page,
    Panel,
    Style,
    even_columns,
    input_legend,
    kind_of,
    layer_name,
    method_title,
    number,
    unit_name,
)
from onnxplain.engine.explanation_frames import window_of
from onnxplain.engine.explanation_panels import (
    drawn_panels,
    panel_of,
    title_of_unit,
    titled_captions,
)

if TYPE_CHECKING:
    from onnxplain.engine.explanation import Explanation

__all__ = ["legend_of", "page_of", "title_of"]


def page_of(one: Explanation, style: Style) -> Page:
    """Return the page of an explanation. Raises OptionError where it cannot be drawn."""
    images, units = one.channels.shape
    shown = drawn_panels(one, style)
    inputs, each = "input" in shown, len(shown - {"input"})
    columns = even_columns(units, each) if "overlay" in shown else math.ceil(math.sqrt(units))
    if style.columns is not None:
        columns = max(1, (style.columns - inputs) // max(1, each))
    columns = 1 if one.wide else min(columns, units)
    rows: list[list[Panel | None]] = []
    for image in range(images):
        panels: list[list[Panel | None]] = []
        for unit in range(units):
            captions = _captions(one, image, unit, style)
            panels.append([])
            if "map" in shown:
                panels[-1].append(panel_of(one, image, unit, "attribution", style, captions))
                captions = _over(one, image, unit, style)
            if "overlay" in shown:
                panels[-1].append(panel_of(one, image, unit, "overlay", style, captions))
        for start in range(0, units if each else 1, columns):
            row = [panel for few in panels[start : start + columns] for panel in few]
            if inputs:
                row.insert(0, None if start else panel_of(one, image, 0, "input", style))
            rows.append(row)
    if units == 1 and not one.wide:
        across = len(rows[0])
        together = max(1, round(math.sqrt(images / across)))
        if style.columns is not None:
            together = max(1, style.columns // across)
        rows = [
            [panel for row in rows[start : start + together] for panel in row]
            for start in range(0, images, together)
        ]
    return Page(title_of(one), rows, legend_of(one), one.notes)


def title_of(one: Explanation) -> str:
    """Return the title: the method, and what it explains."""
    title, by = method_title(one.method, first=True), "against" if one.negated else "of"
    if one.channels.size == 1:
        return title_of_unit(one, 0, 0)
    channels = np.unique(one.channels)
    layer = layer_name(one.layer, one.asked)
    if len(channels) == 1:
        return f"{title} {by} {unit_name(int(channels[0]), one.labels, layer, None)}"
    if not one.labels and one.probability is None:
        return f"{title} {by} {layer}"
    if one.channels.shape[1] == 1:
        return f"{title} {by} a class of each picture"
    return f"{title} {by} {one.channels.shape[1]} classes"


def legend_of(one: Explanation) -> list[str]:
    """Return lines on what is drawn, and on inputs that are no pictures."""
    given = one.inputs[0] if one.inputs else None
    lines = input_legend(one.attribution[0, 0], given, one.bands)
    if kind_of(one.attribution[0, 0], one.drawn_as, one.preprocess) == "picture":
        lines.insert(0, "Pictures that excite the unit, as the network would see them")
    if window_of(one, 0, 0) is not None:
        lines.append(
            "Enlarged: what a unit sees, at the rows y and columns x of the network's input; its "
            "place is outlined in the picture"
        )
    if one.others:
        lines.append(f"Not drawn: the attributions to {', '.join(one.others)}")
    return lines


def _captions(one: Explanation, image: int, unit: int, style: Style) -> tuple[str, ...]:
    """Return a unit's captions; alone it is named by the title, if there is one."""
    if not style.title:
        named = titled_captions(one, image, unit)
        return named if one.shown_pictures() else one.named(named, image)
    if one.channels.size > 1:
        captions = one.captions(image, unit)
        return captions if one.shown_pictures() else one.named(captions, image)
    kind = kind_of(one.attribution[0, 0], one.drawn_as, one.preprocess)
    word = {"map": "attribution", "reconstruction": "projection", "picture": "picture"}[kind]
    value = f"{one.strength_name} {number(float(one.strength[image, unit]))}"
    return (f"{word}, {value}", value)


def _over(one: Explanation, image: int, unit: int, style: Style) -> tuple[str, ...]:
    """Return the captions of an overlay, none where it shares those of the attribution."""
    if one.channels.size > 1:
        return ()
    if window_of(one, image, unit) is not None:
        return ("what the unit sees",)
    under = style.at == "photograph" and one.photographs
    return (f"over the {'photograph' if under else 'network input'}", "overlay")
