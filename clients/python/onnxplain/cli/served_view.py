"""A view that a server drew, to be written as one drawn here."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy.typing as npt
from PIL import Image

from onnxplain.client import Client
from onnxplain.engine import View

__all__ = ["Received", "receive"]


class Received(View):
    """A view as a server drew it."""

    def __init__(
        self, png: bytes, arrays: dict[str, npt.NDArray[Any]], notes: tuple[str, ...]
    ) -> None:
        self.notes = notes
        self._png, self._arrays = png, arrays

    def draw(self) -> Image.Image:
        """Return the drawing."""
        return Image.open(io.BytesIO(self._png))

    def png(self) -> bytes:
        """Return the drawing as it came."""
        return self._png

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays and texts that came."""
        return self._arrays


def receive(
    server: str,
    model: str,
    pictures: Sequence[str],
    view: str,
    preprocess: Mapping[str, Any] | None,
    labels: Sequence[str] | None,
    progress: Callable[[int, int], None],
    options: Mapping[str, Any],
) -> Received:
    """Have a server draw a view. Raises ClientError."""
    with Client(server) as client:
        found = client.view(
            model,
            pictures,
            view,
            preprocess=preprocess,
            labels=labels,
            progress=progress,
            **options,
        )
    return Received(found.png, found.arrays, found.notes)
