"""A panel in axes of a figure of the user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from onnxplain.engine.drawing.page import Panel
    from onnxplain.engine.drawing.style import Style

__all__ = ["plotted"]


def plotted(panel: Panel, ax: Axes | None, style: Style) -> Axes:
    """Draw a panel into axes, pyplot's current ones for None, under its caption.

    Raises TypeError where `ax` is something else, such as the array that `subplots` returns.
    """
    from matplotlib.axes import Axes

    if ax is None:
        from matplotlib import pyplot

        ax = pyplot.gca()
    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be one Axes of matplotlib, or None, not {type(ax).__name__}")
    panel.paint(ax, style)
    if style.title and panel.captions:
        from onnxplain.engine.drawing.lettering import Lettering

        letters = Lettering(panel.captions[0])
        ax.set_title(letters.written(panel.captions[0]), parse_math=False)
        ax.title.set_fontfamily(letters.family)
    return ax
