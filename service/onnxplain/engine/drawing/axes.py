"""A panel in axes of a figure of the user's own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from onnxplain.engine.drawing.page import Panel
    from onnxplain.engine.drawing.style import Style

__all__ = ["plotted"]

LEAST_DPI = 300  # of the pictures: the figure may be saved at more than its own


def plotted(panel: Panel, ax: Axes | None, style: Style) -> Axes:
    """Draw a panel into axes, pyplot's current ones for None, under its caption.

    The longest caption that is no wider than the axes is written; where none is, the last is cut.

    Raises TypeError where `ax` is something else, such as the array that `subplots` returns.
    """
    from matplotlib.axes import Axes

    if ax is None:
        from matplotlib import pyplot

        ax = pyplot.gca()
    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be one Axes of matplotlib, or None, not {type(ax).__name__}")
    with _fine(ax):
        panel.paint(ax, style)
    if style.title and panel.captions:
        from onnxplain.engine.drawing.lettering import Lettering

        letters = Lettering(panel.captions[0])
        size = float(ax.title.get_fontsize())
        figure: Any = ax.figure
        room = ax.get_window_extent().width / figure.dpi
        fitting = (text for text in panel.captions if letters.fits(text, size, room))
        text = next(fitting, panel.captions[-1])
        ax.set_title(letters.cut(text, size, room), parse_math=False)
        ax.title.set_fontfamily(letters.family)
    return ax


@contextlib.contextmanager
def _fine(ax: Axes) -> Iterator[None]:
    """Give a figure a high resolution for a while, without its window, as matplotlib's savefig."""
    figure: Any = ax.figure
    figure = figure.figure  # of a subfigure, the whole
    manager, dpi = figure.canvas.manager, figure.dpi
    figure.canvas.manager = None
    figure.dpi = max(dpi, LEAST_DPI)
    try:
        yield
    finally:
        figure.dpi = dpi
        figure.canvas.manager = manager
