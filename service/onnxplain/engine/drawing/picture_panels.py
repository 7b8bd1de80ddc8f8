"""Panels of pictures, of attributions to them, and of heat over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy.typing as npt

from onnxplain.engine.drawing.colormaps import (
    Pixels,
    channels_last,
    heat_colours,
    is_picture,
    limit_of,
    map_colours,
    pale,
    reconstruction,
    signed_map,
    strength,
)
from onnxplain.engine.drawing.frames import Box, Frame, dimmed, mark, show
from onnxplain.engine.drawing.page import Panel
from onnxplain.engine.drawing.style import Style
from onnxplain.engine.pictures import Preprocess

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

__all__ = ["Kind", "attribution_panel", "frame_of", "heat_panel", "kind_of", "picture_panel"]

Values = npt.NDArray[Any]
Kind = Literal["map", "reconstruction", "picture"]
SCALED = "each scaled by its own 99.5th percentile"
BARS: dict[Kind, str] = {
    "map": f"Maps, {SCALED}",
    "reconstruction": f"Projections: grey is zero, {SCALED}",
    "picture": "",
}
LINE, FEW = 1.2, 16  # the width of marks in points, halved where there are more than a few
STRENGTH = f"Overlays: the strength over all colours, regardless of its sign, {SCALED}"


def frame_of(
    picture: Pixels, photograph: Pixels | None, how: Preprocess | None, style: Style
) -> Frame:
    """Return the frame of a picture: its photograph, or the picture as the network sees it.

    picture, photograph: uint8 [H, W, 3]; the latter, and `how`, which made the former of it, may be
    None.
    """
    if style.at == "network" or photograph is None or how is None:
        return Frame.whole(picture.shape[:2], picture)
    height, width = photograph.shape[:2]
    return Frame.whole((height, width), photograph, how.seen_box(height, width))


def picture_panel(
    captions: Sequence[str], frame: Frame, name: str = "", marks: Sequence[Box] = ()
) -> Panel:
    """Return the panel of a frame's picture. marks: places in it that are outlined."""

    def paint(ax: Axes, style: Style) -> None:
        show(ax, dimmed(frame), frame.everything, frame)
        for box in marks:
            mark(ax, box, frame, LINE if len(marks) <= FEW else LINE / 2)

    return Panel(tuple(captions), frame.aspect, paint, name)


def attribution_panel(
    captions: Sequence[str],
    attribution: Callable[[], Values],
    kind: Kind,
    how: Preprocess | None,
    frame: Frame,
    name: str = "",
    note: str = "",
) -> Panel:
    """Return the panel of an attribution [C, H, W], [H, W, C] or [H, W] to what a frame sees.

    attribution: returns it. kind: see `kind_of`. how: the preprocessing, whose channel order the
    attribution has.
    """

    def paint(ax: Axes, style: Style) -> ScalarMappable | None:
        values = attribution()
        if kind == "picture" and how is not None:
            show(ax, how.pixels(values), frame.seen, frame)
            return None
        if kind == "reconstruction":
            return _reconstructed(ax, values, how, frame)

        return _mapped(ax, values, frame, style)

    return Panel(tuple(captions), frame.aspect, paint, name, BARS[kind], note)


def heat_panel(
    captions: Sequence[str],
    attribution: Callable[[], Values],
    frame: Frame,
    name: str = "",
    note: str = "",
) -> Panel:
    """Return the panel of an attribution's strength, regardless of its sign, over a picture."""

    def paint(ax: Axes, style: Style) -> ScalarMappable | None:
        show(ax, dimmed(frame, pale), frame.everything, frame)
        values = strength(attribution())
        limit = limit_of(values)
        colours = heat_colours(style.cmap, style.alpha)
        image = show(
            ax, values, frame.seen, frame, cmap=colours, vmin=0.0, vmax=limit or 1.0,
            interpolation="bilinear",
        )  # fmt: skip
        return image if limit else None

    return Panel(tuple(captions), frame.aspect, paint, name, STRENGTH, note)


def kind_of(attribution: Values, drawn_as: str, how: Preprocess | None) -> Kind:
    """Return how an attribution is drawn: as a signed map, in colours around grey, or a picture.

    drawn_as: as its method declares.
    """
    if drawn_as == "picture" and how is not None:
        return "picture"
    coloured = attribution.ndim == 3 and is_picture(attribution) and drawn_as != "map"
    return "reconstruction" if coloured else "map"


def _mapped(ax: Axes, values: Values, frame: Frame, style: Style) -> ScalarMappable | None:
    """Draw a map, a signed one around zero; return None for one of zeros, which has no scale."""
    limit, summed = 0.0, signed_map(values)
    colours, low = map_colours(style.cmap, summed)

    def from_limits(values: Values, drawn: Values) -> dict[str, Any]:
        nonlocal limit
        limit = limit_of(values)
        return {"X": drawn, "vmin": low * (limit or 1.0), "vmax": limit or 1.0}

    image = show(ax, summed, frame.seen, frame, from_limits, cmap=colours)
    return image if limit else None


def _reconstructed(
    ax: Axes, values: Values, how: Preprocess | None, frame: Frame
) -> ScalarMappable | None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    limit = 0.0

    def around_grey(values: Values, drawn: Values) -> dict[str, Any]:
        nonlocal limit
        limit = limit_of(values)
        return {"X": reconstruction(drawn, limit)}

    channels = channels_last(values)
    if how is not None and how.color == "BGR":
        channels = channels[:, :, ::-1]
    show(ax, channels, frame.seen, frame, around_grey)
    return ScalarMappable(Normalize(-limit, limit), "gray") if limit else None
