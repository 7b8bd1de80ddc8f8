"""A view that a server drew, as a View of the engine."""

from __future__ import annotations

import io
from typing import Any

import numpy.typing as npt
from PIL import Image

from onnxplain.client import ServedView
from onnxplain.engine import View

__all__ = ["RemoteView"]


class RemoteView(View):
    """A view that a server drew, saved by the rules of the engine's views: whole or not at all."""

    def __init__(self, view: ServedView) -> None:
        self.notes = view.notes
        self._view = view

    def draw(self) -> Image.Image:
        """Return the drawing."""
        return Image.open(io.BytesIO(self._view.png))

    def png(self) -> bytes:
        """Return the bytes of the drawing, a PNG file."""
        return self._view.png

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays and texts, by name."""
        return self._view.arrays
