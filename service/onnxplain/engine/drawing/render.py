"""A page as a figure of matplotlib.

The figure belongs to no window and to no pyplot, so that threads may draw at the same time.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from onnxplain.engine.drawing.bars import draw_bar, draw_shared_bar
from onnxplain.engine.drawing.layout import (
    MARGIN,
    SMALL,
    Layout,
    Rectangle,
    laid_out,
    require_pixels,
)
from onnxplain.engine.drawing.lettering import Lettering
from onnxplain.engine.drawing.page import Page, Panel
from onnxplain.engine.drawing.style import Style

if TYPE_CHECKING:
    from matplotlib.cm import ScalarMappable

__all__ = ["drawn_page", "drawn_panel"]

INK, MUTED = "#191919", "#5a5a5a"


def drawn_page(page: Page, style: Style) -> Figure:
    """Draw a page. Raises OptionError where the style gives it too many pixels or no room."""
    letters = Lettering(_all_text(page))
    layout = laid_out(page, style, letters)
    figure = _figure(layout.width, layout.height, style)
    coloured: dict[str, list[ScalarMappable]] = {}
    for placed in layout.panels:
        painted = placed.panel.paint(_axes(figure, placed.axes, letters), style)
        if painted is None or not placed.panel.bar:
            continue
        if placed.bar is not None:
            bar = _axes(figure, placed.bar, letters)
            draw_bar(bar, painted, letters, SMALL, placed.panel.marked)
        else:
            coloured.setdefault(placed.panel.bar, []).append(painted)
    for name, mappables in coloured.items():
        left, top, width, height = layout.shared[name]
        spans = draw_shared_bar(
            _axes(figure, (left, top, width, height), letters), mappables, letters, SMALL
        )
        beside = left + width + 0.08
        spans = letters.cut(spans, SMALL, layout.width - MARGIN - beside)
        _write(figure, layout, beside, top + height, spans, letters, MUTED, SMALL)
    for text in layout.texts:
        colour = MUTED if text.muted else INK
        _write(figure, layout, text.left, text.baseline, text.text, letters, colour, text.size)
    return figure


def drawn_panel(panel: Panel, style: Style) -> Figure:
    """Draw a panel alone, a picture to the figure's edges. Raises OptionError."""
    width = style.width or panel.width
    letters = Lettering("")
    if panel.chart:
        alone = replace(panel, captions=(), note="", bar="")
        return drawn_page(Page("", [[alone]]), style)
    require_pixels(width, width * panel.aspect, style.dpi)
    figure = _figure(width, width * panel.aspect, style)
    panel.paint(_axes(figure, (0.0, 0.0, width, width * panel.aspect), letters), style)
    return figure


def _figure(width: float, height: float, style: Style) -> Figure:
    figure = Figure(figsize=(width, height), dpi=style.dpi, facecolor="white", edgecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _axes(figure: Figure, where: Rectangle, letters: Lettering) -> Axes:
    """Add axes at a place in inches from the top left; their ticks are in the figure's letters."""
    left, top, width, height = where
    total_width, total_height = figure.get_size_inches()
    place = (
        left / total_width,
        1 - (top + height) / total_height,
        width / total_width,
        height / total_height,
    )
    ax: Axes = figure.add_axes(place)
    ax.set_facecolor("white")
    for spine in ax.spines.values():
        spine.set(linewidth=0.5, color=MUTED)
    ax.tick_params(
        labelsize=SMALL, labelfontfamily=letters.family, color=MUTED, labelcolor=MUTED, width=0.5,
        length=2.5, pad=2,
    )  # fmt: skip
    return ax


def _write(
    figure: Figure,
    layout: Layout,
    left: float,
    baseline: float,
    text: str,
    letters: Lettering,
    colour: str,
    size: float,
) -> None:
    if text:
        figure.text(
            left / layout.width, 1 - baseline / layout.height, text, va="baseline", ha="left",
            color=colour, fontproperties=letters.font(size), parse_math=False, usetex=False,
        )  # fmt: skip


def _all_text(page: Page) -> str:
    captions = (text for panel in page.panels for text in (*panel.captions, panel.note))
    return "\n".join(
        text[:2000] for text in itertools.chain([page.title], captions, page.legend, page.notes)
    )
