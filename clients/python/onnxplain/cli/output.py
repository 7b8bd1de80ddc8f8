"""Output: tables, JSON, and the check that a file can be written."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from typing import Any

__all__ = ["check_writable", "print_json", "printable", "size", "table"]


def printable(text: str) -> str:
    """Return `text` with control characters escaped, which names in a file may contain."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the rows under their header, in aligned columns; empty columns are left out."""
    cells = [[printable(cell) for cell in row] for row in rows]
    shown = [i for i in range(len(header)) if any(row[i] for row in cells)]
    lines = [[header[i] for i in shown]] + [[row[i] for i in shown] for row in cells]
    widths = [max(len(line[i]) for line in lines) for i in range(len(shown))]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def size(count: int) -> str:
    """Return a number of bytes with its unit: 812 B, 3.4 kB, 97.8 MB."""
    for power, unit in ((3, "GB"), (2, "MB"), (1, "kB")):
        if count >= 1000**power:
            return f"{count / 1000**power:.3g} {unit}"
    return f"{count} B"


def print_json(value: Any) -> None:
    """Print a value of dataclasses, numbers, texts, lists and dicts as indented JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def check_writable(path: str, *inputs: str) -> None:
    """Check that `path` can be written, before work whose result would be lost.

    Raises OutputError if its folder is missing or read-only, and OptionError if it is one of the
    `inputs`, which it would overwrite.
    """
    from onnxplain.graphops.errors import OptionError, OutputError

    for file in inputs:
        if os.path.exists(path) and os.path.exists(file) and os.path.samefile(path, file):
            raise OptionError(f"'{path}' is an input and would be overwritten: name another file")
    folder = os.path.dirname(path) or "."
    if os.path.isdir(path):
        raise OutputError(f"'{path}' is a folder: name a file to write")
    if not os.path.isdir(folder):
        raise OutputError(f"'{path}' is not writable: there is no folder '{folder}', create it")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"'{path}' is not writable: no permission to write to '{folder}'")


def _plain(value: Any) -> Any:
    """Return a dataclass as a dict, and a NumPy number as Python's."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value.item() if hasattr(value, "item") else str(value)
