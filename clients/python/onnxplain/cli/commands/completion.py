"""`onnxplain completion`: a script that lets a shell complete commands, flags and values."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from onnxplain.engine.methods import METHODS, method_options
from onnxplain.graphops.options import GENERAL, TARGET

__all__ = ["add_parser", "run"]

SHELLS = ("bash", "zsh", "fish")
FILES = {"FILE", "FILE.npz", "IMAGE", "MASK", "MODEL", "NAME=FILE", "OUT.onnx", "PICTURE"}
FOLDERS = {"DIR", "FOLDER"}
WORDS = {"device": ("auto", "cpu", "cuda"), "position": ("all", "max", "given", "region")}
EPILOG = """\
bash, in ~/.bashrc:   source <(onnxplain completion bash)
zsh, in ~/.zshrc:     eval "$(onnxplain completion zsh)"     after compinit
fish:                 onnxplain completion fish > ~/.config/fish/completions/onnxplain.fish
"""


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "completion",
        help="print a script for tab completion in a shell",
        description="Print a script that lets a shell complete commands, flags, their words and "
        "files.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help="bash, zsh or fish")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the script."""
    import shtab

    from onnxplain.cli.main import build_parser

    parser = build_parser()
    for action in _actions(parser):
        kind = str(action.metavar).partition(".")[0]
        if action.metavar in FILES or kind in FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar in FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif words := _words(action.dest):
            action.choices = words
    print(shtab.complete(parser, arguments.shell))


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the flags and positional arguments of all commands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
        else:
            yield action


def _words(name: str) -> list[str]:
    """Return the words that an argument takes."""
    if name == "method":
        return list(METHODS)
    options = {**GENERAL, **method_options(), TARGET.name: TARGET}
    words = options[name].choices if name in options else ()
    return list(WORDS.get(name, words))
