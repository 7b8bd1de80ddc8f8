"""The pictures in a folder and its subfolders."""

from __future__ import annotations

import os
from pathlib import Path

from onnxplain.graphops.errors import MissingFile, missing_file

__all__ = ["folder_pictures", "names_in"]

PICTURE_SUFFIXES = frozenset(
    (
        ".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp",
    )
)  # fmt: skip


def folder_pictures(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the paths of the pictures in a folder and its subfolders, sorted.

    Without pictures, those of .npy files. Hidden files and folders do not count.

    Raises MissingFile where there is no such folder, or no picture in it.
    """
    top = Path(folder)
    if not top.is_dir():
        raise missing_file(folder, what="folder")
    files: list[Path] = []
    for place, subfolders, names in os.walk(top):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        files += [Path(place, name) for name in names if not name.startswith(".")]
    for suffixes in (PICTURE_SUFFIXES, {".npy"}):
        found = [path for path in files if path.suffix.lower() in suffixes and path.is_file()]
        if found:
            return sorted(found, key=lambda path: path.relative_to(top).parts)
    raise MissingFile(
        f"no pictures in '{folder}' and its subfolders: name a folder of PNG, JPEG or other files"
    )


def names_in(folder: str | os.PathLike[str], paths: list[Path]) -> list[str]:
    """Return the names of a folder's pictures: their paths from the folder on, with slashes."""
    return [path.relative_to(folder).as_posix() for path in paths]
