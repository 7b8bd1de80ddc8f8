"""`onnxplain occlusion`: a class and a feature while a grey square slides over the picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from onnxplain.cli.arguments import add_class, add_model
from onnxplain.cli.drawing import SERVED, add_viewing, look, output_files, tell, write
from onnxplain.cli.output import printable

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "occlusion",
        help="draw what a covered picture still is to the network",
        description="Slide a grey square over a picture: draw the probability of its class and a "
        "feature's strength for each place of the square.",
        allow_abbrev=False,
    )
    add_model(parser, SERVED)
    parser.add_argument("image", metavar="IMAGE", help="a picture")
    parser.add_argument(
        "--layer", metavar="LAYER", help="tensor, node or module (default: the class score)"
    )
    parser.add_argument("--channel", metavar="C", type=int, help="default: its strongest")
    add_class(parser)
    parser.add_argument("--window", metavar="N", type=int, help="pixels (default: an eighth)")
    parser.add_argument("--stride", metavar="N", type=int, help="pixels (default: half of that)")
    add_viewing(parser, "IMAGE_occlusion")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Draw the picture and both maps."""
    default = f"{Path(arguments.image).stem}_occlusion.png"
    files = output_files(arguments, default, [arguments.image])
    found = look(
        arguments, "occlusion", [arguments.image], "covering", layer=arguments.layer,
        channel=arguments.channel, class_index=arguments.class_index, window=arguments.window,
        stride=arguments.stride,
    )  # fmt: skip
    write(found, files)
    arrays = found.arrays()
    probability, strength = arrays["untouched"].tolist()
    print(printable(f"{arrays['label']}: probability {probability:.4g}"))
    print(printable(f"channel {arrays['channel']} of {arrays['layer']}: strength {strength:.4g}"))
    tell(found, files)
