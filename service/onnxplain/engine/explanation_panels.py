"""The panels of an explanation: an input, an attribution, or an overlay."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy.typing as npt

from onnxplain.engine.drawing import (
    Panel,
    Style,
    attribution_panel,
    heat_panel,
    is_signal,
    is_volume,
    kind_of,
    layer_name,
    method_title,
    number,
    picture_panel,
    plotted,
    signal_panel,
    unit_name,
    volume_panel,
)
from onnxplain.engine.explanation_frames import frame_of, marks_of, network_size, window_of
from onnxplain.graphops.errors import ChannelError, OptionError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from onnxplain.engine.explanation import Explanation

__all__ = [
    "What",
    "drawn_panels",
    "has_overlays",
    "name_of_unit",
    "panel_of",
    "plot_of",
    "require_drawable",
    "title_of_unit",
    "titled_captions",
]

What = Literal["attribution", "overlay", "input"]

WITH_OVERLAYS = 16  # the most units of a picture that get an overlay each: more would only crowd


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
        frame = frame_of(one, image, style)
        picture = one.names[image] if one.names else ""
        words = (picture or "input",) if captions is None else tuple(captions)
        return picture_panel(
            words, frame, _file_name(one, image, 0, what), marks_of(one, image, frame)
        )
    require_drawable(one)
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
    frame, window = frame_of(one, image, style), window_of(one, image, unit)
    note = ""
    if what == "attribution" and not has_overlays(one):
        frame = frame.cropped(frame.seen)  # alone, a map needs not be in the picture's frame
    if window is not None and one.box is not None:
        frame = frame.cropped(frame.place(window, network_size(one, image)))
        top, left, bottom, right = one.box[image, unit].tolist()
        note = f"y {top}–{bottom - 1}, x {left}–{right - 1}"
        if what == "overlay":  # of a few pixels, heat would only hide what is there
            place = frame.place(one.box[image, unit], network_size(one, image))
            return picture_panel(words, frame, name, [place])
    if what == "overlay":
        return heat_panel(words, denoised, frame, name)
    kind = kind_of(values, one.drawn_as, one.preprocess)
    return attribution_panel(words, denoised, kind, one.preprocess, frame, name, note)


def require_drawable(one: Explanation) -> None:
    """Raise OptionError for an attribution to a vector that is no signal, or beyond a volume."""
    if one.attribution.ndim not in (4, 5, 6) and not one.wide:
        raise OptionError(
            f"the attribution of '{one.method}' to '{one.to}' has the shape "
            f"{list(one.attribution.shape[2:])}, is not a picture and cannot be drawn: save "
            "its numbers (save_npz, on the command line --npz without -o)"
        )


def plot_of(
    one: Explanation, ax: Axes | None, image: int, unit: int, what: What, style: Style
) -> Axes:
    """Draw a panel into axes. Raises OptionError, ChannelError."""
    if what not in get_args(What):
        raise OptionError(f"what is {what!r}: choose one of {', '.join(get_args(What))}")
    for index, count, word in zip(
        (image, unit), one.channels.shape, ("picture", "unit"), strict=True
    ):
        if not 0 <= index < count:
            raise ChannelError(f"no {word} {index}: the explanation has {count}, from 0 on")
    if what != "attribution" and not one.shown_pictures():
        raise OptionError(f"there is no {what}, since the explanation has no pictures")
    brief = method_title(one.method, first=True)
    captions = None if what == "input" else (title_of_unit(one, image, unit), brief)
    return plotted(panel_of(one, image, unit, what, style, captions), ax, style)


def title_of_unit(one: Explanation, image: int, unit: int) -> str:
    """Return the title of one unit: the method, and the unit by label and probability."""
    by = "against" if one.negated else "of"
    return f"{method_title(one.method, first=True)} {by} {name_of_unit(one, image, unit)}"


def has_overlays(one: Explanation) -> bool:
    """Tell whether each attribution is also drawn over its picture."""
    few = one.channels.shape[1] <= WITH_OVERLAYS
    return bool(one.shown_pictures()) and few and one.drawn_as != "picture"


def titled_captions(one: Explanation, image: int, unit: int) -> tuple[str, ...]:
    """Return captions that say what a title would: the method, and the unit; longest first."""
    title, by = method_title(one.method, first=True), "against " if one.negated else ""
    value = f"{one.strength_name} {number(float(one.strength[image, unit]))}"
    brief = f"{title} · {by}{name_of_unit(one, image, unit)}"
    return (f"{brief} ({value})", brief)


def name_of_unit(one: Explanation, image: int, unit: int) -> str:
    """Return a unit by label and probability, or by channel and layer."""
    probability = None if one.probability is None else float(one.probability[image, unit])
    layer = layer_name(one.layer, one.asked)
    return unit_name(int(one.channels[image, unit]), one.labels, layer, probability)


def drawn_panels(one: Explanation, style: Style) -> set[str]:
    """Return which of "input", "map" and "overlay" are drawn of each unit; not none.

    Where there are no overlays, maps stand for them.
    """
    shown = set(style.shown)
    if not one.shown_pictures():
        shown -= {"input"}
    few = "map" not in shown and bool(one.shown_pictures()) and one.drawn_as != "picture"
    if "overlay" in shown and not (few or has_overlays(one)):
        shown = (shown - {"overlay"}) | {"map"}
    return shown or {"map"}


def _file_name(one: Explanation, image: int, unit: int, what: What) -> str:
    picture = os.path.splitext(one.names[image])[0] if one.names else ""
    if what == "input":
        return f"{picture or f'input{image}'}_input"
    channel = int(one.channels[image, unit])
    parts = [picture, one.method, "whole" if channel < 0 else str(channel), what]
    return "_".join(part for part in parts if part)
