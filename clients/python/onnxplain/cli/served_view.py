"""A view that a server drew, as a View of the engine."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
from PIL import Image

from onnxplain.client import ServedView
from onnxplain.engine import View
from onnxplain.engine.drawing import Frame, Page, Style, StyleOptions, picture_panel

__all__ = ["RemoteView"]


class RemoteView(View):
    """A view that a server drew, saved by the rules of the engine's views: whole or not at all.

    Its files have the format and the style that the server was asked for.
    """

    def __init__(self, view: ServedView) -> None:
        self.notes = view.notes
        self._view = view

    def page(self, style: Style) -> Page:
        """Return the drawing, a PNG file, as one picture, its page's texts included."""
        pixels = np.asarray(Image.open(io.BytesIO(self._view.png)).convert("RGB"))
        return Page("", [[picture_panel((), Frame.whole(pixels.shape[:2], pixels))]])

    def files(self, form: str, **style: Unpack[StyleOptions]) -> list[bytes]:
        """Return the files of the drawing."""
        return [self._view.drawing, *self._view.further]

    def panel_files(self, form: str, **style: Unpack[StyleOptions]) -> Iterator[tuple[str, bytes]]:
        """Return the files of the panels, by name."""
        return iter(self._view.panels.items())

    def png(self, **style: Unpack[StyleOptions]) -> bytes:
        """Return the drawing, a PNG file."""
        return self._view.png

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays and texts, by name."""
        return self._view.arrays
