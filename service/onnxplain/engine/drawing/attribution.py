"""The drawing of an attribution, as a picture or a signed map, and the legend of its colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.drawing.colormaps import (
    diverging,
    heat,
    is_picture,
    reconstruction,
    signed_map,
)
from onnxplain.engine.drawing.figure import Note
from onnxplain.engine.drawing.signals import drawn_signal, drawn_volume, is_signal, is_volume
from onnxplain.engine.pictures import Preprocess

__all__ = ["drawn", "heat_bar", "legend"]

BAR_WIDTH = 120

Pixels = npt.NDArray[np.uint8]


def drawn(
    attribution: npt.NDArray[Any],
    drawn_as: str,
    how: Preprocess | None,
    given: npt.NDArray[Any] | None = None,
) -> Pixels:
    """Draw one attribution [C, H, W], [H, W, C] or [H, W] as uint8 [H, W, 3].

    One to a signal [C, L] or [L] is drawn as curves, one to a volume [C, D, H, W] as slices.
    drawn_as: "map", "reconstruction" or "picture", as the method declares. how: the preprocessing,
    whose channel order the attribution has. given: the network's input, if it was an array.
    """
    if is_volume(attribution):
        return drawn_volume(attribution, given if given is not None and given.ndim == 4 else None)
    if given is not None and is_signal(attribution, given):
        return drawn_signal(given, attribution)
    if drawn_as == "picture" and how is not None:
        return how.pixels(attribution)
    if not _is_reconstruction(attribution, drawn_as):
        return diverging(signed_map(attribution))
    pixels = reconstruction(attribution)
    return pixels[:, :, ::-1] if how is not None and how.color == "BGR" else pixels


def legend(attribution: npt.NDArray[Any], drawn_as: str, overlays: bool) -> list[Note]:
    """Return the meaning of the colours in drawings of one kind."""
    if drawn_as == "picture":
        return [Note("Pictures that excite the unit, as the network would see them")]
    scaled = "each scaled by its own largest values"
    if _is_reconstruction(attribution, drawn_as):
        lines = [Note(f"Projections: grey is zero, {scaled}")]
    else:
        signed = diverging(2 * np.linspace(0, 1, BAR_WIDTH)[None] - 1)[0]
        lines = [Note(f"Maps, {scaled}:", signed, ("negative", "positive"))]
    if overlays:
        lines.append(Note("Overlays, strength of each:", heat_bar(), ("weak", "strong")))
    return lines


def heat_bar() -> Pixels:
    """Return the colours of heat from weak to strong, the bar of a Note."""
    return heat(np.linspace(0, 1, BAR_WIDTH))


def _is_reconstruction(attribution: npt.NDArray[Any], drawn_as: str) -> bool:
    return attribution.ndim == 3 and is_picture(attribution) and drawn_as != "map"
