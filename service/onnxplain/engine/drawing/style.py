"""How a figure looks: the choices that every figure, plot and file takes, each declared once.

Only the standard library is imported, and matplotlib's colour maps where one is named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypedDict, cast, get_args

from onnxplain.graphops.errors import OptionError, nearest

__all__ = ["Style", "StyleOptions", "style_of"]

At = Literal["photograph", "network"]
SHOWN = ("input", "map", "overlay")


class StyleOptions(TypedDict, total=False):
    """The fields of Style as keywords, for type checkers."""

    dpi: int
    width: float | None
    cmap: str | None
    alpha: float
    columns: int | None
    title: bool
    notes: bool
    show: str
    at: At


def _flag(default: Any, parse: type, metavar: str, help: str) -> Any:
    """Declare a field, and its flag on the command line."""
    return field(default=default, metadata={"parse": parse, "metavar": metavar, "help": help})


@dataclass(frozen=True, kw_only=True)
class Style:
    """How a figure looks.

    dpi: pixels per inch of PNG and JPEG files, and of the pictures within PDF and SVG files, which
        have 300 unless given.
    width: that of the figure in inches; None: as wide as the panels need.
    cmap: a colour map of matplotlib for maps and heat; None: red and blue for signed maps, yellow
        to dark red for heat. Projections keep their own colours.
    alpha: the opacity of the strongest heat over a picture; weaker heat is more transparent.
    columns: the panels of a row; None: by their number.
    title: whether there is a title; without one the captions say what is explained.
    notes: whether the legend and the notes stand below the figure.
    show: which panels of an explanation, or of several side by side, are drawn, of "input", "map"
        and "overlay", separated by commas. Other views draw all of theirs.
    at: "photograph": maps lie over the photograph as its file shows it; "network": over the
        picture as the network sees it.

    Raises:
        OptionError: a value is wrong.
    """

    dpi: int = _flag(150, int, "N", "pixels per inch, also of pictures within PDF and SVG (300)")
    width: float | None = _flag(None, float, "INCHES", "width of the figure")
    cmap: str | None = _flag(
        None,
        str,
        "NAME",
        "colour map of matplotlib for maps and heat, such as seismic; projections keep theirs",
    )
    alpha: float = _flag(0.85, float, "A", "opacity of the strongest heat over a picture, 0 to 1")
    columns: int | None = _flag(None, int, "N", "panels of a row")
    title: bool = _flag(True, bool, "", "leave the title out")
    notes: bool = _flag(True, bool, "", "leave out the legend and the notes below the figure")
    show: str = _flag(
        ",".join(SHOWN),
        str,
        "PANELS",
        "which panels to draw, separated by commas; no effect but in explain and side by side",
    )
    at: At = _flag(
        "photograph",
        str,
        "|".join(get_args(At)),
        "draw maps over the photograph as its file shows it, or over what the network sees",
    )

    def __post_init__(self) -> None:
        """Check the fields. Raises OptionError."""
        if type(self.dpi) is not int or not 20 <= self.dpi <= 2400:
            raise OptionError(f"dpi is {self.dpi!r}: give a whole number from 20 to 2400")
        if self.width is not None and not (_is_number(self.width) and 1 <= self.width <= 200):
            raise OptionError(f"width is {self.width!r}: give inches from 1 to 200")
        if not (_is_number(self.alpha) and 0 <= self.alpha <= 1):
            raise OptionError(f"alpha is {self.alpha!r}: give an opacity from 0 to 1")
        if self.columns is not None and (type(self.columns) is not int or self.columns < 1):
            raise OptionError(f"columns is {self.columns!r}: give a whole number from 1 on")
        _require_panels(self.show)
        if self.at not in get_args(At):
            raise OptionError(f"at is {self.at!r}: choose one of {', '.join(get_args(At))}")
        if self.cmap is not None:
            _require_colour_map(self.cmap)

    @property
    def shown(self) -> frozenset[str]:
        """The kinds of panels that `show` names."""
        return frozenset(_names(self.show))


def style_of(options: Mapping[str, Any]) -> Style:
    """Return the style of keywords. Raises OptionError for one that is none."""
    known = [one.name for one in fields(Style)]
    for name in options:
        if name not in known:
            raise OptionError(f"no option '{name}' of figures ({nearest(name, known, len(known))})")
    return Style(**cast(StyleOptions, options))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and type(value) is not bool and math.isfinite(value)


def _names(show: str) -> list[str]:
    return [name.strip() for name in show.split(",")]


def _require_panels(show: object) -> None:
    wrong = [name for name in _names(show) if name not in SHOWN] if type(show) is str else [show]
    if wrong:
        raise OptionError(
            f"show names {wrong[0]!r}: give one or several of {', '.join(SHOWN)}, separated by "
            "commas"
        )


def _require_colour_map(name: object) -> None:
    from matplotlib import colormaps

    if not isinstance(name, str) or name not in colormaps:
        raise OptionError(f"no colour map '{name}' ({nearest(str(name), sorted(colormaps))})")
