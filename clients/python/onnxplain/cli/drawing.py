"""Flags and output files that the drawing commands share."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from onnxplain.cli.arguments import byte_count
from onnxplain.cli.failures import UsageError, in_flags
from onnxplain.cli.output import check_writable, printable
from onnxplain.cli.preprocessing import LABELS_HELP, PREPROCESS_HELP
from onnxplain.cli.progress import working

if TYPE_CHECKING:
    from onnxplain.engine import View

__all__ = [
    "LOCAL_OR_SERVED",
    "add_drawing",
    "add_runtime",
    "add_server",
    "engine_arguments",
    "forbid_engine_flags",
    "output_files",
    "report",
    "write",
]

LOCAL_OR_SERVED = "an ONNX file, or with --server the name of a served model"


def add_drawing(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the flags of the pictures' preprocessing, the runtime, and the output files."""
    parser.add_argument("--labels", metavar="FILE", help=LABELS_HELP)
    parser.add_argument("--preprocess", metavar="HOW", help=PREPROCESS_HELP)
    add_runtime(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="PICTURE.png",
        help=f"file for the drawing (default: {name}.png in this folder; none with --npz alone)",
    )
    parser.add_argument("--npz", metavar="FILE.npz", help="file for the arrays")


def add_runtime(parser: argparse.ArgumentParser) -> None:
    """Add the flags that choose what runs the model: a device of this machine, or a server."""
    parser.add_argument("--device", metavar="DEVICE", help="auto (default), cpu, cuda or cuda:N")
    parser.add_argument(
        "--memory",
        metavar="SIZE",
        type=byte_count,
        help="memory for one run, such as 512M or 2G (default: 1G); more work is split into runs",
    )
    add_server(parser)


def add_server(parser: argparse.ArgumentParser) -> None:
    """Add --server HOST:PORT."""
    parser.add_argument(
        "--server", metavar="HOST:PORT", help="address of an `onnxplain serve` to run this on"
    )


def engine_arguments(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the keyword arguments of Engine."""
    values = {"device": arguments.device, "memory_bytes": arguments.memory}
    return {name: value for name, value in values.items() if value is not None}


def forbid_engine_flags(arguments: argparse.Namespace) -> None:
    """Raise UsageError for a flag that has no effect on a server."""
    for flag in ("device", "memory"):
        if getattr(arguments, flag):
            raise UsageError(f"--{flag} has no effect on a server: leave it out with --server")


def output_files(
    arguments: argparse.Namespace, default: str, pictures: Sequence[str]
) -> dict[str, str]:
    """Return the files to write, by "picture" and "npz", after checking that they are writable.

    default: the drawing's file if the flags name none. Raises OutputError, and OptionError if the
    drawing's name does not end in .png, or a file is one of the pictures, the model or the labels.
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
        raise OptionError(f"-o and --npz name the same file, '{arguments.output}': name two files")
    return files


def write(view: View, files: Mapping[str, str]) -> list[str]:
    """Write the drawing to files["picture"] and the arrays to files["npz"], if named.

    The drawing comes first: a view that cannot be drawn leaves no file behind.

    Returns the files written: a drawing of several pages may be as many.
    """
    written: list[str] = []
    with working("writing"):
        if "picture" in files:
            written += map(str, view.save(files["picture"]))
        if "npz" in files:
            view.save_npz(files["npz"])
            written.append(files["npz"])
    return written


def report(view: View, written: Sequence[str]) -> None:
    """Print the files written, and the view's notes on stderr."""
    for path in written:
        print(printable(f"wrote {path}"))
    for note in view.notes:
        print(in_flags(printable(f"onnxplain: {note}")), file=sys.stderr)
