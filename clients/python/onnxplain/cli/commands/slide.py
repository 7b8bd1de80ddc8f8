"""`onnxplain slide`: draw where in a larger picture a classifier sees a class."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from onnxplain.cli.arguments import add_model, add_size
from onnxplain.cli.commands.convolutionalize import WINDOW_HELP
from onnxplain.cli.drawing import SERVED, add_viewing, look, output_files, tell, write
from onnxplain.cli.output import printable

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
    add_model(parser, SERVED + ": a classifier, or what `convolutionalize` wrote")
    parser.add_argument("image", metavar="IMAGE", help="a PNG, JPEG or the like")
    parser.add_argument(
        "--channel",
        metavar="C",
        type=int,
        help="the class (default: the one with the strongest window)",
    )
    add_size(parser, WINDOW_HELP)
    add_viewing(parser, "IMAGE_slide")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Write the files, then say where the class is strongest and what was assumed."""
    default = f"{Path(arguments.image).stem}_slide.png"
    files = output_files(arguments, default, [arguments.image])
    found = look(
        arguments, "slide", [arguments.image], "sliding", channel=arguments.channel,
        size=arguments.size,
    )  # fmt: skip
    write(found, files)
    arrays = found.arrays()
    row, column = arrays["best"].tolist()
    top, left = row * arrays["stride"][0], column * arrays["stride"][1]
    label = f" ({arrays['label']})" if arrays["label"].item() else ""
    rows, columns = arrays["scores"].shape
    print(
        printable(
            f"channel {arrays['channel']}{label}: strongest {arrays['quantity']} "
            f"{arrays['scores'][row, column]:.4g} in the window from row {top}, column {left} on; "
            f"{rows} x {columns} windows"
        )
    )
    tell(found, files)
