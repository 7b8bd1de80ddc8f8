"""A folder of models: `NAME.onnx` is version 1 of NAME, `NAME/3/model.onnx` its version 3."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from onnxplain.graphops.errors import MissingFile, MissingModel, UnsupportedModel
from onnxplain.registry.source import ModelVersion

__all__ = ["FolderSource"]


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
        return [
            _version(self.folder, model, number, paths)
            for (model, number), paths in _scan(self.folder).items()
        ]

    def open(self, version: ModelVersion) -> Path:
        """Return the file of a version.

        Args:
            version: one that `list` returned.

        Returns:
            The path of the ONNX file.

        Raises:
            MissingModel: it has been removed.
            UnsupportedModel: two files claim to be it.
        """
        names = [f"{version.model}.onnx"] if version.number == 1 else []
        names.append(f"{version.model}/{version.number}/model.onnx")
        paths = [path for name in names if (path := self.folder / name).is_file()]
        if not paths:
            raise MissingModel(f"'{version.name}' has just been removed")
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
            found = {version.name: version for version in await asyncio.to_thread(self.list)}
            if found != known:
                known = found
                yield
            await asyncio.sleep(self._poll_seconds)


def _scan(folder: Path) -> dict[tuple[str, int], list[Path]]:
    """Return the files of each version of each model: one, or two where they clash."""
    files: dict[tuple[str, int], list[Path]] = {}
    for path in folder.glob("*.onnx"):
        if path.is_file() and not path.name.startswith("."):
            files.setdefault((path.stem, 1), []).append(path)
    for path in folder.glob("*/*/model.onnx"):
        model, number = path.parts[-3:-1]
        if re.fullmatch("[1-9][0-9]{0,17}", number) and not model.startswith("."):
            files.setdefault((model, int(number)), []).append(path)
    return files


def _version(folder: Path, model: str, number: int, paths: list[Path]) -> ModelVersion:
    if len(paths) > 1:
        names = [path.relative_to(folder).as_posix() for path in paths]
        return ModelVersion(model, number, problem=_clash(names))
    try:
        stat = paths[0].stat()
    except OSError as e:
        return ModelVersion(model, number, problem=f"its file cannot be read: {e.strerror}")
    return ModelVersion(model, number, f"{stat.st_mtime_ns}-{stat.st_size}-{stat.st_ino}")


def _clash(names: Sequence[str]) -> str:
    files = " and ".join(f"'{name}'" for name in names)
    return f"{files} are the same version of the same model: remove one of them"
