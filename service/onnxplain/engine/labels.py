"""Class names as callers give them: a list, a text file, or a set that comes with the package.

Imports only the standard library.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TypeAlias

from onnxplain.graphops.errors import InputError, MissingFile, OptionError, missing_file

__all__ = ["LABEL_SETS", "Labels", "read_labels", "require_fitting"]

Labels: TypeAlias = "str | os.PathLike[str] | Sequence[str]"

LABEL_SETS = {"imagenet": "imagenet_labels.txt"}  # the 1000 names of ILSVRC 2012


def read_labels(labels: Labels | None) -> tuple[str, ...] | None:
    """Return class names by channel, None for None.

    labels: the names; or a text file with one name a line, or `index,name` on every line; or
    "imagenet", the names of the 1000 classes that most published networks tell apart.

    Raises MissingFile or InputError where a file cannot be read, TypeError for anything else.
    """
    if labels is None:
        return None
    if isinstance(labels, str | os.PathLike):
        return tuple(_lines(_text(labels), os.fspath(labels)))
    names = list(labels) if isinstance(labels, Sequence) or hasattr(labels, "__array__") else None
    if names is None or not all(isinstance(name, str) for name in names):
        raise TypeError(
            "labels must be a list of names, a path of a text file of one name a line, or "
            f"{' or '.join(map(repr, LABEL_SETS))}, not {labels!r:.80}"
        )
    return tuple(map(str, names))


def require_fitting(labels: Sequence[str], classes: int | None) -> tuple[str, ...]:
    """Return a note where there are fewer names than classes, an empty tuple otherwise.

    Raises OptionError where there are more: they belong to another network.
    """
    if not labels or classes is None or len(labels) == classes:
        return ()
    if len(labels) > classes:
        raise OptionError(
            f"there are {len(labels)} labels for {classes} class{'es' * (classes != 1)}: give the "
            "names of this network's classes, one for each"
        )
    return (
        f"there are {len(labels)} labels for {classes} classes: if they are not the names of the "
        "first ones, they belong to another network",
    )


def _text(labels: str | os.PathLike[str]) -> str:
    """Return the text of a file, or of a set that comes with the package."""
    if isinstance(labels, str) and labels in LABEL_SETS:
        return files("onnxplain.engine").joinpath(LABEL_SETS[labels]).read_text("utf-8")
    name = f"the labels '{os.fspath(labels)}'"
    try:
        return Path(labels).read_text("utf-8-sig")
    except UnicodeDecodeError as e:
        raise InputError(f"{name} are not UTF-8 text: give one name per line") from e
    except FileNotFoundError as e:
        known = " or ".join(map(repr, LABEL_SETS))
        missing = missing_file(labels, f"labels '{os.fspath(labels)}'")
        raise MissingFile(f"{missing}; without a file, give {known} or a list of names") from e
    except OSError as e:
        raise MissingFile(f"cannot read {name}: {e.strerror}") from e


def _lines(text: str, source: str) -> list[str]:
    """Return the names in the lines of a text."""
    lines = text.splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise InputError(f"the labels '{source}' are empty: give one name per line")
    numbered = [re.match(r"\s*(\d{1,7})\s*[,\t](.*)", line) for line in lines if line.strip()]
    if not all(numbered):
        return [line.strip() for line in lines]
    names = {int(match[1]): match[2].strip() for match in numbered if match}
    return [names.get(index, "") for index in range(max(names) + 1)]
