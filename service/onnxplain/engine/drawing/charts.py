"""Line charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from onnxplain.engine.drawing.page import Panel
from onnxplain.engine.drawing.style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["chart_panel"]

# Okabe and Ito's palette, which colour-blind readers can distinguish.
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
STYLES = ["-", "--", ":"]  # each for as many curves as there are colours
GRID, INK, SMALL = "#e1e1e1", "#191919", 7.0


def chart_panel(
    captions: Sequence[str],
    x: npt.NDArray[Any],
    curves: Mapping[str, npt.NDArray[Any]],
    axis: str,
    name: str = "",
) -> Panel:
    """Return the panel of curves [points] by name over the same x; from zero, if none is below.

    axis: the label of the x axis.
    """

    def paint(ax: Axes, style: Style) -> None:
        from matplotlib.ticker import MaxNLocator

        for number, (label, values) in enumerate(curves.items()):
            how = STYLES[number // len(COLOURS) % len(STYLES)]
            ax.plot(x, values, how, color=COLOURS[number % len(COLOURS)], lw=1.4, label=label)
        ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        ax.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        ax.grid(color=GRID, lw=0.5)
        ax.set_axisbelow(True)
        ax.margins(x=0)
        if ax.get_ylim()[0] > 0 or min(map(float, (v.min() for v in curves.values()))) >= 0:
            ax.set_ylim(bottom=0)
        family = ax.xaxis.get_ticklabels()[0].get_fontfamily()
        ax.set_xlabel(axis, size=SMALL, color=INK, labelpad=2, parse_math=False, family=family)
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
        if len(curves) > 1:
            legend = ax.legend(frameon=False, prop={"size": SMALL, "family": family},
                               labelcolor=INK)  # fmt: skip
            for text in legend.get_texts():
                text.set_parse_math(False)

    return Panel(tuple(captions), 0.72, paint, name, width=3.2, chart=True)
