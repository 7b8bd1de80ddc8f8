"""`onnxplain slide`: draw where in a larger picture a classifier sees a class."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from onnxplain.cli.arguments import add_model, add_size
from onnxplain.cli.convolutionalize import WINDOW_HELP
from onnxplain.cli.output import check_writable, printable, working
from onnxplain.cli.preprocessing import PREPROCESS_HELP, read_labels, read_preprocess

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "slide",
        help="draw a class's heat map of a picture larger than the network's",
        description="Slide a classifier over a picture larger than its own, in one run, and draw "
        "the score that each window gives a class beside the picture.",
        allow_abbrev=False,
    )
    add_model(parser, "an ONNX file: a classifier, or what `convolutionalize` wrote")
    parser.add_argument("image", metavar="IMAGE", help="a PNG, JPEG or the like")
    parser.add_argument(
        "--channel",
        metavar="C",
        type=int,
        help="the class (default: the one with the strongest window)",
    )
    add_size(parser, WINDOW_HELP)
    parser.add_argument("--labels", metavar="FILE", help="class names, one or `index,name` a line")
    parser.add_argument("--preprocess", metavar="HOW", help=PREPROCESS_HELP)
    parser.add_argument("--device", metavar="DEVICE", help="auto (default), cpu, cuda or cuda:N")
    parser.add_argument(
        "-o",
        "--output",
        metavar="PICTURE.png",
        help="file to draw to (default: IMAGE_slide.png in this folder; none with --npz alone)",
    )
    parser.add_argument("--npz", metavar="FILE.npz", help="file to write the scores to")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Write the files, then say where the class is strongest and what was assumed."""
    given = [arguments.model, arguments.image, *filter(None, [arguments.labels])]
    picture = arguments.output
    if picture is None and arguments.npz is None:
        picture = f"{Path(arguments.image).stem}_slide.png"
    for path in filter(None, (picture, arguments.npz)):
        check_writable(path, *given)
    if picture is not None and not picture.lower().endswith(".png"):
        from onnxplain.graphops.errors import OptionError

        raise OptionError(f"'{picture}' does not end in .png: drawings are PNG files")
    with working("sliding"):
        from onnxplain.engine import slide

        found = slide(
            arguments.model,
            arguments.image,
            arguments.channel,
            size=arguments.size,
            labels=read_labels(arguments.labels),
            preprocess=read_preprocess(arguments.preprocess),
            device=arguments.device or "auto",
        )
        if picture is not None:
            found.save(picture)
        if arguments.npz is not None:
            found.save_npz(arguments.npz)
    row, column = found.best
    corner = (row * found.stride[0], column * found.stride[1])
    label = f" ({found.label})" if found.label else ""
    rows, columns = found.scores.shape
    print(
        printable(
            f"channel {found.channel}{label}: strongest {found.scores[row, column]:.4g} in the "
            f"window from row {corner[0]}, column {corner[1]} on; {rows} x {columns} windows"
        )
    )
    for path in filter(None, (picture, arguments.npz)):
        print(printable(f"wrote {path}"))
    for note in found.notes:
        print(printable(f"onnxplain: {note}"), file=sys.stderr)
