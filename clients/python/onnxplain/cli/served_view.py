"""A view that a server drew, to be written as one drawn here."""

from __future__ import annotations

import io
from typing import Any

import numpy.typing as npt
from PIL import Image

from onnxplain.client import ServedView
from onnxplain.engine import View

__all__ = ["Received"]


class Received(View):
    """A view as a server drew it, which saves its files whole or not at all."""

    def __init__(self, view: ServedView) -> None:
        self.notes = view.notes
        self._view = view

    def draw(self) -> Image.Image:
        """Return the drawing."""
        return Image.open(io.BytesIO(self._view.png))

    def png(self) -> bytes:
        """Return the drawing as the server sent it."""
        return self._view.png

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays and texts that the server sent."""
        return self._view.arrays
