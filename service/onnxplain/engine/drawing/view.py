"""The base class of the engine's results: arrays, and their drawing."""

from __future__ import annotations

import abc
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from onnxplain.engine.drawing.formats import encoded, encoded_pages, format_of, style_for
from onnxplain.engine.drawing.page import Page
from onnxplain.engine.drawing.style import Style, StyleOptions, style_of
from onnxplain.engine.named_arrays import NamedArrays
from onnxplain.graphops.errors import OptionError, OutputError
from onnxplain.graphops.ir import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["View", "name_pictures"]

MOST_NAMES = 12  # of panels in an error


class View(NamedArrays):
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
            **style: see `Style`: dpi, width, cmap, alpha, columns, title, notes, show and at.

        Returns:
            The figure.

        Raises:
            OptionError: an option is wrong, or the arrays cannot be drawn.
        """
        from onnxplain.engine.drawing.render import drawn_page

        how = style_of(style)
        return drawn_page(self.page(how), how)

    def figures(self, **style: Unpack[StyleOptions]) -> Iterator[Figure]:
        """Draw all pages, one after the other.

        Args:
            **style: see `Style`.

        Returns:
            A figure of each page, at least one.

        Raises:
            OptionError: an option is wrong, or the arrays cannot be drawn.
        """
        from onnxplain.engine.drawing.render import drawn_page

        how = style_of(style)
        return (drawn_page(page, how) for page in self.pages(how))

    def panel_figures(self, **style: Unpack[StyleOptions]) -> Iterator[tuple[str, Figure]]:
        """Draw each panel alone, without captions and colour bars, one after the other.

        Args:
            **style: see `Style`; the width is that of each panel.

        Returns:
            The figures, each with its name, which says what it shows and can be a file's.

        Raises:
            OptionError: an option is wrong, or the arrays cannot be drawn.
        """
        from onnxplain.engine.drawing.render import drawn_panel

        how = style_of(style)
        panels = [panel for page in self.pages(how) for panel in page.panels]
        names: dict[str, None] = {}
        for panel in panels:
            stem = re.sub(r"[^\w.-]+", "_", panel.name).strip("._")[:100] or "panel"
            numbers = itertools.count(2)
            name = stem
            while name in names:
                name = f"{stem}-{next(numbers)}"
            names[name] = None
        return ((name, drawn_panel(one, how)) for name, one in zip(names, panels, strict=True))

    def plot(self, ax: Axes | None = None, panel: Any = 0, **style: Unpack[StyleOptions]) -> Axes:
        """Draw one panel into axes of a figure of one's own.

        Args:
            ax: the axes; None for pyplot's current ones.
            panel: the index of the panel, row by row, or its name.
            **style: see `Style`; without `title` the panel's caption is not written, and with it
                as far as it is no wider than the axes.

        Returns:
            The axes.

        Raises:
            OptionError: an option is wrong, there is no such panel, or it cannot be drawn.
            TypeError: `ax` is not one Axes of matplotlib.
        """
        from onnxplain.engine.drawing.axes import plotted

        how = style_of(style)
        panels = [one for page in self.pages(how) for one in page.panels]
        names = [one.name for one in panels]
        index = names.index(panel) if panel in names else panel
        if type(index) is not int or not 0 <= index < len(panels):
            raise OptionError(
                f"no panel {panel!r}: there are {len(panels)}, from 0 on, with the names "
                f"{', '.join(names[:MOST_NAMES])}{', …' if len(names) > MOST_NAMES else ''}"
            )
        return plotted(panels[index], ax, how)

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

    def files(self, form: str, **style: Unpack[StyleOptions]) -> list[bytes]:
        """Return the pages as files of a format, one for all where the format has pages.

        Args:
            form: "png", "jpg", "svg" or "pdf".
            **style: see `Style`.

        Returns:
            The bytes of each file.

        Raises:
            OptionError: an option is wrong, or the arrays cannot be drawn.
        """
        figures = self.figures(**style_for(form, style))
        if form == "pdf":
            return [encoded_pages(list(figures))]
        return [encoded(figure, form) for figure in figures]

    def panel_files(self, form: str, **style: Unpack[StyleOptions]) -> Iterator[tuple[str, bytes]]:
        """Return each panel as a file of a format, see `panel_figures`.

        Args:
            form: "png", "jpg", "svg" or "pdf".
            **style: see `Style`.

        Returns:
            The name of each file, and its bytes.

        Raises:
            OptionError: an option is wrong, or the arrays cannot be drawn.
        """
        figures = self.panel_figures(**style_for(form, style))
        return ((f"{name}.{form}", encoded(figure, form)) for name, figure in figures)

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
        form, whole = format_of(path), Path(path)
        files = self.files(form, **style)
        paths, digits = [whole], len(str(len(files)))
        if len(files) > 1:
            numbers = range(1, len(files) + 1)
            paths = [whole.with_stem(f"{whole.stem}-{n:0{digits}}") for n in numbers]
        for data, name in zip(files, paths, strict=True):
            write_atomically(name, data)
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
        form, paths = format_of(f".{form}" if "." in form else f"panel.{form}"), []
        files = self.panel_files(form, **style)
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as e:
            raise OutputError(f"'{os.fspath(folder)}' cannot be made: {e.strerror or e}") from e
        for name, data in files:
            paths.append(Path(folder) / name)
            write_atomically(paths[-1], data)
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
