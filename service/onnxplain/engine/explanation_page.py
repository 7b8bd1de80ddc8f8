"""The page of an explanation: its pictures, each unit's attribution, and the overlays."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from onnxplain.engine.drawing import (
    Box,
    Frame,
    Page,
    Panel,
    Style,
    attribution_panel,
    even_columns,
    heat_panel,
    input_legend,
    is_signal,
    is_volume,
    kind_of,
    method_title,
    number,
    picture_panel,
    plotted,
    signal_panel,
    unit_name,
    volume_panel,
)
from onnxplain.graphops.errors import ChannelError, OptionError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from onnxplain.engine.explanation import Explanation

__all__ = ["What", "has_overlays", "legend_of", "page_of", "panel_of", "plot_of", "title_of"]

What = Literal["attribution", "overlay", "input"]

WITH_OVERLAYS = 16  # the most units of a picture that get an overlay each: more would only crowd
TOGETHER = 3  # the most units of a row, each with its overlay
MARKS = 100  # the most places that are outlined in a picture
SMALL = 4  # a receptive field of at most one in so many of the picture's side is shown enlarged
MARGIN = 1.7  # the side of what is then shown over that of the receptive field


def page_of(one: Explanation, style: Style) -> Page:
    """Return the page of an explanation. Raises OptionError where it cannot be drawn."""
    one.require_drawable()
    images, units = one.channels.shape
    inputs = bool(one.shown_pictures())
    overlays = has_overlays(one)
    each = 2 if overlays else 1
    columns = even_columns(units, TOGETHER) if overlays else math.ceil(math.sqrt(units))
    if style.columns is not None:
        columns = max(1, (style.columns - inputs) // each)
    columns = 1 if one.wide else min(columns, units)
    rows: list[list[Panel | None]] = []
    for image in range(images):
        panels: list[list[Panel | None]] = []
        for unit in range(units):
            captions = _captions(one, image, unit)
            panels.append([panel_of(one, image, unit, "attribution", style, captions)])
            if overlays:
                over = _over(one, image, unit, style)
                panels[-1].append(panel_of(one, image, unit, "overlay", style, over))
        for start in range(0, units, columns):
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


def panel_of(
    one: Explanation,
    image: int,
    unit: int,
    what: What,
    style: Style,
    captions: Sequence[str] | None = None,
) -> Panel:
    """Return the panel of an explanation's input, attribution or overlay. Raises OptionError."""
    values = one.attribution[0, 0]
    if what == "input":
        frame = _frame(one, image, style)
        picture = one.names[image] if one.names else ""
        words = (picture or "input",) if captions is None else tuple(captions)
        return picture_panel(
            words, frame, _file_name(one, image, 0, what), _marks(one, image, frame)
        )
    words = one.captions(image, unit) if captions is None else tuple(captions)
    name = _file_name(one, image, unit, what)

    def denoised() -> npt.NDArray[Any]:
        return one.denoised(image, unit)

    given = one.inputs[image] if one.inputs else None
    if is_volume(values):
        volume = given if given is not None and given.ndim == 4 else None
        return volume_panel(words, denoised, values.shape, volume, name)
    if given is not None and is_signal(values, given):
        return signal_panel(words, given, denoised, name)
    frame, window = _frame(one, image, style), _window(one, image, unit)
    note = ""
    if what == "attribution" and not has_overlays(one):
        frame = frame.cropped(frame.seen)  # alone, a map needs not be in the picture's frame
    if window is not None and one.box is not None:
        frame = frame.cropped(frame.place(window, _network_size(one, image)))
        top, left, bottom, right = one.box[image, unit].tolist()
        note = f"y {top}–{bottom - 1}, x {left}–{right - 1}"
        if what == "overlay":  # of a few pixels, heat would only hide what is there
            place = frame.place(one.box[image, unit], _network_size(one, image))
            return picture_panel(words, frame, name, [place])
    if what == "overlay":
        return heat_panel(words, denoised, frame, name)
    kind = kind_of(values, one.drawn_as, one.preprocess)
    return attribution_panel(words, denoised, kind, one.preprocess, frame, name, note)


def plot_of(
    one: Explanation, ax: Axes | None, image: int, unit: int, what: What, style: Style
) -> Axes:
    """Draw a panel into axes. Raises OptionError, ChannelError."""
    one.require_drawable()
    if what not in get_args(What):
        raise OptionError(f"what is {what!r}: choose one of {', '.join(get_args(What))}")
    for index, count, word in zip(
        (image, unit), one.channels.shape, ("picture", "unit"), strict=True
    ):
        if not 0 <= index < count:
            raise ChannelError(f"no {word} {index}: the explanation has {count}, from 0 on")
    if what != "attribution" and not one.shown_pictures():
        raise OptionError(f"there is no {what}, since the explanation has no pictures")
    captions = None if what == "input" else (title_of_unit(one, image, unit),)
    return plotted(panel_of(one, image, unit, what, style, captions), ax, style)


def title_of(one: Explanation) -> str:
    """Return the title: the method, and what it explains."""
    title, by = method_title(one.method), "against" if one.negated else "of"
    if one.channels.size == 1:
        return title_of_unit(one, 0, 0)
    channels = np.unique(one.channels)
    if len(channels) == 1:
        return f"{title} {by} {unit_name(int(channels[0]), one.labels, one.layer, None)}"
    if not one.labels and one.probability is None:
        return f"{title} {by} {one.layer}"
    if one.channels.shape[1] == 1:
        return f"{title} {by} a class of each picture"
    return f"{title} {by} {one.channels.shape[1]} classes"


def title_of_unit(one: Explanation, image: int, unit: int) -> str:
    """Return the title of one unit: the method, and the unit by label and probability."""
    by, channel = "against" if one.negated else "of", int(one.channels[image, unit])
    probability = None if one.probability is None else float(one.probability[image, unit])
    name = unit_name(channel, one.labels, one.layer, probability)
    return f"{method_title(one.method)} {by} {name}"


def legend_of(one: Explanation) -> list[str]:
    """Return lines on what is drawn, and on inputs that are no pictures."""
    given = one.inputs[0] if one.inputs else None
    lines = input_legend(one.attribution[0, 0], given, one.bands)
    if kind_of(one.attribution[0, 0], one.drawn_as, one.preprocess) == "picture":
        lines.insert(0, "Pictures that excite the unit, as the network would see them")
    if _window(one, 0, 0) is not None:
        lines.append(
            "Enlarged: what a unit sees, at the rows y and columns x of the network's input; its "
            "place is outlined in the picture"
        )
    if one.others:
        lines.append(f"Not drawn: the attributions to {', '.join(one.others)}")
    return lines


def has_overlays(one: Explanation) -> bool:
    """Tell whether each attribution is also drawn over its picture."""
    few = one.channels.shape[1] <= WITH_OVERLAYS
    return bool(one.shown_pictures()) and few and one.drawn_as != "picture"


def _captions(one: Explanation, image: int, unit: int) -> tuple[str, ...]:
    """Return a unit's captions; alone it is named by the title."""
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
    if _window(one, image, unit) is not None:
        return ("what the unit sees",)
    under = style.at == "photograph" and one.photographs
    return (f"over the {'photograph' if under else 'network input'}",)


def _frame(one: Explanation, image: int, style: Style) -> Frame:
    """Return the frame of an image: its photograph, or the picture as the network sees it."""
    pictures = one.shown_pictures()
    if style.at == "photograph" and one.photographs and one.preprocess is not None and pictures:
        photograph = one.photographs[image]
        height, width = photograph.shape[:2]
        seen = one.preprocess.seen_box(height, width)
        return Frame.whole((height, width), photograph, seen)
    if pictures:
        return Frame.whole(pictures[image].shape[:2], pictures[image])
    return Frame.whole(_map_size(one))


def _map_size(one: Explanation) -> tuple[int, int]:
    shape = one.attribution.shape[2:]
    if len(shape) == 2:
        return shape[0], shape[1]
    last = shape[0] not in (1, 3) and shape[2] in (1, 3)
    return (shape[0], shape[1]) if last else (shape[1], shape[2])


def _network_size(one: Explanation, image: int) -> tuple[int, int]:
    pictures = one.shown_pictures()
    return pictures[image].shape[:2] if pictures else _map_size(one)


def _window(one: Explanation, image: int, unit: int) -> Box | None:
    """Return what is shown of a unit that sees little, in pixels of the network; None for all.

    As wide for all units, so that their scales are the same.
    """
    if one.box is None or one.box.shape[2:] != (4,):
        return None
    size = _network_size(one, image)
    if size != _map_size(one):
        return None
    sides = (one.box[:, :, 2:] - one.box[:, :, :2]).reshape(-1, 2).max(axis=0)
    if sides.min() < 1 or SMALL * sides.max() > max(size):
        return None
    side = min(math.ceil(MARGIN * int(sides.max())), *size)
    box = one.box[image, unit]
    starts = [
        int(np.clip((box[axis] + box[axis + 2] - side) // 2, 0, size[axis] - side))
        for axis in range(2)
    ]
    top, left = starts
    return float(top), float(left), float(top + side), float(left + side)


def _marks(one: Explanation, image: int, frame: Frame) -> list[Box]:
    units = one.channels.shape[1]
    if one.box is None or units > MARKS or _window(one, image, 0) is None:
        return []
    size = _network_size(one, image)
    return [frame.place(box, size) for box in one.box[image].tolist()]


def _file_name(one: Explanation, image: int, unit: int, what: What) -> str:
    picture = os.path.splitext(one.names[image])[0] if one.names else ""
    if what == "input":
        return f"{picture or f'input{image}'}_input"
    channel = int(one.channels[image, unit])
    parts = [picture, one.method, "whole" if channel < 0 else str(channel), what]
    return "_".join(part for part in parts if part)
