"""Class names as callers give them: a list, or a text file."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from onnxplain.client.errors import ClientError, InvalidArgumentError, NotFoundError

__all__ = ["Labels", "label_names"]

Labels: TypeAlias = "str | os.PathLike[str] | Sequence[str]"


def label_names(labels: Labels | None) -> Sequence[str] | None:
    """Return class names by channel, None for None.

    labels: the names, or a text file with one a line, or `index,name` on every line. The engine
    reads such a file in the same way. Raises ClientError.
    """
    if labels is None or not isinstance(labels, str | os.PathLike):
        return labels
    name = os.fspath(labels)
    try:
        lines = Path(labels).read_text("utf-8-sig").rstrip().splitlines()
    except UnicodeDecodeError as e:
        raise _wrong(f"the labels '{name}' are not UTF-8 text: give one name per line") from e
    except OSError as e:
        text = f"cannot read the labels '{name}' ({e.strerror}): give a text file, or a list"
        raise NotFoundError(text, "MissingFile") from e
    if not lines:
        raise _wrong(f"the labels '{name}' are empty: give one name per line")
    numbered = [re.match(r"\s*(\d{1,7})\s*[,\t](.*)", line) for line in lines if line.strip()]
    if not all(numbered):
        return [line.strip() for line in lines]
    names = {int(match[1]): match[2].strip() for match in numbered if match}
    return [names.get(index, "") for index in range(max(names) + 1)]


def _wrong(text: str) -> ClientError:
    return InvalidArgumentError(text, "InputError")
