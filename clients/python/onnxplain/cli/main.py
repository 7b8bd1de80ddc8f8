"""The `onnxplain` command: reads the arguments, runs one command, and turns what goes wrong into
one line on stderr and an exit code.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from onnxplain.cli.commands import (
    check,
    convolutionalize,
    evaluate,
    explain,
    layers,
    methods,
    rewrite,
    serve,
    views,
)
from onnxplain.cli.failures import UsageError, fail

__all__ = ["build_parser", "main"]

COMMANDS = (
    layers, methods, check, rewrite, explain, views, evaluate, convolutionalize, serve,
)  # fmt: skip

EPILOG = """\
exit codes:
  0  done
  1  anything else: port in use, server unreachable, output not writable
  2  what you gave is wrong: a flag, a layer, a channel, a missing file, not a picture
  3  the model is wrong: corrupt, unsafe, not supported

Set ONNXPLAIN_DEBUG=1 to see the traceback of a failure.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: the process's own) and return its exit code."""
    _prepare_streams()
    try:
        try:
            arguments = build_parser().parse_args(argv)
            arguments.run(arguments)
        finally:
            sys.stdout.flush()  # what cannot be written shows here, not while the program exits
        return 0
    except SystemExit as done:  # argparse, after --help or --version
        return int(done.code or 0)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader has seen enough: `onnxplain layers model.onnx | head`
        _forget_stdout()
        return 0
    except Exception as error:
        if isinstance(error, OSError):
            _forget_stdout()
        return fail(error)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line. Its namespace's `run` is the command."""
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
    """An argument parser whose errors are one line, without the usage in front."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(f"{message} (see `{self.prog} --help`)")


def _prepare_streams() -> None:
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller: `onnxplain ... >&-`
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  open until the program ends
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without a name's letters shows "?"


def _forget_stdout() -> None:
    """Point stdout at nothing: what is left in its buffer would fail once more at exit."""
    with contextlib.suppress(OSError, ValueError):  # where stdout is no file of the system
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
