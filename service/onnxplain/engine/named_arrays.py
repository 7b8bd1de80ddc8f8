"""The base class of the engine's results: named arrays, as NumPy's, as xarray's, and as a file."""

from __future__ import annotations

import abc
import io
import os
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from onnxplain.graphops.errors import OptionError
from onnxplain.graphops.ir import write_atomically

if TYPE_CHECKING:
    import xarray

__all__ = ["AxisNames", "Coordinates", "NamedArrays", "counted", "require_xarray", "sizes"]

Array: TypeAlias = npt.NDArray[Any]
AxisNames: TypeAlias = "dict[str, tuple[str, ...]]"  # the names of an array's axes, by its name
Coordinates: TypeAlias = "dict[str, tuple[tuple[str, ...], Any]]"  # as xarray takes them

LONGEST = 100  # characters of a line of `repr`


class NamedArrays(abc.ABC):
    """Named arrays, the main one of which is `to_numpy()`, and sentences about them.

    notes: sentences about assumptions and oddities.
    """

    notes: tuple[str, ...]
    main: ClassVar[str] = "attribution"  # the name of the main array

    @abc.abstractmethod
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays and texts that `save_npz` writes, by name."""

    def to_numpy(self) -> npt.NDArray[Any]:
        """Return the main array, which the result's class names."""
        return self.arrays()[self.main]

    def to_xarray(self) -> xarray.Dataset:
        """Return the arrays with named axes as an xarray Dataset; texts and notes are attributes.

        Raises:
            OptionError: xarray is not installed.
        """
        package, arrays, axes = require_xarray(), self.arrays(), self._axes()
        attributes = {name: one.item() for name, one in arrays.items() if one.ndim == 0}
        dataset: xarray.Dataset = package.Dataset(
            {name: (names, arrays[name]) for name, names in axes.items() if name in arrays},
            self._coordinates(),
            attributes | {"notes": list(self.notes)},
        )
        return dataset

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

    def __repr__(self) -> str:
        what, found = self._told()
        notes = f"; {counted(len(self.notes), 'note')}" if self.notes else ""
        return f"{type(self).__name__}: {cut(what)}\n  {cut(found)}{notes}"

    def _told(self) -> tuple[str, str]:
        """Return what the result is of, and what was found, a line each."""
        return ", ".join(self.arrays()), counted(len(self.arrays()), "array")

    def _axes(self) -> AxisNames:
        """Return the names of the axes of the arrays that xarray gets."""
        return {}

    def _coordinates(self) -> Coordinates:
        """Return the coordinates along these axes."""
        return {}


def require_xarray() -> Any:
    """Import xarray. Raises OptionError where it is not installed."""
    try:
        import xarray
    except ImportError as e:
        raise OptionError(
            "to_xarray() needs xarray, which is not installed: `pip install xarray`, or take the "
            "arrays by to_numpy() and arrays()"
        ) from e
    return xarray


def counted(number: int, word: str) -> str:
    """Return "1 note" or "2 notes"."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def sizes(shape: tuple[int, ...]) -> str:
    """Return "3x224x224"."""
    return "x".join(map(str, shape))


def cut(text: str) -> str:
    """Return a text on one line, cut where it is too long."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
