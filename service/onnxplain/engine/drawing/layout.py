"""Where everything on a page lies, in inches from its top left corner."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from onnxplain.engine.drawing.lettering import MOST, Lettering
from onnxplain.engine.drawing.page import Page, Panel
from onnxplain.engine.drawing.style import Style
from onnxplain.graphops.errors import OptionError

__all__ = [
    "CAPTION",
    "SMALL",
    "TITLE",
    "Layout",
    "PlacedPanel",
    "Rectangle",
    "Text",
    "laid_out",
    "require_pixels",
]

TITLE, CAPTION, SMALL = 11.0, 8.5, 7.0  # sizes of text in points
MARGIN, GAP, ROW_GAP = 0.14, 0.1, 0.12
PANELS_WIDTH, LEAST_PANEL = 12.0, 0.9  # all panels of a row together, and one of them, if it can be
LEAST_WIDTH = 3.4  # of a page whose width is not given: text needs some
TALLEST = 1.6  # a panel's height over its width, at most
AREA = 4000.0  # square inches of a page at most; many panels are smaller
BAR, BAR_ROOM, BAR_LENGTH = 0.06, 0.24, 1.6
LIMITS = 1.5  # the room for the limits of a shared colour bar
BARS = 16  # panels with a colour bar of their own, at most
CHART_LEFT, CHART_BELOW = 0.46, 0.36  # the room for ticks and labels
NOTES, FOOTNOTES = 8, 40  # lines of their kind at most; the others are counted
PIXELS = 2**28  # of a figure at most
LINE = 1.3  # the distance of lines over the size of their text

Rectangle = tuple[float, float, float, float]  # left, top, width, height


@dataclass(frozen=True)
class Text:
    """A line of text: where its left end is, and its baseline."""

    left: float
    baseline: float
    text: str
    size: float
    muted: bool = False


@dataclass(frozen=True)
class PlacedPanel:
    """A panel, where its axes are, and its own colour bar's, if it has one."""

    panel: Panel
    axes: Rectangle
    bar: Rectangle | None = None


@dataclass
class Layout:
    """A page's size and what lies on it. shared: colour bars by what they show."""

    width: float
    height: float = 0.0
    panels: list[PlacedPanel] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    shared: dict[str, Rectangle] = field(default_factory=dict)


def laid_out(page: Page, style: Style, letters: Lettering) -> Layout:
    """Lay a page out. Raises OptionError where the style gives it too many pixels or no room."""
    columns = max(len(row) for row in page.rows)
    cell = _cell_width(page, style, columns)
    grid = columns * cell + (columns - 1) * GAP
    width = style.width or max(grid + 2 * MARGIN, LEAST_WIDTH)
    layout = _Page(Layout(width), letters, cell, style.notes)
    if style.title and page.title:
        layout.title(page.title)
    own = sum(bool(panel.bar) for panel in page.panels) <= BARS
    for row in page.rows:
        layout.row(row, own)
    layout.below(page, shared=not own)
    result = layout.layout
    require_pixels(result.width, result.height, style.dpi)
    return result


def require_pixels(width: float, height: float, dpi: int) -> None:
    """Raise OptionError for a figure of too many pixels. width, height: inches."""
    pixels = width * dpi * height * dpi
    if pixels > PIXELS or max(width, height) * dpi >= 2**16:
        raise OptionError(
            f"the figure has {width:.3g} x {height:.3g} inches, which at {dpi} dpi are "
            f"{pixels / 1e6:,.0f} million pixels: give a smaller dpi or width, or draw fewer panels"
        )


def _cell_width(page: Page, style: Style, columns: int) -> float:
    """Return the width of a panel. Raises OptionError where the given width has no room."""
    if style.width is not None:
        cell = (style.width - 2 * MARGIN - (columns - 1) * GAP) / columns
        if cell < 0.2:
            raise OptionError(
                f"{columns} panels of a row have no room in {style.width:g} inches: give a larger "
                "width, or fewer columns"
            )
        return cell
    natural = max(panel.width for panel in page.panels)
    cell = min(natural, max(PANELS_WIDTH / columns, LEAST_PANEL))
    shape = min(max(panel.aspect for panel in page.panels), TALLEST) + 0.4
    return min(cell, math.sqrt(AREA / (len(page.rows) * columns * shape)))


_NONE: tuple[list[str], float] = ([], CAPTION)  # the lines of no caption


class _Page:
    """A layout that grows from the top."""

    def __init__(self, layout: Layout, letters: Lettering, cell: float, notes: bool) -> None:
        self.layout, self._letters, self._cell, self._notes = layout, letters, cell, notes
        self._room = layout.width - 2 * MARGIN
        self._cut: dict[str, int] = {}  # texts in full by their number below the figure
        layout.height = MARGIN

    def title(self, title: str) -> None:
        lines = self._letters.wrapped(title, TITLE, self._room)
        whole = len(title) <= MOST and not any("…" in line for line in lines)
        if len(lines) > 2 or not whole:
            last = " ".join(lines[1:]) if len(lines) > 1 else lines[0]
            lines = [*lines[:-1][:1], self._shortened(last, title, TITLE, self._room)]
        for line in lines:
            self._line(line, TITLE)
        self.layout.height += 0.08

    def row(self, row: Sequence[Panel | None], own: bool) -> None:
        layout, panels = self.layout, [panel for panel in row if panel is not None]
        top = layout.height
        captions = [
            self._caption(panel.captions, self._caption_room(row, column)) if panel else _NONE
            for column, panel in enumerate(row)
        ]
        if any(panel.captions for panel in panels):
            top += max(len(lines) for lines, _ in captions) * CAPTION * LINE / 72 + 0.02
        end = top
        for column, panel in enumerate(row):
            if panel is None:
                continue
            left = MARGIN + column * (self._cell + GAP)
            lines, size = captions[column]
            for above, line in enumerate(reversed(lines)):
                self._text(left, top - 0.055 - above * size * LINE / 72, line, size)
            end = max(end, self._panel(panel, left, top, own))
        layout.height = end + ROW_GAP

    def _panel(self, panel: Panel, left: float, top: float, own: bool) -> float:
        """Place a panel and what belongs below it; return where that ends."""
        before, after = (CHART_LEFT, CHART_BELOW) if panel.chart else (0.0, 0.0)
        width = self._cell - before
        height = width * min(panel.aspect, TALLEST)
        if panel.aspect > TALLEST:
            width = height / panel.aspect
        end, bar = top + height + after, None
        if panel.note:
            note = self._fitting([panel.note], self._cell, SMALL)
            end += SMALL * LINE / 72
            self._text(left, end - 0.03, note, SMALL, muted=True)
        if panel.bar and own:
            bar = (left + before, end + 0.05, width, BAR)
            end += BAR_ROOM
        self.layout.panels.append(PlacedPanel(panel, (left + before, top, width, height), bar))
        return end

    def below(self, page: Page, shared: bool) -> None:
        """Add the lines below the panels: shared colour bars, legend, full captions, notes."""
        layout = self.layout
        for text in dict.fromkeys(panel.bar for panel in page.panels if panel.bar):
            self._meaning(text, shared)
        for line in page.legend if self._notes else ():
            self._paragraph(line, muted=True)
        cut = [f"[{number}] {text}" for text, number in self._cut.items()]
        if len(cut) > FOOTNOTES:
            cut = [*cut[: FOOTNOTES - 1], f"and {len(cut) - FOOTNOTES + 1} more captions"]
        for text in cut:
            self._paragraph(text, muted=True)
        notes = [f"Note: {note.partition(': ')[0]}" for note in page.notes if self._notes]
        if len(notes) > NOTES:
            notes = [*notes[: NOTES - 1], f"Note: and {len(notes) - NOTES + 1} more"]
        for note in notes:
            self._paragraph(note)
        layout.height += MARGIN - 0.06

    def _meaning(self, text: str, shared: bool) -> None:
        """Add what a colour bar shows, and the bar itself if it is shared."""
        if not shared:
            if self._notes:
                self._paragraph(text, muted=True)
            return
        layout, left = self.layout, MARGIN
        if not self._notes:
            pass  # the bar alone
        elif self._letters.fits(text, SMALL, self._room - BAR_LENGTH - LIMITS - GAP):
            self._text(MARGIN, layout.height + 0.1, text, SMALL, muted=True)
            left += self._letters.width(text, SMALL) + GAP
        else:
            self._paragraph(text, muted=True)
        length = min(BAR_LENGTH, max(self._room - LIMITS, self._room / 3))
        layout.shared[text] = (left, layout.height + 0.04, length, BAR)
        layout.height += BAR_ROOM + 0.04

    def _paragraph(self, text: str, muted: bool = False) -> None:
        for line in self._letters.wrapped(text, SMALL, self._room):
            self._line(line, SMALL, muted)

    def _line(self, text: str, size: float, muted: bool = False) -> None:
        self.layout.height += size * LINE / 72
        self._text(MARGIN, self.layout.height - 0.25 * size / 72, text, size, muted)

    def _text(
        self, left: float, baseline: float, text: str, size: float, muted: bool = False
    ) -> None:
        self.layout.texts.append(Text(left, baseline, text, size, muted))

    def _caption_room(self, row: Sequence[Panel | None], column: int) -> float:
        """Return the width for a caption: its panel's, and those of the next without captions."""
        cells = 1
        for panel in row[column + 1 :]:
            if panel is not None and panel.captions:
                break
            cells += 1
        return cells * self._cell + (cells - 1) * GAP

    def _caption(self, texts: Sequence[str], room: float) -> tuple[list[str], float]:
        """Return the lines of the first caption that fits one, and the size of their letters.

        Where none does, the last one takes two lines, in smaller letters if need be.
        """
        if not texts:
            return _NONE
        if not any(self._letters.fits(text, CAPTION, room) for text in texts):
            for size in (CAPTION, SMALL):
                lines = self._letters.wrapped(texts[-1], size, room)
                if len(lines) <= 2 and not any("…" in line for line in lines):
                    return lines, size
        return [self._fitting(texts, room, CAPTION)], CAPTION

    def _fitting(self, texts: Sequence[str], room: float, size: float) -> str:
        for text in texts:
            if self._letters.fits(text, size, room):
                return self._letters.written(text)
        return self._shortened(texts[-1], texts[0], size, room)

    def _shortened(self, text: str, full: str, size: float, room: float) -> str:
        """Return a text that is cut to fit, with the number of the full one below."""
        if not self._notes:
            return self._letters.cut(text, size, room)
        number = self._cut.setdefault(full, len(self._cut) + 1)
        return self._letters.cut(f"{text} " + " " * 200, size, room, f" [{number}]")
