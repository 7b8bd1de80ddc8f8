"""Output: tables, JSON, progress, and the check that a file can be written."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["Progress", "check_writable", "print_json", "printable", "size", "table", "working"]


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


class Progress:
    """The progress of some work: called with the steps done and their total.

    runs: called with the runs done of the current step, and their total.
    """

    def __init__(self) -> None:
        self._steps = self._runs = (0, 0)

    def __call__(self, done: int, total: int) -> None:
        """Record the steps done; the next step begins."""
        self._steps, self._runs = (done, total), (0, 0)

    def runs(self, done: int, total: int) -> None:
        """Record the runs done of the current step."""
        self._runs = (done, total)

    def __str__(self) -> str:
        """Return " 3/8", or with the runs of the fourth step " 3/8 + 20/50"."""
        counts = [f"{done}/{total}" for done, total in (self._steps, self._runs) if total]
        return " " + " + ".join(counts) if counts else ""


@contextlib.contextmanager
def working(what: str) -> Iterator[Progress]:
    """Show the progress and the elapsed time in a line on stderr, after the first second.

    Yields the progress to update. Nothing is written unless stderr is a terminal.
    """
    progress = Progress()
    if not sys.stderr.isatty():
        yield progress
        return
    start, finished = time.monotonic(), threading.Event()

    def show() -> None:
        delay = 1.0
        while not finished.wait(delay):
            sys.stderr.write(f"\r\x1b[K{what}{progress} ({time.monotonic() - start:.0f} s)")
            sys.stderr.flush()
            delay = 0.5
        sys.stderr.write("\r\x1b[K" if delay < 1.0 else "")
        sys.stderr.flush()

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield progress
    finally:
        finished.set()
        thread.join()


def _plain(value: Any) -> Any:
    """Return a dataclass as a dict, and a NumPy number as Python's."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value.item() if hasattr(value, "item") else str(value)
