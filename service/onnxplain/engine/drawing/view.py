"""The base class of the engine's results: arrays, and their drawing."""

from __future__ import annotations

import abc
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from onnxplain.engine.drawing.formats import encoded, encoded_pages, format_of
from onnxplain.engine.drawing.page import Page
from onnxplain.engine.drawing.style import Style, StyleOptions, style_of
from onnxplain.engine.result import Result
from onnxplain.graphops.errors import OptionError, OutputError
from onnxplain.graphops.ir import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["View", "name_pictures"]


class View(Result):
    """A result that can be drawn, which a notebook shows.

    notes: sentences about assumptions and oddities.
    """

    @abc.abstractmethod
    def page(self, style: Style) -> Page:
        """Return what is drawn: panels in rows, and the texts around them.

        Args:
            style: how the figure looks.

        Returns:
            The page.

        Raises:
            OptionError: the arrays cannot be drawn.
        """

    def pages(self, style: Style) -> Sequence[Page]:
        """Return all pages; a view of one page has only that of `page`.

        Args:
            style: how the figures look.

        Returns:
            The pages, at least one.

        Raises:
            OptionError: the arrays cannot be drawn.
        """
        return [self.page(style)]

    def figure(self, **style: Unpack[StyleOptions]) -> Figure:
        """Draw a figure of matplotlib, of the first page where there are several.

        Args:
            **style: see `Style`: dpi, width, cmap, alpha, columns, title and at.

        Returns:
            The figure.

        Raises:
            OptionError: an option is wrong, or the arrays cannot be drawn.
        """
        from onnxplain.engine.drawing.render import drawn_page

        how = style_of(style)
        return drawn_page(self.page(how), how)

    def plot(self, ax: Axes | None = None, panel: int = 0, **style: Unpack[StyleOptions]) -> Axes:
        """Draw one panel into axes of a figure of one's own.

        Args:
            ax: the axes; None for pyplot's current ones.
            panel: the index of the panel, row by row.
            **style: see `Style`; without `title` the panel's caption is not written.

        Returns:
            The axes.

        Raises:
            OptionError: an option is wrong, there is no such panel, or it cannot be drawn.
        """
        from onnxplain.engine.drawing.axes import plotted

        how = style_of(style)
        panels = self.page(how).panels
        if not 0 <= panel < len(panels):
            raise OptionError(f"no panel {panel}: there are {len(panels)}, from 0 on")
        return plotted(panels[panel], ax, how)

    def png(self, **style: Unpack[StyleOptions]) -> bytes:
        """Return the figure as the bytes of a PNG file.

        Args:
            **style: see `Style`.

        Returns:
            The bytes; of several pages, the first.

        Raises:
            OptionError: an option is wrong, or the arrays cannot be drawn.
        """
        return encoded(self.figure(**style), "png")

    def save(self, path: str | os.PathLike[str], **style: Unpack[StyleOptions]) -> list[Path]:
        """Write the figure to a file, whole or not at all.

        Args:
            path: the file, which ends in .png, .jpg, .svg or .pdf. Several pages are one PDF file,
                or files of other formats with numbers in their names.
            **style: see `Style`.

        Returns:
            The files written.

        Raises:
            OptionError: an option or the suffix is wrong, or the arrays cannot be drawn.
            OutputError: a file cannot be written.
        """
        from onnxplain.engine.drawing.render import drawn_page

        form, how = format_of(path), style_of(style)
        pages = self.pages(how)
        whole = Path(path)
        if form == "pdf":
            write_atomically(path, encoded_pages([drawn_page(page, how) for page in pages]))
            return [whole]
        paths = [whole]
        if len(pages) > 1:
            digits = len(str(len(pages)))
            numbers = range(1, len(pages) + 1)
            paths = [whole.with_stem(f"{whole.stem}-{n:0{digits}}") for n in numbers]
        for page, name in zip(pages, paths, strict=True):
            write_atomically(name, encoded(drawn_page(page, how), form))
        return paths

    def save_panels(
        self, folder: str | os.PathLike[str], form: str = "png", **style: Unpack[StyleOptions]
    ) -> list[Path]:
        """Write each panel to a file of its own, without captions and colour bars.

        Args:
            folder: the folder, which is made where it does not exist.
            form: "png", "jpg", "svg" or "pdf".
            **style: see `Style`; the width is that of each panel.

        Returns:
            The files written, named after what they show.

        Raises:
            OptionError: an option is wrong, or the arrays cannot be drawn.
            OutputError: a file cannot be written.
        """
        from onnxplain.engine.drawing.render import drawn_panel

        form, how = format_of(f".{form}" if "." in form else f"panel.{form}"), style_of(style)
        panels = [panel for page in self.pages(how) for panel in page.panels]
        names: dict[str, None] = {}
        for number, panel in enumerate(panels):
            stem = re.sub(r"[^\w.-]+", "_", panel.name).strip("._")[:100] or "panel"
            names[stem if panel.name and stem not in names else f"{stem}-{number + 1}"] = None
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as e:
            raise OutputError(f"'{os.fspath(folder)}' cannot be made: {e.strerror or e}") from e
        paths = [Path(folder) / f"{name}.{form}" for name in names]
        for panel, path in zip(panels, paths, strict=True):
            write_atomically(path, encoded(drawn_panel(panel, how), form))
        return paths

    def _repr_png_(self) -> bytes | None:
        try:
            return self.png()
        except OptionError:  # the notebook then prints the object's repr
            return None


def name_pictures(sources: Any, names: Any = None, *, what: str = "picture") -> tuple[str, ...]:
    """Return the names of pictures or models in a drawing: their file names, without folders.

    names: other names for them. Raises OptionError unless there is one for each.
    """
    if names is not None:
        if len(names) != len(sources):
            raise OptionError(f"{len(names)} names for {len(sources)} {what}s: give one for each")
        return tuple(map(str, names))
    return tuple(
        os.path.basename(source) if isinstance(source, str | os.PathLike) else f"{what} {number}"
        for number, source in enumerate(sources)
    )
