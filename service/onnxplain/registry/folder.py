"""A folder of models: `NAME.onnx` is version 1 of NAME, `NAME/3/model.onnx` its version 3."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from stat import S_ISREG

from onnxplain.graphops.errors import MissingFile, MissingModel, UnsupportedModel
from onnxplain.registry.names import version_number
from onnxplain.registry.source import ModelVersion

__all__ = ["FolderSource"]

FILE = "model.onnx"
MOST_OF_A_CORE = 0.05  # for looking at a folder of thousands of models again and again


class FolderSource:
    """A folder, whose models can be added, changed and removed at any time.

    Names that begin with a dot are left out.

    Args:
        folder: the folder.
        poll_seconds: how often `watch` looks for changes.

    Raises:
        MissingFile: there is no such folder.
    """

    def __init__(self, folder: str | os.PathLike[str], poll_seconds: float = 1.0) -> None:
        self.folder = Path(folder)
        self._poll_seconds = poll_seconds
        if not self.folder.is_dir():
            raise MissingFile(f"no folder '{self.folder}' to serve models from")

    def list(self) -> Sequence[ModelVersion]:
        """Return every version of every model, in any order.

        Returns:
            The versions; none where the folder is gone.

        Raises:
            Nothing.
        """
        return list(_scan(self.folder).values())

    def open(self, version: ModelVersion) -> Path:
        """Return the file of a version.

        Args:
            version: one that `list` returned, or that may be there.

        Returns:
            The path of the ONNX file.

        Raises:
            MissingModel: there is none, or no longer.
            UnsupportedModel: two files claim to be it.
        """
        names = _names(version)
        paths = [path for name in names if (path := self.folder / name).is_file()]
        if not paths or version.model.startswith(".") or "/" in version.model:
            raise MissingModel(f"there is no '{version.name}', or no longer")
        if len(paths) > 1:
            raise UnsupportedModel(_clash(names))
        return paths[0]

    async def watch(self) -> AsyncIterator[None]:
        """Wait for changes.

        Yields:
            Once as soon as it watches, and then whenever `list` may return something else.

        Raises:
            Nothing.
        """
        known = None
        while True:
            start = time.monotonic()
            found = await asyncio.to_thread(_scan, self.folder)
            seconds = time.monotonic() - start
            if found != known:
                known = found
                yield
            await asyncio.sleep(max(self._poll_seconds, seconds / MOST_OF_A_CORE))


def _scan(folder: Path) -> dict[str, ModelVersion]:
    """Return the versions in a folder by name, one that two files claim to be with that problem."""
    found: dict[str, ModelVersion] = {}
    for version in _files(folder):
        if version.name in found:
            version = ModelVersion(version.model, version.number, problem=_clash(_names(version)))
        found[version.name] = version
    return found


def _files(folder: Path) -> Iterator[ModelVersion]:
    """Yield the version that each file in a folder is."""
    for entry in _entries(folder):
        if entry.name.endswith(".onnx"):
            yield from _version(entry.name.removesuffix(".onnx"), 1, entry.path)
        if entry.is_dir():
            for each in _entries(entry.path):
                if (number := version_number(each.name)) is not None:
                    yield from _version(entry.name, number, f"{each.path}/{FILE}")


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """Return what is in a folder and not hidden; nothing if it is none, or may not be read."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def _version(model: str, number: int, path: str) -> Iterator[ModelVersion]:
    """Yield the version whose file is at a path, if there is a file."""
    try:
        stat = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as e:
        yield ModelVersion(model, number, problem=f"its file cannot be read: {e.strerror}")
        return
    if S_ISREG(stat.st_mode):
        yield ModelVersion(model, number, f"{stat.st_mtime_ns}-{stat.st_size}-{stat.st_ino}")


def _names(version: ModelVersion) -> list[str]:
    """Return the names that the file of a version may have in the folder."""
    alone = [f"{version.model}.onnx"] if version.number == 1 else []
    return [*alone, f"{version.model}/{version.number}/{FILE}"]


def _clash(names: Sequence[str]) -> str:
    files = " and ".join(f"'{name}'" for name in names)
    return f"{files} are the same version of the same model: remove one of them"
