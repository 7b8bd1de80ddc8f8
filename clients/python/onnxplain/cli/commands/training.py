"""`onnxplain training`: one layer's features at several checkpoints of a network's training."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from onnxplain.cli.commands.explain import units
from onnxplain.cli.drawing import add_viewing, look, output_files, tell, write

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "training",
        help="draw a layer's features through training",
        description="Draw the same channels of a layer at several checkpoints, one row a channel, "
        "one column a checkpoint.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "models",
        metavar="MODEL",
        nargs="+",
        help="ONNX files of the checkpoints, or with --server models there; the last last",
    )
    parser.add_argument("--image", metavar="IMAGE", required=True, help="a picture")
    parser.add_argument("--layer", metavar="LAYER", help="tensor, node or module")
    parser.add_argument(
        "--channel",
        metavar="C[,C]|A:B|top:K",
        type=units,
        help="channels, or the last checkpoint's K strongest (default: top:1)",
    )
    parser.add_argument("--method", metavar="METHOD", default="deconvnet", help="deconvnet")
    add_viewing(parser, "IMAGE_training")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Draw the grid."""
    default = f"{Path(arguments.image).stem}_training.png"
    files = output_files(arguments, default, [arguments.image])
    *earlier, arguments.model = arguments.models
    found = look(
        arguments, "training", [arguments.image], "explaining the checkpoints", earlier,
        layer=arguments.layer, method=arguments.method, units=arguments.channel,
    )  # fmt: skip
    write(found, files)
    tell(found, files)
