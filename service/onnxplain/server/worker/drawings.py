"""The drawing that a request asks for, within the service's limits, as messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from onnxplain.engine import View
from onnxplain.engine.drawing import (
    SUFFIXES,
    StyleOptions,
    encoded,
    encoded_pages,
    style_for,
    style_of,
)
from onnxplain.graphops.errors import OptionError, listed
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import tensors

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Drawing", "drawing_of"]

MAX_PIXELS = 64_000_000  # of a page or panel, which takes four bytes for each
FORMATS = tuple(dict.fromkeys(SUFFIXES.values()))


@dataclass(frozen=True)
class Drawing:
    """How a view is drawn.

    form: the format, in FORMATS. style: the keywords of `View.figures`. panels: whether each panel
    is also a file of its own.
    """

    form: str
    style: StyleOptions
    panels: bool

    def parts(self, view: View) -> Iterator[pb.ViewResponse]:
        """Yield the drawing of a view, page by page, and its panels as messages.

        Raises OptionError where one is too large.
        """
        figures = view.figures(**style_for(self.form, self.style))
        pages = iter([list(figures)]) if self.form == "pdf" else ([figure] for figure in figures)
        for piece in _pieces(next(pages), self.form):
            yield pb.ViewResponse(png=piece)
        for number, page in enumerate(pages, 2):
            for piece in _pieces(page, self.form):
                file = pb.NamedFile(name=f"page-{number}.{self.form}", data=piece)
                yield pb.ViewResponse(page=file)
        if self.panels:
            for name, figure in view.panel_figures(**style_for(self.form, self.style)):
                for piece in _pieces([figure], self.form):
                    file = pb.NamedFile(name=f"{name}.{self.form}", data=piece)
                    yield pb.ViewResponse(panel=file)


def drawing_of(request: pb.ViewRequest) -> Drawing:
    """Return how a request wants its view drawn. Raises OptionError for a wrong choice."""
    form = request.drawing.format or "png"
    if form not in FORMATS:
        raise OptionError(f"drawing.format: no format '{form}': choose {listed(FORMATS)}")
    own = ("format", "panels")
    set_fields = {f.name: value for f, value in request.drawing.ListFields() if f.name not in own}
    style = cast(StyleOptions, set_fields)
    style_of(style)  # before the work is done
    return Drawing(form, style, request.drawing.panels)


def _pieces(figures: Sequence[Figure], form: str) -> Iterator[bytes]:
    """Yield a file of figures piece by piece. Raises OptionError for one that is too large."""
    pixels = max(float((one.get_size_inches() * one.dpi).prod()) for one in figures)
    if pixels > MAX_PIXELS:
        raise OptionError(
            f"drawing: {pixels / 1e6:,.0f} million pixels, and the service draws up to "
            f"{MAX_PIXELS / 1e6:,.0f} million: set a smaller dpi or width, or ask for less"
        )
    data = encoded_pages(figures) if form == "pdf" else encoded(figures[0], form)
    for start in range(0, len(data), tensors.MAX_PART_BYTES):
        yield data[start : start + tensors.MAX_PART_BYTES]
