"""The page of several methods' explanations, side by side."""

from __future__ import annotations

from collections.abc import Sequence

from onnxplain.engine.drawing import Page, Panel, Style, even_columns, method_title
from onnxplain.engine.explanation import Explanation
from onnxplain.engine.explanation_page import legend_of, title_of
from onnxplain.engine.explanation_panels import drawn_panels, name_of_unit

__all__ = ["page_of_methods"]


def page_of_methods(
    explanations: Sequence[Explanation], style: Style, notes: Sequence[str]
) -> Page:
    """Return the page of explanations of the same pictures, with as many units each.

    Each picture, then by each method its map, and the map over the picture. Raises OptionError
    where an attribution cannot be drawn.
    """
    first, last = explanations[0], len(explanations) - 1
    shown = next((one for one in explanations if one.shown_pictures()), None)
    drawn = [drawn_panels(one, style) for one in explanations]
    if "input" not in style.shown:
        shown = None
    each = max(1, *(len(kinds - {"input"}) for kinds in drawn))
    columns = even_columns(len(explanations), each)
    if style.columns is not None:
        columns = max(1, (style.columns - (shown is not None)) // each)
    if any(one.wide for one in explanations):
        columns = 1
    rows: list[list[Panel | None]] = []
    for image, unit in (
        (i, u) for i in range(len(first.channels)) for u in range(first.channels.shape[1])
    ):
        row: list[Panel | None] = []
        for index, one in enumerate(explanations):
            if shown is not None and index % columns == 0:
                captions = _picture_captions(first, image, unit, style)
                picture = shown.panel(image, unit, style, "input", captions)
                row.append(None if index else picture)
            captions = _captions(first, one, image, unit)
            if shown is None and one is first:
                captions = _of_picture(captions, first, image, unit, style)
            if "map" in drawn[index]:
                row.append(one.panel(image, unit, style, "attribution", captions))
                captions = ()
            if "overlay" in drawn[index]:
                row.append(one.panel(image, unit, style, "overlay", captions))
            if (index + 1) % columns == 0 or index == last:
                rows.append(row)
                row = []
    return Page(_title(first, len(explanations)), rows, _legend(explanations), notes)


def _title(first: Explanation, count: int) -> str:
    """Return what is explained, by how many methods."""
    what = title_of(first).partition(" against " if first.negated else " of ")[2]
    against = "Against " if first.negated else ""
    title = f"{against}{what}, by {count} methods"
    return title.replace("a class", "A class") if title.startswith("a class of each") else title


def _captions(first: Explanation, one: Explanation, image: int, unit: int) -> tuple[str, ...]:
    """Return the captions of one method: its title, and the unit where it is another's."""
    title = method_title(one.method)
    own, others = (each.captions(image, unit)[-1] for each in (one, first))
    if one.layer == first.layer and own == others:
        return (title,)
    return (f"{title} of {own}", f"of {own} · {title}")


def _picture_captions(
    first: Explanation, image: int, unit: int, style: Style
) -> tuple[str, ...] | None:
    """Return captions of a picture: its name, and the unit where no title says it."""
    if not style.title:
        name = name_of_unit(first, image, unit)
        return (*first.named((name,), image), name)
    if first.channels.size == 1:
        return None
    return first.named(first.captions(image, unit), image)


def _of_picture(
    captions: tuple[str, ...], first: Explanation, image: int, unit: int, style: Style
) -> tuple[str, ...]:
    """Return captions of a method after the picture's, which is not drawn, and the unit's."""
    if style.title:
        return first.named(captions, image)
    name = name_of_unit(first, image, unit)
    return first.named((*(f"{text} · {name}" for text in captions), *captions), image)


def _legend(explanations: Sequence[Explanation]) -> list[str]:
    """Return lines on what is drawn, and the methods that explain another layer."""
    lines = []
    for one in explanations:
        lines += legend_of(one)
        if one.layer != explanations[0].layer:
            lines.append(f"{method_title(one.method)} explains units of {one.layer}")
    return list(dict.fromkeys(lines))
