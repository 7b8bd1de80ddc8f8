"""A grid of values over a picture, each around its centre: of a square, or of a window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.drawing.colormaps import heat_colours, pale
from onnxplain.engine.drawing.frames import Frame, dimmed, show
from onnxplain.engine.drawing.page import Panel
from onnxplain.engine.drawing.style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

__all__ = ["grid_panel"]

Values = npt.NDArray[Any]


def grid_panel(
    captions: Sequence[str],
    values: Values,
    limits: tuple[float, float],
    centres: Sequence[Sequence[float] | Values],
    reach: float,
    size: Sequence[int],
    frame: Frame,
    *,
    bar: str,
    low_is_strong: bool = False,
    name: str = "",
    marked: float | None = None,
) -> Panel:
    """Return the panel of values [rows, columns] as heat over a picture, each around its centre.

    limits: the values drawn as weak and strong, or as strong and weak with `low_is_strong`.
    centres: those of the grid's rows and columns, in pixels of what the network sees, which has
    `size`. reach: the largest distance from a centre that is coloured. bar: what the values are.
    marked: a value that is marked on the colour bar.
    """

    def paint(ax: Axes, style: Style) -> ScalarMappable:
        from matplotlib.colors import ListedColormap

        show(ax, dimmed(frame, pale), frame.everything, frame)
        colours = heat_colours(style.cmap, style.alpha, even=True)
        if low_is_strong:
            table = colours(np.linspace(0, 1, 256))
            # A map that the style names keeps its order: its own low colour is the low value.
            turned = slice(3 if style.cmap else 0, 4)
            table[:, turned] = table[::-1, turned]
            colours = ListedColormap(table)
        spread = _spread(values, centres, reach, size)
        return show(
            ax, spread, frame.seen, frame, cmap=colours, vmin=limits[0], vmax=limits[1],
            interpolation="nearest",
        )  # fmt: skip

    return Panel(tuple(captions), frame.aspect, paint, name, bar, marked=marked)


def _spread(
    values: Values, centres: Sequence[Sequence[float] | Values], reach: float, size: Sequence[int]
) -> npt.NDArray[np.float32]:
    """Return for each pixel the value of the nearest centre, NaN where none is within reach."""
    nearest, far = [], []
    for length, along in zip(size, centres, strict=False):
        distance = np.abs(np.arange(length)[:, None] + 0.5 - np.asarray(along, np.float64))
        nearest.append(distance.argmin(axis=1))
        far.append(distance.min(axis=1) > reach)
    spread = np.asarray(values, np.float32)[np.ix_(*nearest)]
    spread[far[0]] = np.nan
    spread[:, far[1]] = np.nan
    return spread
