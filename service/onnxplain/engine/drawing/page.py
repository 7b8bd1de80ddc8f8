"""What a page shows: panels in rows, between a title and the lines below."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxplain.engine.drawing.style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

__all__ = ["Page", "Paint", "Panel", "arranged", "even_columns"]

CHART = 1.9  # inches of a page for a chart, with its ticks and gaps, at least
FEW, MANY = 3, 4  # the most maps of a row, each with its overlay

Paint = Callable[["Axes", Style], "ScalarMappable | None"]


@dataclass(frozen=True, eq=False)
class Panel:
    """A picture, a map or a chart under a caption.

    captions: from the longest to the shortest; the first that fits is written. Where none does, the
        last takes two lines, or is cut, and the first stands in full below the figure. A panel
        without captions lends its room to the one before.
    aspect: the height of what is painted over its width.
    paint: draws into axes that have these proportions; returns what a colour bar is of, or None.
    name: that of the panel's own file, without a suffix.
    bar: what the colour bar shows, a line below the figure, "" for none. Many panels of one such
        line share a colour bar beside it.
    note: a small line below the panel.
    width: inches, where there is room.
    chart: whether the axes have ticks and labels, which need room.
    marked: a value that is marked on the panel's own colour bar.
    """

    captions: tuple[str, ...]
    aspect: float
    paint: Paint
    name: str = ""
    bar: str = ""
    note: str = ""
    width: float = 2.4
    chart: bool = False
    marked: float | None = None


@dataclass(frozen=True, eq=False)
class Page:
    """Panels in rows, and the texts around them.

    title: what is drawn. rows: None leaves a place empty. legend: lines on the meaning of what is
    drawn. notes: those of the result, of which a page shows the first, each without its advice.
    """

    title: str
    rows: Sequence[Sequence[Panel | None]]
    legend: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def panels(self) -> list[Panel]:
        """All panels, row by row."""
        return [panel for row in self.rows for panel in row if panel is not None]


def arranged(rows: Sequence[Sequence[Panel | None]], style: Style) -> list[list[Panel | None]]:
    """Return the rows, or the same panels in as many columns as the style says.

    Charts have no more columns than its width has room for, and those below each other stay so.
    """
    columns, widest = style.columns, max(map(len, rows))
    charts = all(panel is not None and panel.chart for row in rows for panel in row)
    if columns is None and style.width is not None and charts:
        columns = min(widest, max(1, int(style.width / CHART)))
    if columns is None or columns == widest:
        return [list(row) for row in rows]
    if charts and columns < widest:
        starts = range(0, widest, columns)
        return [list(row[start : start + columns]) for start in starts for row in rows]
    panels = [panel for row in rows for panel in row]
    return [panels[i : i + columns] for i in range(0, len(panels), columns)]


def even_columns(count: int, each: int = 2) -> int:
    """Return how many maps, of `each` panels, share a row so that the rows are evenly full."""
    most = (FEW if count <= FEW**2 else MANY) * 2 // each
    return math.ceil(count / math.ceil(count / most))
