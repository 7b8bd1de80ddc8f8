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
    completion,
    convolutionalize,
    evaluate,
    explain,
    layers,
    methods,
    models,
    rewrite,
    serve,
    views,
    worker,
)
from onnxplain.cli.failures import UsageError, fail
from onnxplain.engine.methods import METHODS
from onnxplain.graphops.errors import nearest
from onnxplain.graphops.methods import methods_meant

__all__ = ["build_parser", "main"]

COMMANDS = (
    explain, views, layers, methods, evaluate, check, rewrite, convolutionalize, serve, worker,
    models, completion,
)  # fmt: skip

EPILOG = """\
examples:
  onnxplain explain model.onnx cat.jpg                      the evidence for the top class
  onnxplain explain model.onnx cat.jpg --method grad_cam --class tabby --labels imagenet
  onnxplain layers model.onnx                               the names that --layer takes
  onnxplain explain model.onnx cat.jpg --layer LAYER --channel top:9
  onnxplain rewrite model.onnx --method grad_cam --select predicted -o explained.onnx

Each command has a help of its own: `onnxplain explain --help`.

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
                arguments = _parsed(list(sys.argv[1:] if argv is None else argv))
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
        description="Explain any ONNX CNN: draw what its layers and classes see in pictures, or\n"
        "write an ONNX model that computes such explanations on any runtime.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"onnxplain {version('onnxplain')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    for command_parser in commands.choices.values():
        command_parser.set_defaults(parser=command_parser)
    parser.set_defaults(commands=list(commands.choices))
    return parser


def _parsed(argv: list[str]) -> argparse.Namespace:
    """Parse the arguments. Raises UsageError, which names the nearest command or flag."""
    parser = build_parser()
    commands: list[str] = parser.get_default("commands")
    if argv and not argv[0].startswith("-") and argv[0] not in commands:
        parser.error(_no_command(argv[0], commands))
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        arguments.parser.error(_not_taken(unknown[0], arguments.parser))
    return arguments


def _no_command(word: str, commands: list[str]) -> str:
    """Return the error for a word that is no command: a method perhaps, or misspelt."""
    if meant := methods_meant(word, METHODS):
        return (
            f"no command '{word}': explain by that method, with `onnxplain explain MODEL IMAGE "
            f"--method {meant[0]}`"
        )
    return f"no command '{word}' ({nearest(word, commands, 3)})"


def _not_taken(word: str, parser: argparse.ArgumentParser) -> str:
    """Return the error for what a command does not take."""
    flag = word.partition("=")[0]
    if not flag.startswith("-"):
        return f"'{word}' is one argument too many"
    flags = (name for action in parser._actions for name in action.option_strings)
    return f"no flag '{flag}' ({nearest(flag, flags, 3)})"


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
