"""Drawings of arrays that are no pictures: curves of a signal, slices of a volume, many bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from onnxplain.engine.drawing.colormaps import channels_last, diverging, enlarged
from onnxplain.engine.drawing.figure import Note
from onnxplain.graphops.errors import OptionError

__all__ = [
    "drawn_signal",
    "drawn_volume",
    "has_own_size",
    "input_legend",
    "is_signal",
    "is_volume",
    "picture_of",
]

Pixels = npt.NDArray[np.uint8]
Values = npt.NDArray[Any]

MOST_CURVES, CURVES_WIDTH, CURVES_HEIGHT = 12, 640, 384  # the size in pixels of all curves together
SLICES, SLICE_SIDE, GAP = 8, 96, 2
INK = (25, 25, 25)


def drawn_signal(signal: Values, attribution: Values) -> Pixels:
    """Draw the channels of a signal [C, L] as curves, each over the colours of its attribution.

    attribution: [C, L] or [1, L], of any length; its channels with the most are drawn. Both may be
        [L], one channel.
    """
    signal, attribution = np.atleast_2d(signal), np.atleast_2d(attribution)
    if len(attribution) != len(signal):
        attribution = np.repeat(attribution.sum(axis=0, keepdims=True), len(signal), axis=0)
    strength = np.abs(np.nan_to_num(attribution.astype(np.float64))).sum(axis=1)
    drawn = np.sort(np.argsort(-strength, kind="stable")[:MOST_CURVES])
    columns = np.stack([_columns(attribution[c]) for c in drawn])
    height = CURVES_HEIGHT // len(drawn)
    page = Image.fromarray(np.repeat(diverging(columns), height, axis=0))
    ink = ImageDraw.Draw(page)
    for row, channel in enumerate(drawn):
        values = _scaled(signal[channel])
        at = np.linspace(0, CURVES_WIDTH - 1, len(values))
        tops = row * height + 2 + (1 - values) * (height - 5)
        points = list(zip(at.tolist(), tops.tolist(), strict=True))
        ink.line(points if len(points) > 1 else points * 2, INK)
        _number(ink, 0, row * height, channel)
    return np.asarray(page)


def drawn_volume(attribution: Values, volume: Values | None = None) -> Pixels:
    """Draw slices of an attribution [C, D, H, W], evenly spaced, of which one is the strongest.

    volume: of the same dimensions; its slices are drawn above, in grey.
    """
    summed = attribution.sum(axis=0)
    depth = len(summed)
    chosen = np.unique(np.linspace(0, depth - 1, min(SLICES, depth)).round().astype(int))
    strongest = int(np.abs(np.nan_to_num(summed)).reshape(depth, -1).sum(axis=1).argmax())
    chosen[np.abs(chosen - strongest).argmin()] = strongest
    coloured = diverging(np.concatenate(list(summed[chosen]), axis=1))
    strips = [enlarged(part, SLICE_SIDE) for part in np.split(coloured, len(chosen), axis=1)]
    rows = [strips]
    if volume is not None:
        grey = _scaled(volume.mean(axis=0))
        slices = [grey[number * len(grey) // depth] for number in chosen]
        rows.insert(0, [_grey(part).resize(strips[0].size) for part in slices])
    width, height = strips[0].width + GAP, strips[0].height + GAP
    page = Image.new("RGB", (width * len(chosen) - GAP, height * len(rows) - GAP), "white")
    ink = ImageDraw.Draw(page)
    for top, row in enumerate(rows):
        for left, picture in enumerate(row):
            page.paste(picture, (left * width, top * height))
    for left, number in enumerate(chosen.tolist()):
        _number(ink, left * width, (len(rows) - 1) * height, number)
    return np.asarray(page)


def picture_of(values: Values, bands: Sequence[int] = ()) -> Pixels:
    """Return the picture [H, W, 3] of an array [C, H, W] or [H, W, C], from its least value on.

    bands: the channels drawn as red, green and blue, or one as grey. Without them, three channels
    are these colours, and of any other number the mean is drawn. Raises OptionError for others.
    """
    last = channels_last(values)
    channels = last.shape[2]
    if bands:
        if len(bands) not in (1, 3) or not all(0 <= band < channels for band in bands):
            raise OptionError(
                f"bands {list(bands)}: give one or three of the channels 0 to {channels - 1}"
            )
        last = last[:, :, list(bands)]
    if last.shape[2] != 3:
        last = np.repeat(last.mean(axis=2, keepdims=True), 3, axis=2)
    return np.rint(255 * _scaled(last)).astype(np.uint8)


def is_signal(attribution: Values, given: Values | None) -> bool:
    """Tell whether an attribution is drawn over the curves of a signal [C, L] or [L], the input."""
    if given is None or given.ndim != attribution.ndim:
        return False
    return given.ndim == 2 or (given.ndim == 1 and given.shape == attribution.shape)


def is_volume(attribution: Values) -> bool:
    """Tell whether an attribution is drawn as slices of a volume [C, D, H, W]."""
    return attribution.ndim == 4


def has_own_size(attribution: Values, given: Values | None) -> bool:
    """Tell whether the drawing of an attribution is not resized to a page: curves or slices."""
    return is_signal(attribution, given) or is_volume(attribution)


def input_legend(
    attribution: Values, given: Values | None, bands: Sequence[int] = ()
) -> list[Note]:
    """Return what a drawing shows of an input that is no picture."""
    if is_volume(attribution):
        return [Note("Slices along the first axis, numbered; above them those of the volume")]
    if given is None:
        return []
    if is_signal(attribution, given):
        curves = len(np.atleast_2d(given))
        few = f", the {MOST_CURVES} strongest of {curves}" if curves > MOST_CURVES else ""
        return [Note(f"Curves of the signal's channels{few}, each over its attribution")]
    if given.ndim != 3:
        return []
    channels = channels_last(given).shape[2]
    if bands:
        return [Note(f"Pictures show the channels {', '.join(map(str, bands))}")]
    if channels in (1, 3):
        return []
    return [Note(f"Pictures show the mean of {channels} channels; name others by --bands")]


def _columns(values: Values) -> npt.NDArray[np.float64]:
    """Return one value for each column of pixels: of several, the one of largest magnitude."""
    edges = np.linspace(0, len(values), CURVES_WIDTH + 1).astype(int)
    parts = (values[a : max(b, a + 1)] for a, b in zip(edges[:-1], edges[1:], strict=True))
    return np.array([part[np.abs(part).argmax()] for part in parts], np.float64)


def _scaled(values: Values) -> npt.NDArray[np.float64]:
    """Return the values from 0, the least, to 1, the greatest; 0.5 where they are all the same."""
    known = np.nan_to_num(np.asarray(values, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    span = np.ptp(known)
    return (known - known.min()) / span if span else np.full_like(known, 0.5)


def _number(ink: ImageDraw.ImageDraw, left: int, top: int, number: int) -> None:
    """Write a number on white, so that it can be read over any curve and colour."""
    at, text = (left + 2, top), str(number)
    width, height = ink.textbbox(at, text)[2:]
    ink.rectangle((left, top, width + 1, height + 1), "white")
    ink.text(at, text, INK)


def _grey(values: npt.NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(np.rint(255 * values).astype(np.uint8)).convert("RGB")
