"""Attributions to what is no picture: curves of a signal, slices of a volume, many bands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.drawing.colormaps import (
    Pixels,
    channels_last,
    limit_of,
    signed_colours,
)
from onnxplain.engine.drawing.page import Panel
from onnxplain.engine.drawing.style import Style
from onnxplain.graphops.errors import OptionError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

__all__ = [
    "input_legend",
    "is_signal",
    "is_volume",
    "picture_of",
    "signal_panel",
    "volume_panel",
]

Values = npt.NDArray[Any]

MOST_CURVES, COLUMNS = 12, 1024  # curves of a panel, and colours along each
SLICES, GAP = 8, 0.04  # slices of a panel, and the gap between them over their width
INK, SMALL = "#191919", 7.0
WIDE = 6.4  # inches
BAR = "Maps, each scaled by its own 99.5th percentile"


def signal_panel(
    captions: Sequence[str],
    signal: Values,
    attribution: Callable[[], Values],
    name: str = "",
) -> Panel:
    """Return the panel of a signal's channels [C, L] as curves over the colours of the attribution.

    attribution: returns [C, L] or [1, L], of any length; its channels with the most are drawn. Both
        may be [L], one channel.
    """
    curves = np.atleast_2d(np.nan_to_num(np.asarray(signal, np.float64), posinf=0.0, neginf=0.0))

    def paint(ax: Axes, style: Style) -> ScalarMappable:
        coloured = np.atleast_2d(np.nan_to_num(attribution().astype(np.float64)))
        if len(coloured) != len(curves):
            coloured = np.repeat(coloured.sum(axis=0, keepdims=True), len(curves), axis=0)
        order = np.argsort(-np.abs(coloured).sum(axis=1), kind="stable")
        drawn = np.sort(order[:MOST_CURVES])
        columns = np.stack([_columns(coloured[channel]) for channel in drawn])
        limit, length, count = limit_of(columns) or 1.0, curves.shape[1], len(drawn)
        image = ax.imshow(
            columns, cmap=signed_colours(style.cmap), vmin=-limit, vmax=limit, aspect="auto",
            extent=(-0.5, length - 0.5, count - 0.5, -0.5), interpolation="nearest",
        )  # fmt: skip
        for row, channel in enumerate(drawn):
            heights = row + 0.44 - 0.88 * _scaled(curves[channel])
            marker = "." if length == 1 else None
            ax.plot(np.arange(length), heights, color=INK, lw=0.8, marker=marker)
            if row:
                ax.axhline(row - 0.5, color="white", lw=1.5)
        ax.set(xlim=(-0.5, length - 0.5), ylim=(count - 0.5, -0.5))
        ax.set_yticks(range(count), [str(channel) for channel in drawn])
        _whole_ticks(ax, length)
        return image

    tall = min(len(curves), MOST_CURVES)
    aspect = min(0.6, 0.16 + 0.06 * tall)
    return Panel(tuple(captions), aspect, paint, name, BAR, width=WIDE, chart=True)


def volume_panel(
    captions: Sequence[str],
    attribution: Callable[[], Values],
    shape: Sequence[int],
    volume: Values | None = None,
    name: str = "",
) -> Panel:
    """Return the panel of slices of an attribution [C, D, H, W], of which one is the strongest.

    shape: that of the attribution. volume: of the same dimensions; its slices are drawn above, in
    grey.
    """
    depth, height, width = shape[1:]
    count, rows = min(SLICES, depth), 1 if volume is None else 2
    # Slices are numbered below, at the middle of each.
    across, down = 1 + GAP, height / width + GAP

    def paint(ax: Axes, style: Style) -> ScalarMappable:
        summed = np.nan_to_num(attribution().sum(axis=0), posinf=0.0, neginf=0.0)
        chosen = _slices(summed)
        limit = limit_of(summed[chosen]) or 1.0
        grey = None if volume is None else _scaled(volume.mean(axis=0))
        for column, number in enumerate(chosen.tolist()):
            left, right = column * across, column * across + 1
            if grey is not None:
                ax.imshow(
                    grey[number * len(grey) // depth], cmap="gray", vmin=0, vmax=1,
                    extent=(left, right, height / width, 0.0),
                )  # fmt: skip
            top = (rows - 1) * down
            image = ax.imshow(
                summed[number], cmap=signed_colours(style.cmap), vmin=-limit, vmax=limit,
                extent=(left, right, top + height / width, top),
            )  # fmt: skip
        end = rows * down - GAP
        ax.set(xlim=(0, len(chosen) * across - GAP), ylim=(end, 0), yticks=[], aspect="equal")
        middles = [column * across + 0.5 for column in range(len(chosen))]
        ax.set_xticks(middles, [str(number) for number in chosen.tolist()])
        ax.tick_params(bottom=False)
        for spine in ax.spines.values():
            spine.set_visible(False)
        return image

    aspect = (rows * down - GAP) / (count * across - GAP)
    return Panel(tuple(captions), aspect, paint, name, BAR, width=WIDE, chart=True)


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


def input_legend(attribution: Values, given: Values | None, bands: Sequence[int] = ()) -> list[str]:
    """Return what a drawing shows of an input that is no picture."""
    if is_volume(attribution):
        return ["Slices along the first axis, numbered; above them those of the volume"]
    if given is None:
        return []
    if is_signal(attribution, given):
        curves = len(np.atleast_2d(given))
        few = f", the {MOST_CURVES} strongest of {curves}" if curves > MOST_CURVES else ""
        return [f"Curves of the signal's channels{few}, each over its attribution"]
    if given.ndim != 3:
        return []
    channels = channels_last(given).shape[2]
    if bands:
        return [f"Pictures show the channels {', '.join(map(str, bands))}"]
    if channels in (1, 3):
        return []
    return [f"Pictures show the mean of {channels} channels; name others by --bands"]


def _slices(summed: Values) -> npt.NDArray[np.int64]:
    """Return the numbers of slices [D, H, W] that are drawn: evenly spaced, and the strongest."""
    depth = len(summed)
    chosen = np.unique(np.linspace(0, depth - 1, min(SLICES, depth)).round().astype(int))
    strongest = int(np.abs(summed).reshape(depth, -1).sum(axis=1).argmax())
    chosen[np.abs(chosen - strongest).argmin()] = strongest
    return chosen


def _whole_ticks(ax: Axes, length: int) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(min(8, length), integer=True, steps=[1, 2, 5, 10]))


def _columns(values: Values) -> npt.NDArray[np.float64]:
    """Return at most COLUMNS values: of several that share one, that of largest magnitude."""
    if len(values) <= COLUMNS:
        return np.asarray(values, np.float64)
    edges = np.linspace(0, len(values), COLUMNS + 1).astype(int)
    parts = (values[a:b] for a, b in zip(edges[:-1], edges[1:], strict=True))
    return np.array([part[np.abs(part).argmax()] for part in parts], np.float64)


def _scaled(values: Values) -> npt.NDArray[np.float64]:
    """Return the values from 0, the least, to 1, the greatest; 0.5 where they are all the same."""
    known = np.nan_to_num(np.asarray(values, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    span = np.ptp(known)
    return (known - known.min()) / span if span else np.full_like(known, 0.5)
