"""Colour bars: their colours, their round numbers, and what many panels share."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.ticker import MaxNLocator

from onnxplain.engine.drawing.digits import number
from onnxplain.engine.drawing.lettering import Lettering

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

__all__ = ["draw_bar", "draw_shared_bar", "round_ticks"]

Aligned = Literal["left", "center", "right"]

INK, MUTED = "#191919", "#5a5a5a"
DIGITS = (1, 1.5, 2, 3, 4, 5, 6, 8)  # of round numbers
EDGE = 0.08  # of a bar's length: the numbers of ticks there stay within the bar
APART = 0.06  # inches between the numbers of a bar, at least


def round_ticks(low: float, high: float) -> list[float]:
    """Return two or three round numbers from low to high, zero among them if it is there."""
    if not high > low:
        return [low]
    if low < 0 < high:
        largest = _round(min(-low, high))
        return [-largest, 0.0, largest]
    if low == 0:
        largest = _round(high)
        half = largest / 2
        return [0.0, half, largest] if _round(half) == half else [0.0, largest]
    ticks = MaxNLocator(3, steps=[1, 2, 5, 10]).tick_values(low, high)
    inside = [float(tick) for tick in ticks if low <= tick <= high]
    return inside if len(inside) > 1 else [low, high]


def _round(value: float) -> float:
    """Return the largest number of DIGITS times a power of ten up to a positive value."""
    power = math.floor(math.log10(value) + 1e-9)
    digit = max(d for d in DIGITS if d <= value / 10.0**power * (1 + 1e-9))
    return float(f"{digit}e{power}")


def draw_bar(
    ax: Axes, of: ScalarMappable, letters: Lettering, size: float, marked: float | None = None
) -> None:
    """Draw the colour bar of one panel, with round numbers, and a triangle at a marked value."""
    low, high = _limits(of)
    ticks = _fitting(round_ticks(low, high), ax, (low, high), letters, size)
    _draw(ax, of, letters, size, ticks, [number(tick) for tick in ticks])
    if marked is not None:
        ax.plot([marked], [1.0], "v", color=INK, markersize=3.5, clip_on=False)


def draw_shared_bar(ax: Axes, of: Sequence[ScalarMappable], letters: Lettering, size: float) -> str:
    """Draw the colour bar of several panels; return a sentence on their different limits.

    Panels of the same limits get round numbers, others the word "max" for each one's own.
    """
    limits = np.array([_limits(one) for one in of])
    if (limits == limits[0]).all():
        draw_bar(ax, of[0], letters, size)
        return ""
    widest = int(limits[:, 0].argmin())  # where some maps are nowhere negative, one of the others
    low, high = limits[widest]
    least, most = limits[:, 1].min(), limits[:, 1].max()
    spans = f"max is {number(least)} to {number(most)}"
    signed = limits[:, 0] == -limits[:, 1]
    if signed.any() and (signed | (limits[:, 0] == 0)).all():
        zero = np.asarray(of[widest].cmap(0.5))
        rest = [one.cmap(0.0) for one, both in zip(of, signed, strict=True) if not both]
        if any(np.abs(zero - colour).max() > 0.05 for colour in rest):
            spans += "; all colours from 0 to max where nowhere negative"
        _draw(ax, of[widest], letters, size, [low, (low + high) / 2, high], ["−max", "0", "max"])
        return spans
    if not limits[:, 0].any():
        _draw(ax, of[0], letters, size, [low, high], ["0", "max"])
        return spans
    _draw(ax, of[0], letters, size, [low, high], ["min", "max"])
    return f"min is {number(limits[:, 0].min())} to {number(limits[:, 0].max())}, {spans}"


def _draw(
    ax: Axes,
    of: ScalarMappable,
    letters: Lettering,
    size: float,
    ticks: list[float],
    labels: list[str],
) -> None:
    low, high = _limits(of)
    wide = (low, high) if high > low else (low - 0.5, low + 0.5)
    ramp: Any = np.linspace(low, high, 256)[None]
    ax.imshow(ramp, cmap=of.cmap, vmin=low, vmax=high, aspect="auto", extent=(*wide, 0, 1))
    ax.set_xticks(ticks, [letters.written(label) for label in labels])
    ax.set_yticks([])
    ax.tick_params(length=2, width=0.5, pad=1.5, color=MUTED, labelcolor=MUTED, bottom=True,
                   labelbottom=True, top=False)  # fmt: skip
    for text in ax.get_xticklabels():
        text.set(fontproperties=letters.font(size), parse_math=False, color=MUTED)
    # Labels at the ends stay within the bar's width, so that neighbours never touch.
    for tick, text in zip(ticks, ax.get_xticklabels(), strict=True):
        text.set_horizontalalignment(_alignment(tick, wide)[0])
    for spine in ax.spines.values():
        spine.set(linewidth=0.5, color=MUTED)


def _alignment(tick: float, limits: tuple[float, float]) -> tuple[Aligned, float, float]:
    """Return the alignment of a tick's number, and where along the bar the tick is, 0 to 1.

    The third is the share of the number's width that lies left of the tick.
    """
    low, high = limits
    share = (tick - low) / (high - low) if high > low else 0.5
    if share < EDGE:
        return "left", share, 0.0
    return ("right", share, 1.0) if share > 1 - EDGE else ("center", share, 0.5)


def _fitting(
    ticks: list[float], ax: Axes, limits: tuple[float, float], letters: Lettering, size: float
) -> list[float]:
    """Return the ticks, or fewer where their numbers would touch: the ends, or the last."""
    inches = ax.get_window_extent().width / ax.figure.dpi
    for kept in (ticks, [ticks[0], ticks[-1]]):
        spans = []
        for tick in kept:
            _, share, part = _alignment(tick, limits)
            width = letters.width(number(tick), size)
            start = share * inches - part * width
            spans.append((start, start + width))
        if all(after[0] - before[1] >= APART for before, after in itertools.pairwise(spans)):
            return kept
    return ticks[-1:]


def _limits(of: ScalarMappable) -> tuple[float, float]:
    low, high = of.get_clim()
    return (0.0 if low is None else float(low)), (1.0 if high is None else float(high))
