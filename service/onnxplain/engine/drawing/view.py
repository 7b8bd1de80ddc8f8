"""The base class of the engine's results: arrays, and their drawing."""

from __future__ import annotations

import abc
import io
import os
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from onnxplain.graphops.errors import OptionError
from onnxplain.graphops.ir import write_atomically

__all__ = ["View", "name_pictures"]


class View(abc.ABC):
    """Arrays and their drawing, which a notebook shows.

    notes: sentences about assumptions and oddities.
    """

    notes: tuple[str, ...]

    @abc.abstractmethod
    def draw(self) -> Image.Image:
        """Return the labelled drawing.

        Raises:
            OptionError: the arrays cannot be drawn.
        """

    @abc.abstractmethod
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays and texts that `save_npz` writes, by name."""

    def png(self) -> bytes:
        """Return the drawing as the bytes of a PNG file.

        Raises:
            OptionError: the arrays cannot be drawn.
        """
        file = io.BytesIO()
        self.draw().save(file, "PNG")
        return file.getvalue()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the drawing as a PNG file, whole or not at all.

        Args:
            path: the file.

        Raises:
            OptionError: the arrays cannot be drawn.
            OutputError: the file cannot be written.
        """
        write_atomically(path, self.png())

    def save_npz(self, path: str | os.PathLike[str]) -> None:
        """Write the arrays and texts as an npz file, whole or not at all.

        Args:
            path: the file.

        Raises:
            OutputError: the file cannot be written.
        """
        file = io.BytesIO()
        np.savez_compressed(file, allow_pickle=False, **self.arrays())
        write_atomically(path, file.getvalue())

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
