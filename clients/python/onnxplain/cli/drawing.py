"""Flags and output files that the drawing commands share."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from onnxplain.cli.arguments import byte_count
from onnxplain.cli.connecting import SERVER_HELP
from onnxplain.cli.failures import UsageError, in_flags
from onnxplain.cli.output import check_writable, printable
from onnxplain.cli.preprocessing import LABELS_HELP, PREPROCESS_HELP
from onnxplain.cli.progress import working
from onnxplain.engine.drawing import Style, format_of, style_of

if TYPE_CHECKING:
    from onnxplain.engine import Engine, View

__all__ = [
    "LOCAL_OR_SERVED",
    "add_drawing",
    "add_runtime",
    "add_server",
    "add_style",
    "forbid_engine_flags",
    "local_engine",
    "output_files",
    "report",
    "style_options",
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
        metavar="FILE",
        help=f"file for the figure, which ends in .png, .pdf, .svg or .jpg (default: {name}.png in "
        "this folder; none with --npz or --panels alone)",
    )
    parser.add_argument("--npz", metavar="FILE.npz", help="file for the arrays")
    add_style(parser)


def add_style(parser: argparse.ArgumentParser) -> None:
    """Add the flags of how a figure looks, one for each field of Style."""
    group = parser.add_argument_group("figure")
    for one in fields(Style):
        if one.metadata["parse"] is bool:
            group.add_argument(
                f"--no-{one.name}", dest=one.name, action="store_false", help=one.metadata["help"]
            )
            continue
        default = "" if one.default is None else f" (default: {one.default})"
        group.add_argument(
            f"--{one.name}",
            type=one.metadata["parse"],
            default=one.default,
            metavar=one.metadata["metavar"],
            help=one.metadata["help"] + default,
        )
    group.add_argument(
        "--panels",
        metavar="DIR",
        help="folder for the panels, each a file of its own: of the kind of -o, or else PNG",
    )


def style_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the keyword arguments of `View.figure` and `View.save`."""
    return {one.name: getattr(arguments, one.name) for one in fields(Style)}


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
    parser.add_argument("--server", metavar="HOST:PORT", help=SERVER_HELP)


def local_engine(arguments: argparse.Namespace) -> Engine:
    """Return the engine that the flags of the runtime describe. Raises what `Engine` does."""
    from onnxplain.engine import Engine

    gc.freeze()  # the modules stay to the end: the engine's collections need not visit them
    values = {"device": arguments.device, "memory_bytes": arguments.memory}
    return Engine(**{name: value for name, value in values.items() if value is not None})


def forbid_engine_flags(arguments: argparse.Namespace) -> None:
    """Raise UsageError for a flag that has no effect on a server."""
    for flag in ("device", "memory"):
        if getattr(arguments, flag):
            raise UsageError(f"--{flag} has no effect on a server: leave it out with --server")


def output_files(
    arguments: argparse.Namespace, default: str, pictures: Sequence[str]
) -> dict[str, str]:
    """Return the files to write, by "picture" and "npz", after checking that they are writable.

    default: the figure's file if the flags name none. Raises OutputError, and OptionError if a
    choice of the figure is wrong, or a file is one of the pictures, the model or the labels.
    """
    from onnxplain.graphops.errors import OptionError

    style_of(style_options(arguments))  # refuses wrong values before the work
    models = getattr(arguments, "models", None) or [arguments.model]
    inputs = [*pictures, *filter(None, [arguments.labels]), *([] if arguments.server else models)]
    files = {}
    if arguments.output or not (arguments.npz or arguments.panels):
        files["picture"] = arguments.output or default
        format_of(files["picture"])
    if arguments.npz:
        files["npz"] = arguments.npz
    for path in files.values():
        check_writable(path, *inputs)
    if (
        arguments.panels
        and os.path.exists(arguments.panels)
        and not os.path.isdir(arguments.panels)
    ):
        raise OptionError(f"'{arguments.panels}' is a file: name a folder for --panels")
    if len({os.path.realpath(path) for path in files.values()}) < len(files):
        raise OptionError(f"-o and --npz name the same file, '{arguments.output}': name two files")
    return files


def write(view: View, files: Mapping[str, str], arguments: argparse.Namespace) -> list[str]:
    """Write the figure to files["picture"], the arrays to files["npz"], and panels to --panels.

    The figure comes first: a view that cannot be drawn leaves no file behind.

    Returns the files written: a figure of several pages may be as many, and a folder of panels is
    one.
    """
    written: list[str] = []
    style = style_options(arguments)
    with working("writing"):
        if "picture" in files:
            written += map(str, view.save(files["picture"], **style))
        if arguments.panels:
            form = format_of(files["picture"]) if "picture" in files else "png"
            view.save_panels(arguments.panels, form, **style)
            written.append(os.path.join(arguments.panels, ""))
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
