"""Failures reported as one line on stderr and an exit code."""

from __future__ import annotations

import os
import re
import sys
import traceback

from onnxplain.cli.output import printable
from onnxplain.graphops.options import GENERAL, OPTIONS

__all__ = ["EXIT_CODES", "UsageError", "exit_code", "fail", "in_flags"]

NEGATED = {"no_outputs", "no_verify", "no_upsample"}  # flags that turn off what is on by default
FLAGS = {"layer", "preprocess", "size", *NEGATED, *GENERAL, *OPTIONS}

# By class in the error tree, and by kind or gRPC status of a server's error; 1 for all others. The
# keys are names, since importing the classes would load onnx and grpc to report a mistyped flag.
EXIT_CODES = {
    "UsageError": 2,
    "InputError": 2,
    "ModelError": 3,
    "INVALID_ARGUMENT": 2,
    "NOT_FOUND": 2,
    "OUT_OF_RANGE": 2,
    "ALREADY_EXISTS": 2,
    "UNAUTHENTICATED": 2,
    "PERMISSION_DENIED": 2,
    "QueueFull": 1,  # RESOURCE_EXHAUSTED too, but not for what was asked
    "RESOURCE_EXHAUSTED": 2,
    "FAILED_PRECONDITION": 3,
}


class UsageError(Exception):
    """An invalid command line: an unknown flag, or a value that does not parse."""


def fail(error: Exception) -> int:
    """Print `error` as one line on stderr and return its exit code."""
    if os.environ.get("ONNXPLAIN_DEBUG", "") not in ("", "0"):
        traceback.print_exception(error, file=sys.stderr)
    print(f"onnxplain: error: {_line(error)}", file=sys.stderr)
    return exit_code(error)


def exit_code(error: Exception) -> int:
    """Return 2 for invalid input, 3 for an unusable model, 1 for any other failure."""
    status = getattr(error, "code", None)  # the gRPC status of a ClientError
    told = [getattr(error, "kind", ""), getattr(status, "name", "")]
    names = [*told, *(kind.__name__ for kind in type(error).__mro__)]
    return next((EXIT_CODES[name] for name in names if name in EXIT_CODES), 1)


def in_flags(text: str) -> str:
    """Name the options in a text as flags: the library writes `keep_shape`, for `--keep-shape`.

    An option that is on by default has the flag that turns it off: `--no-upsample`. Where the text
    names the flag too, as in `layer` (--layer), it is named once.
    """
    text = re.sub(r"turn `(\w+)` off", r"give `no_\1`", text)
    text = re.sub(r"leave `(\w+)` on", r"leave `no_\1` out", text)

    def flag(match: re.Match[str]) -> str:
        name = match[1]
        return f"`--{name.replace('_', '-')}`" if name in FLAGS else match[0]

    return re.sub(r"`([a-z][a-z_]*)`(?: \(--[a-z-]+\))?", flag, text)


def _line(error: Exception) -> str:
    """Return the error's text as one printable line."""
    text = in_flags(printable(" ".join(str(error).split())))
    if type(error).__module__.startswith("onnxplain.") or isinstance(error, OSError):
        return text or type(error).__name__
    return f"{type(error).__name__}: {text} (set ONNXPLAIN_DEBUG=1 for the traceback)"
