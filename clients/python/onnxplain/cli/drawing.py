"""What the commands that draw share: flags, and the files that they write."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from onnxplain.cli.arguments import byte_count
from onnxplain.cli.failures import UsageError
from onnxplain.cli.output import check_writable, printable, working
from onnxplain.cli.preprocessing import PREPROCESS_HELP

if TYPE_CHECKING:
    from onnxplain.engine import View

__all__ = [
    "SERVED",
    "add_server",
    "add_viewing",
    "add_where",
    "engine_choices",
    "output_files",
    "require_servers_choice",
    "tell",
    "write",
]

SERVED = "an ONNX file, or with --server the name of a model there"


def add_viewing(parser: argparse.ArgumentParser, name: str) -> None:
    """Add how pictures become inputs, what runs them, and where the results go."""
    parser.add_argument("--labels", metavar="FILE", help="class names, one or `index,name` a line")
    parser.add_argument("--preprocess", metavar="HOW", help=PREPROCESS_HELP)
    add_where(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="PICTURE.png",
        help=f"file to draw to (default: {name}.png in this folder; none with --npz alone)",
    )
    parser.add_argument("--npz", metavar="FILE.npz", help="file to write the arrays to")


def add_where(parser: argparse.ArgumentParser) -> None:
    """Add what runs the model: a device here, or a server."""
    parser.add_argument("--device", metavar="DEVICE", help="auto (default), cpu, cuda or cuda:N")
    parser.add_argument(
        "--memory",
        metavar="SIZE",
        type=byte_count,
        help="what one run may take, as in 512M or 2G (default: 1G); more takes more runs",
    )
    add_server(parser)


def add_server(parser: argparse.ArgumentParser) -> None:
    """Add --server HOST:PORT."""
    parser.add_argument(
        "--server", metavar="HOST:PORT", help="have an `onnxplain serve` there do the work"
    )


def engine_choices(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the keyword arguments of Engine."""
    choices = {"device": arguments.device, "memory_bytes": arguments.memory}
    return {name: value for name, value in choices.items() if value is not None}


def require_servers_choice(arguments: argparse.Namespace) -> None:
    """Raise UsageError for a flag that only the server can choose."""
    for flag in ("device", "memory"):
        if getattr(arguments, flag):
            raise UsageError(f"--{flag} is the server's to choose: leave it out")


def output_files(
    arguments: argparse.Namespace, default: str, pictures: Sequence[str]
) -> dict[str, str]:
    """Return the files to write, by "picture" and "npz", after checking that they are writable.

    default: the drawing's file where none is named. Raises OutputError, and OptionError where a
    name does not end in .png, or names one of the pictures, the model or the labels.
    """
    from onnxplain.graphops.errors import OptionError

    models = getattr(arguments, "models", None) or [arguments.model]
    inputs = [*pictures, *filter(None, [arguments.labels]), *([] if arguments.server else models)]
    files = {}
    if arguments.output or not arguments.npz:
        files["picture"] = arguments.output or default
        if not files["picture"].lower().endswith(".png"):
            raise OptionError(f"'{files['picture']}' does not end in .png: drawings are PNG files")
    if arguments.npz:
        files["npz"] = arguments.npz
    for path in files.values():
        check_writable(path, *inputs)
    if len({os.path.realpath(path) for path in files.values()}) < len(files):
        raise OptionError(f"-o and --npz name one file, '{arguments.output}': name two")
    return files


def write(view: View, files: Mapping[str, str]) -> None:
    """Write the drawing to files["picture"] and the arrays to files["npz"], where these are named.

    The drawing comes first: a view that cannot be drawn leaves no file behind.
    """
    with working("writing"):
        if "picture" in files:
            view.save(files["picture"])
        if "npz" in files:
            view.save_npz(files["npz"])


def tell(view: View, files: Mapping[str, str]) -> None:
    """Print which files were written, and on stderr what was assumed."""
    for path in files.values():
        print(printable(f"wrote {path}"))
    for note in view.notes:
        print(printable(f"onnxplain: {note}"), file=sys.stderr)
