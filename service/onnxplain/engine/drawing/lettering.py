"""Text on a figure: its fonts, its width, and how it is wrapped and cut."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from typing import Any

from matplotlib import font_manager
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties

__all__ = ["MOST", "Lettering", "plain_text"]

RULER_DPI = 288  # of the measured text: fine enough that hinting hardly changes widths
SLACK = 1.02  # for what hinting still changes
MOST = 2000  # characters of a text that are looked at
LAST_RESORT = "Last Resort"  # a font of boxes that name the script of a character
UNKNOWN = "\ufffd"  # drawn for characters that no font has


class Lettering:
    """The fonts of one figure; measures, wraps and cuts its texts. Widths are inches."""

    def __init__(self, text: str) -> None:
        """Choose the fonts: matplotlib's, and another for characters of `text` that it lacks."""
        default = FontProperties()
        present = _characters(font_manager.findfont(default))
        missing = frozenset(c for c in plain_text(text) if ord(c) not in present)
        fallback = _font_with(missing) if missing else None
        self.family = [*default.get_family(), *([fallback[0]] if fallback else [])]
        self._lacking = missing - (fallback[1] if fallback else frozenset())
        self._ruler: Any = RendererAgg(8, 8, RULER_DPI)  # type: ignore[no-untyped-call]

    def font(self, size: float) -> FontProperties:
        """Return the font of a size in points."""
        return FontProperties(family=self.family, size=size)

    def written(self, text: str) -> str:
        """Return the text as it is drawn: one line of characters that the fonts have."""
        line = plain_text(text)
        if not self._lacking:
            return line
        return "".join(UNKNOWN if c in self._lacking else c for c in line)

    def width(self, text: str, size: float) -> float:
        """Return the width of a text."""
        measured = self._ruler.get_text_width_height_descent(
            self.written(text), self.font(size), ismath=False
        )
        return float(measured[0]) / RULER_DPI * SLACK

    def fits(self, text: str, size: float, room: float) -> bool:
        """Tell whether a text is at most as wide as the room."""
        return len(text) <= MOST and self.width(text, size) <= room

    def cut(self, text: str, size: float, room: float, end: str = "") -> str:
        """Return the text, cut with an ellipsis and `end` where it is wider than the room."""
        if self.fits(text, size, room):
            return self.written(text)
        line, tail = self.written(text[:MOST]), f"…{end}"
        fitting = bisect_right(
            range(len(line) + 1), room, key=lambda n: self.width(line[:n] + tail, size)
        )
        return line[: max(0, fitting - 1)].rstrip() + tail

    def wrapped(self, text: str, size: float, room: float) -> list[str]:
        """Return the text in lines that fit the room; a longer word is cut."""
        lines = [""]
        bounded = text if len(text) <= MOST else f"{text[:MOST]}…"
        words = self.written(bounded).split()
        if self.fits(whole := " ".join(words), size, room):  # most do, and measuring is slow
            return [whole] if whole else []
        for word in words:
            longer = f"{lines[-1]} {word}".strip()
            if self.fits(longer, size, room):
                lines[-1] = longer
            else:
                lines.append(self.cut(word, size, room))
        return [line for line in lines if line]


def plain_text(text: str) -> str:
    """Return a text on one line, without control characters."""
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else UNKNOWN for c in line)


@lru_cache(maxsize=64)
def _characters(path: str) -> frozenset[int]:
    return frozenset(font_manager.get_font(path).get_charmap())


@lru_cache(maxsize=64)
def _font_with(characters: frozenset[str]) -> tuple[str, frozenset[str]] | None:
    """Return the installed font that has most of the characters, and which; None for none."""
    best: tuple[str, frozenset[str]] | None = None
    entries = sorted(font_manager.fontManager.ttflist, key=lambda e: (e.name, e.fname))
    plain = [e for e in entries if e.style == "normal" and e.weight in (400, "normal", "regular")]
    for entry in plain:
        if entry.name.startswith(LAST_RESORT):
            continue
        try:
            known = _characters(entry.fname)
        except (OSError, RuntimeError):  # a font file that cannot be read
            continue
        found = frozenset(c for c in characters if ord(c) in known)
        if len(found) > len(best[1] if best else ()):
            best = entry.name, found
    return best
