"""The `onnxplain` program: parses the arguments, runs a command, and reports failures."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from typing import TextIO

from onnxplain.cli.commands import (
    check,
    convolutionalize,
    evaluate,
    explain,
    layers,
    methods,
    models,
    rewrite,
    serve,
    views,
)
from onnxplain.cli.failures import UsageError, fail

__all__ = ["build_parser", "main"]

COMMANDS = (
    layers, methods, check, rewrite, explain, views, evaluate, convolutionalize, serve, models,
)  # fmt: skip

EPILOG = """\
exit codes:
  0  success
  1  any other failure: port in use, server unreachable, output not writable
  2  invalid input: a flag, a layer, a channel, a missing file, a file that is not a picture
  3  unusable model: corrupt, unsafe or not supported

Set ONNXPLAIN_DEBUG=1 to print the traceback of a failure.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: the process's own) and return its exit code."""
    _prepare_streams()
    try:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                arguments = build_parser().parse_args(argv)
                arguments.run(arguments)
        finally:
            sys.stdout.flush()  # a failing write raises here, not while the program exits
        return 0
    except SystemExit as done:  # argparse, after --help or --version
        return int(done.code or 0)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader closed the pipe: `onnxplain layers model.onnx | head`
        _discard_stdout()
        return 0
    except Exception as error:
        if isinstance(error, OSError):
            _discard_stdout()
        return fail(error)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line, whose namespace has the command as `run`."""
    parser = _Parser(
        prog="onnxplain",
        description="Explain any ONNX CNN: project a layer's channels back to the pixels.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"onnxplain {version('onnxplain')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


class _Parser(argparse.ArgumentParser):
    """An argument parser that reports errors in one line, without the usage."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(f"{message} (see `{self.prog} --help`)")


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning of onnxplain as the notes are, another one as Python does."""
    if category.__module__.startswith("onnxplain."):
        print(f"onnxplain: warning: {message}", file=sys.stderr)
    else:
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))


def _prepare_streams() -> None:
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller: `onnxplain ... >&-`
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  open until the program ends
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # "?" for letters that the terminal lacks


def _discard_stdout() -> None:
    """Redirect stdout to nowhere: flushing its buffer would fail again at exit."""
    with contextlib.suppress(OSError, ValueError):  # stdout may have no file descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
