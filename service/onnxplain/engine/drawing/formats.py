"""Figures as the bytes of PNG, JPEG, PDF and SVG files, the same each time."""

from __future__ import annotations

import contextlib
import io
import os
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from onnxplain.engine.drawing.style import StyleOptions
from onnxplain.graphops.errors import OptionError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image

__all__ = ["SUFFIXES", "encoded", "encoded_pages", "format_of", "style_for"]

SUFFIXES = {".png": "png", ".pdf": "pdf", ".svg": "svg", ".jpg": "jpg", ".jpeg": "jpg"}
# Of the raster formats, the arguments of Pillow; of the others, the metadata: without the date, the
# same figure has the same bytes.
RASTER: dict[str, dict[str, Any]] = {
    "png": {"format": "PNG", "compress_level": 4},  # as small as by 6, in two thirds of the time
    "jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},  # text keeps its colours
}
METADATA: dict[str, dict[str, Any]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
# Text stays text, which can be searched and edited; names within a file do not change.
SETTINGS: dict[str, Any] = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "onnxplain"}
VECTOR_DPI = 300  # of pictures within PDF and SVG files, unless the style says otherwise
_settings = threading.Lock()


def format_of(path: str | os.PathLike[str]) -> str:
    """Return the format of a file by its suffix. Raises OptionError for another suffix."""
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    if suffix not in SUFFIXES:
        raise OptionError(
            f"'{os.fspath(path)}' does not end in {', '.join(list(SUFFIXES)[:3])} or .jpg: name a "
            "file that does"
        )
    return SUFFIXES[suffix]


def style_for(form: str, style: StyleOptions) -> StyleOptions:
    """Return the style of a file of a format in SUFFIXES: finer pictures in PDF and SVG."""
    return style if form in RASTER else {"dpi": VECTOR_DPI, **style}


def encoded(figure: Figure, form: str) -> bytes:
    """Return a figure as the bytes of a file of a format in SUFFIXES."""
    file = io.BytesIO()
    if form in RASTER:
        _raster(figure).save(file, dpi=(figure.dpi, figure.dpi), **RASTER[form])
    else:
        with _text_as_text():
            figure.savefig(file, format=form, dpi=figure.dpi, metadata=METADATA[form])
    return file.getvalue()


def encoded_pages(figures: Sequence[Figure]) -> bytes:
    """Return figures as the pages of one PDF file."""
    from matplotlib.backends.backend_pdf import PdfPages

    file = io.BytesIO()
    with _text_as_text(), PdfPages(file, metadata=METADATA["pdf"]) as pages:
        for figure in figures:
            pages.savefig(figure, dpi=figure.dpi)
    return file.getvalue()


def _raster(figure: Figure) -> Image.Image:
    """Return what the figure's canvas shows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas: Any = figure.canvas
    if not isinstance(canvas, FigureCanvasAgg):
        canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba()).convert("RGB")


@contextlib.contextmanager
def _text_as_text() -> Iterator[None]:
    """Set matplotlib's settings of files, for one thread at a time: they belong to the process."""
    import matplotlib

    settings: dict[str, Any] = matplotlib.rcParams  # type: ignore[assignment]
    with _settings:
        before = {name: settings[name] for name in SETTINGS}
        settings.update(SETTINGS)
        try:
            yield
        finally:
            settings.update(before)
