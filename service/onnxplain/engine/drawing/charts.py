"""Line charts, for colour-blind readers: round ticks, and a legend above the curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.drawing.digits import number
from onnxplain.engine.drawing.page import Panel
from onnxplain.engine.drawing.style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["chart_panel", "limits_of", "strip_panel"]

# Okabe and Ito's palette, which colour-blind readers can distinguish.
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
STYLES = ["-", "--", ":", "-."]  # each for as many curves as there are colours
GRID, MUTED = "#e1e1e1", "#5a5a5a"
SMALL, LINE = 7.0, 1.35  # the size of text in points, and the distance of its lines over it
TICKS, TICK = 5, 0.3  # the most steps between ticks, and the inches of one at least
BEYOND = 0.35  # inches by which an axis's label may be longer than the axis
STEPS = (1, 2, 2.5, 5, 10)
STRIP_GAP = 0.06  # between pictures of a strip, over their width
SAMPLE = 0.42  # inches of a legend's line and the gaps around it

Values = npt.NDArray[Any]


def chart_panel(
    captions: Sequence[str],
    x: Values,
    curves: Mapping[str, Values],
    axis: str,
    name: str = "",
    *,
    y_axis: str = "",
    limits: tuple[float, float] | None = None,
    steps: Sequence[float] = STEPS,
) -> Panel:
    """Return the panel of curves [points] by name over the same x [points].

    axis, y_axis: what the axes show, with its unit. limits: of the y axis, those of the curves for
    None, see `limits_of`; several curves have a legend above the higher one. steps: between the
    ticks of the x axis, times a power of ten.
    """

    def paint(ax: Axes, style: Style) -> None:
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        lines: list[Any] = []
        for index, values in enumerate(curves.values()):
            how = STYLES[index // len(COLOURS) % len(STYLES)]
            lines += ax.plot(x, values, how, color=COLOURS[index % len(COLOURS)], lw=1.4)
        rounded = FuncFormatter(lambda value, _: number(value))
        for one, chosen, label in ((ax.xaxis, steps, axis), (ax.yaxis, STEPS, y_axis)):
            length = _inches(ax)[one is ax.yaxis]
            ticks = max(2, min(TICKS, int(length / TICK)))
            one.set_major_locator(MaxNLocator(ticks, steps=list(chosen)))
            one.set_major_formatter(rounded)
            one.set_label_text(_fitting(label, length), size=SMALL, color=MUTED, parse_math=False)
            one.labelpad = 2
        ax.grid(color=GRID, lw=0.5)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_xlim(float(x[0]), float(x[-1]))
        room = _draw_legend(ax, lines, list(curves)) if len(curves) > 1 else 0.04
        low, high = limits or limits_of(curves.values())
        ax.set_ylim(low, high + (high - low) * room / (1 - room))

    return Panel(tuple(captions), 0.72, paint, name, width=3.2, chart=True)


def strip_panel(captions: Sequence[str], pictures: Mapping[float, Values], name: str = "") -> Panel:
    """Return the panel of pictures, uint8 [H, W, 3] each, side by side, each over its value.

    pictures: by their values, which are evenly spread, so that a chart's axis below fits them.
    """
    height, width = next(iter(pictures.values())).shape[:2]
    step = width * (1 + STRIP_GAP)
    total = step * len(pictures)

    def paint(ax: Axes, style: Style) -> None:
        for index, picture in enumerate(pictures.values()):
            left = (index + 0.5) * step - width / 2
            ax.imshow(picture, extent=(left, left + width, height, 0), interpolation="antialiased")
        middles = [(index + 0.5) * step for index in range(len(pictures))]
        ax.set(xlim=(0, total), ylim=(height, 0), aspect="equal", yticks=[])
        ax.set_xticks(middles, [number(value) for value in pictures])
        ax.spines[:].set_visible(False)

    return Panel(tuple(captions), height / total, paint, name, width=3.2, chart=True)


def limits_of(curves: Iterable[Values]) -> tuple[float, float]:
    """Return the lowest finite value of curves, or zero, and the highest; never the same."""
    values = np.concatenate([np.zeros(1), *curves])
    finite = values[np.isfinite(values)]
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if high > low else (low, low + 1)


def _inches(ax: Axes) -> tuple[float, float]:
    """Return the width and height of axes."""
    box, dpi = ax.get_window_extent(), ax.figure.dpi
    return box.width / dpi, box.height / dpi


def _fitting(label: str, length: float) -> str:
    """Return an axis's label, without what is in brackets where that has no room."""
    from onnxplain.engine.drawing.lettering import Lettering

    letters = Lettering(label)
    if letters.fits(label, SMALL, length + BEYOND):
        return label
    return letters.cut(label.partition(" (")[0], SMALL, length)


def _draw_legend(ax: Axes, lines: Sequence[Any], names: Sequence[str]) -> float:
    """Draw a legend at the top of axes; return the share of their height that it takes."""
    from onnxplain.engine.drawing.lettering import Lettering

    letters = Lettering(" ".join(names))
    width, height = _inches(ax)
    widest = max(letters.width(name, SMALL) for name in names)
    columns = max(1, min(3, int(width / (widest + SAMPLE))))
    legend = ax.legend(
        lines, [""] * len(lines), loc="upper left", bbox_to_anchor=(0.015, 1), ncols=columns,
        prop=letters.font(SMALL), edgecolor="none", facecolor="white", framealpha=1,
        borderpad=0.1, borderaxespad=0, handlelength=1.6, labelspacing=0.25, columnspacing=1.0,
        labelcolor=MUTED,
    )  # fmt: skip
    # Set afterwards: a legend would leave out names that begin with an underscore.
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set(text=letters.cut(name, SMALL, width - SAMPLE), parse_math=False)
    rows = -(-len(lines) // columns)
    return min(0.6, (rows * SMALL * LINE / 72 + 0.06) / height)
