"""What the edge tells a worker that it starts: one line of JSON on the worker's standard input."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from onnxplain.server.settings import Settings

__all__ = ["MEMORY_EXIT_CODE", "MEMORY_EXIT_CODES", "read", "write"]

MEMORY_EXIT_CODE = 76  # of a worker that cannot go on for lack of memory
MEMORY_EXIT_CODES = (MEMORY_EXIT_CODE, 127)  # the latter is the dynamic loader's, for a new thread

# Of the settings, those that a worker needs: no tokens, no certificates.
PASSED = (
    "models",
    "store",
    "device",
    "threads",
    "concurrency",
    "batch",
    "delay_ms",
    "memory_bytes",
    "grace_seconds",
    "log_format",
)


def write(settings: Settings, listen: str) -> bytes:
    """Return the line for a worker that is to listen at `listen`."""
    values = {name: getattr(settings, name) for name in PASSED}
    # A worker has another working folder.
    return json.dumps(values | {"listen": [listen]}, default=_absolute).encode() + b"\n"


def read(line: bytes) -> Settings:
    """Return the settings in a line, whose `listen` has the worker's own."""
    values = json.loads(line)
    values["models"] = tuple(map(Path, values["models"]))
    values["store"] = None if values["store"] is None else Path(values["store"])
    for name in ("device", "listen"):
        values[name] = tuple(values[name])
    return dataclasses.replace(Settings(), **values)


def _absolute(path: Path) -> str:
    return str(path.absolute())
