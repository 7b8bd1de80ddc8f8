"""The layout of pictures on a labelled page: rows of panels, each a caption over pictures."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

__all__ = ["Font", "Note", "Panel", "clipped", "even_columns", "figure", "remarked"]

MARGIN, GAP, PANEL_GAP, ROW_GAP, NOTE_GAP = 20, 4, 16, 16, 8
TITLE_SIZE, CAPTION_SIZE, NOTE_SIZE = 18, 14, 12
INK, MUTED = (25, 25, 25), (105, 105, 105)
BAR_HEIGHT = 10
WIDEST = 1600  # the most pixels of a title or a note
REMARK_WIDTH, REMARKS = 440, 8  # the least pixels of a remark's line, and the most remarks

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Panel:
    """Pictures side by side under one caption.

    captions: from the longest to the shortest; the first that fits is written.
    """

    captions: tuple[str, ...]
    pictures: tuple[Image.Image, ...]

    @property
    def width(self) -> int:
        """The width in pixels of the pictures and the gaps between them."""
        return sum(p.width for p in self.pictures) + GAP * (len(self.pictures) - 1)

    @property
    def height(self) -> int:
        """The height in pixels of the tallest picture."""
        return max(p.height for p in self.pictures)


@dataclass(frozen=True)
class Note:
    """A line under the panels: a text, and optionally a colour bar with a word at each end.

    bar: the bar's colours, uint8 [width, 3]. ends: the words.
    """

    text: str
    bar: npt.NDArray[np.uint8] | None = None
    ends: tuple[str, str] = ("", "")


def figure(
    rows: Sequence[Sequence[Panel | None]],
    title: str,
    notes: Sequence[Note],
    remarks: Sequence[str] = (),
) -> Image.Image:
    """Draw rows of panels between a title and notes; None leaves a cell empty.

    remarks: the notes of a result, see `remarked`.
    """
    widths = _column_widths(rows)
    title_font, caption_font, note_font = map(_font, (TITLE_SIZE, CAPTION_SIZE, NOTE_SIZE))
    caption_height = _line_height(caption_font) + 3
    heights = [max(p.height for p in row if p) + caption_height + ROW_GAP for row in rows]
    title_height = _line_height(title_font) + ROW_GAP
    lines = [_drawn_note(note, note_font) for note in notes]
    panels = sum(widths) + PANEL_GAP * (len(widths) - 1)
    title = clipped(title, title_font, WIDEST)
    inner = max(panels, _width(title, title_font), *(line.width for line in lines))
    height = title_height + sum(heights) + sum(line.height for line in lines)
    page = Image.new("RGB", (inner + 2 * MARGIN, height + 2 * MARGIN), "white")
    ink = ImageDraw.Draw(page)

    ink.text((MARGIN, MARGIN), title, INK, title_font)
    top = MARGIN + title_height
    for row, row_height in zip(rows, heights, strict=True):
        left = MARGIN
        for panel, width in zip(row, widths, strict=False):
            if panel is not None:
                text = _fitting(panel.captions, caption_font, width)
                ink.text((left, top), text, INK, caption_font)
                _paste(page, panel, left, top + caption_height)
            left += width + PANEL_GAP
        top += row_height
    for line in lines:
        page.paste(line, (MARGIN, top))
        top += line.height
    return remarked(page, remarks)


def remarked(page: Image.Image, remarks: Sequence[str]) -> Image.Image:
    """Write the notes of a result below a drawing, of each the part before its advice.

    They are wrapped to the page's width; of many, the first are written and the others counted.
    """
    texts = [f"Note: {remark.partition(': ')[0]}" for remark in remarks]
    if len(texts) > REMARKS:
        texts = [*texts[: REMARKS - 1], f"Note: and {len(texts) - REMARKS + 1} more"]
    font, inner = _font(NOTE_SIZE), max(page.width - 2 * MARGIN, REMARK_WIDTH)
    lines = [line for text in texts for line in _wrapped(text, font, inner)]
    if not lines:
        return page
    widest = max(_width(line, font) for line in lines)
    line_height, end = _line_height(font) + 3, page.height - MARGIN
    width = max(page.width, widest + 2 * MARGIN)
    longer = Image.new("RGB", (width, page.height + len(lines) * line_height), "white")
    longer.paste(page, (0, 0))
    for number, line in enumerate(lines):
        ImageDraw.Draw(longer).text((MARGIN, end + number * line_height), line, INK, font)
    return longer


def even_columns(count: int, most: int) -> int:
    """Return the number of columns, up to `most`, that fills the rows most evenly."""
    return math.ceil(count / math.ceil(count / most))


def _column_widths(rows: Sequence[Sequence[Panel | None]]) -> list[int]:
    widths = [0] * max(len(row) for row in rows)
    for row in rows:
        for column, panel in enumerate(row):
            if panel is not None:
                widths[column] = max(widths[column], panel.width)
    return widths


def _paste(page: Image.Image, panel: Panel, left: int, top: int) -> None:
    for picture in panel.pictures:
        page.paste(picture, (left, top))
        left += picture.width + GAP


def _wrapped(text: str, font: Font, width: int) -> list[str]:
    """Return the text in lines of at most `width` pixels, a longer word cut."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if clipped(longer, font, width) == longer:
            lines[-1] = longer
        else:
            lines.append(clipped(word, font, width))
    return [line for line in lines if line]


def _drawn_note(note: Note, font: Font) -> Image.Image:
    text = clipped(note.text, font, WIDEST)
    parts: list[str | Image.Image] = [text]
    height = _line_height(font) + 3
    if note.bar is not None:
        bar = Image.fromarray(np.tile(note.bar, (BAR_HEIGHT, 1, 1)))
        parts = [text, note.ends[0], bar, note.ends[1]]
    widths = [p.width if isinstance(p, Image.Image) else _width(p, font) for p in parts]
    line = Image.new("RGB", (sum(widths) + NOTE_GAP * (len(parts) - 1), height), "white")
    left = 0
    for part, width in zip(parts, widths, strict=True):
        if isinstance(part, Image.Image):
            line.paste(part, (left, (height - BAR_HEIGHT) // 2))
        else:
            ImageDraw.Draw(line).text((left, 0), part, MUTED, font)
        left += width + NOTE_GAP
    return line


def _fitting(captions: Sequence[str], font: Font, width: int) -> str:
    for caption in captions:
        if clipped(caption, font, width) == caption:
            return caption
    return clipped(captions[-1], font, width)


def clipped(text: str, font: Font, width: int) -> str:
    """Return the text on one line, cut with an ellipsis where it is wider than `width` pixels."""
    line = " ".join(text[: width + 1].split())  # no character is narrower than a pixel
    if len(text) <= width and _width(line, font) <= width:
        return line
    fitting = bisect_right(range(len(line) + 1), width, key=lambda n: _width(line[:n] + "…", font))
    return line[: max(0, fitting - 1)].rstrip() + "…"


def _font(size: int) -> Font:
    return ImageFont.load_default(size)


def _width(text: str, font: Font) -> int:
    return round(font.getlength(text))


def _line_height(font: Font) -> int:
    left, top, right, bottom = font.getbbox("Åg|")
    return round(bottom)
