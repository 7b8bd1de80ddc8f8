"""`onnxplain training`: one layer's features at several checkpoints of a network's training."""

from __future__ import annotations

import argparse
from typing import Any

from onnxplain.cli.arguments import add_run
from onnxplain.cli.explain import units
from onnxplain.cli.output import check_writable, printable, working
from onnxplain.cli.preprocessing import read_preprocess

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
        "models", metavar="MODEL", nargs="+", help="ONNX files of the checkpoints, the last last"
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
    add_run(parser, "training.png")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Draw the grid."""
    check_writable(arguments.output, *arguments.models, arguments.image)
    with working("explaining the checkpoints") as progress:
        from onnxplain.engine import Engine, draw_training, through_training

        found = through_training(
            Engine(arguments.device or "auto"),
            arguments.models,
            arguments.image,
            arguments.layer,
            arguments.method,
            arguments.channel,
            preprocess=read_preprocess(arguments.preprocess),
            progress=progress,
        )
        draw_training(found, arguments.models).save(arguments.output)
    print(printable(f"wrote {arguments.output}"))
