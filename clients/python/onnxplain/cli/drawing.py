"""What the commands that draw share: flags, files, and having a view drawn here or by a server."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from onnxplain.cli.arguments import byte_count
from onnxplain.cli.failures import UsageError
from onnxplain.cli.output import check_writable, printable, working
from onnxplain.cli.preprocessing import PREPROCESS_HELP, read_labels, read_preprocess

if TYPE_CHECKING:
    from onnxplain.engine import View

__all__ = [
    "SERVED",
    "add_server",
    "add_viewing",
    "add_where",
    "engine_choices",
    "look",
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
    """Return how the engine is to be made."""
    choices = {"device": arguments.device, "memory_bytes": arguments.memory}
    return {name: value for name, value in choices.items() if value is not None}


def require_servers_choice(arguments: argparse.Namespace) -> None:
    """Raise UsageError for a flag that is not for a client to choose."""
    for flag in ("device", "memory"):
        if getattr(arguments, flag):
            raise UsageError(f"--{flag} is the server's to choose: leave it out")


def output_files(
    arguments: argparse.Namespace, default: str, pictures: Sequence[str]
) -> dict[str, str]:
    """Return what is to be written where, by "picture" and "npz", all known to be writable.

    default: the picture's file where none is named. Raises OutputError, and OptionError where a
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


def look(
    arguments: argparse.Namespace,
    view: str,
    pictures: Sequence[str],
    what: str,
    earlier: Sequence[str] = (),
    **options: Any,
) -> View:
    """Return a view of `engine.VIEWS`, drawn here or, with --server, there.

    what: is being done, to be told meanwhile. earlier: the checkpoints before the model.
    """
    how = read_preprocess(arguments.preprocess)
    labels = read_labels(arguments.labels)
    if arguments.server:
        require_servers_choice(arguments)
        options |= {"earlier": earlier} if earlier else {}
        with working(f"waiting for {arguments.server}") as progress:
            from onnxplain.cli.served_view import receive

            there = None if how is None else asdict(how)
            return receive(
                arguments.server, arguments.model, pictures, view, there, labels, progress, options
            )
    with working(what) as progress:
        from onnxplain.engine import VIEWS, Engine

        options |= {"labels": labels, "preprocess": how, "progress": progress}
        shown = pictures if view == "top" else pictures[0]
        model = [*earlier, arguments.model] if view == "training" else arguments.model
        return VIEWS[view](Engine(**engine_choices(arguments)), model, shown, **options)


def write(found: View, files: Mapping[str, str]) -> None:
    """Draw, then save: what cannot be drawn leaves nothing behind."""
    with working("writing"):
        if "picture" in files:
            found.save(files["picture"])
        if "npz" in files:
            found.save_npz(files["npz"])


def tell(found: View, files: Mapping[str, str]) -> None:
    """Say what was written, and on stderr what was assumed."""
    for path in files.values():
        print(printable(f"wrote {path}"))
    for note in found.notes:
        print(printable(f"onnxplain: {note}"), file=sys.stderr)
