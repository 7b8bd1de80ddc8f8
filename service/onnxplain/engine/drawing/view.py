"""The base class of the engine's results: arrays, and a drawing of them."""

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
    """Arrays and a drawing of them. In a notebook it shows itself.

    notes: sentences that say what was assumed or looked odd.
    """

    notes: tuple[str, ...]

    @abc.abstractmethod
    def draw(self) -> Image.Image:
        """Return the labelled drawing. Raises OptionError where the arrays are no picture."""

    @abc.abstractmethod
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays and texts that `save_npz` writes, by name."""

    def png(self) -> bytes:
        """Return the drawing as the bytes of a PNG file. Raises OptionError as `draw` does."""
        file = io.BytesIO()
        self.draw().save(file, "PNG")
        return file.getvalue()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the drawing as PNG, whole or not at all. Raises OutputError or OptionError."""
        write_atomically(path, self.png())

    def save_npz(self, path: str | os.PathLike[str]) -> None:
        """Write the arrays and texts for `numpy.load`, whole or not at all. Raises OutputError."""
        file = io.BytesIO()
        np.savez_compressed(file, allow_pickle=False, **self.arrays())
        write_atomically(path, file.getvalue())

    def _repr_png_(self) -> bytes | None:
        try:
            return self.png()
        except OptionError:  # no picture: the notebook then prints the object's repr
            return None


def name_pictures(given: Any, names: Any = None, *, what: str = "picture") -> tuple[str, ...]:
    """Return the names of pictures or models in a drawing: their file names, without folders.

    names: other names for them. Raises OptionError unless there is one for each.
    """
    if names is not None:
        if len(names) != len(given):
            raise OptionError(f"{len(names)} names for {len(given)} {what}s: give one for each")
        return tuple(map(str, names))
    return tuple(
        os.path.basename(one) if isinstance(one, str | os.PathLike) else f"{what} {number}"
        for number, one in enumerate(given)
    )
