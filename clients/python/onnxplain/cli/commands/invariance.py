"""`onnxplain invariance`: how a network answers a picture that is moved, resized and turned."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from onnxplain.cli.arguments import add_class, add_model
from onnxplain.cli.drawing import SERVED, add_viewing, look, output_files, tell, write

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "invariance",
        help="draw how a network answers a picture moved, resized and turned",
        description="Translate, scale and rotate a picture: draw how far each layer's values go "
        "from those of the untouched picture, and the probability of its class.",
        allow_abbrev=False,
    )
    add_model(parser, SERVED)
    parser.add_argument("image", metavar="IMAGE", help="a picture")
    parser.add_argument(
        "--layer", metavar="LAYER", action="append", required=True, help="may be given often"
    )
    add_class(parser)
    add_viewing(parser, "IMAGE_invariance")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Draw the curves."""
    default = f"{Path(arguments.image).stem}_invariance.png"
    files = output_files(arguments, default, [arguments.image])
    found = look(
        arguments, "invariance", [arguments.image], "explaining", layers=arguments.layer,
        class_index=arguments.class_index,
    )  # fmt: skip
    write(found, files)
    tell(found, files)
