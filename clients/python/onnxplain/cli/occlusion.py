"""`onnxplain occlusion`: a class and a feature while a grey square slides over the picture."""

from __future__ import annotations

import argparse
from typing import Any

from onnxplain.cli.arguments import add_class, add_model, add_run
from onnxplain.cli.output import check_writable, printable, save_arrays, working
from onnxplain.cli.preprocessing import read_labels, read_preprocess

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
    add_model(parser)
    parser.add_argument("image", metavar="IMAGE", help="a picture")
    parser.add_argument("--layer", metavar="LAYER", required=True, help="tensor, node or module")
    parser.add_argument("--channel", metavar="C", type=int, help="default: its strongest")
    add_class(parser)
    parser.add_argument("--window", metavar="N", type=int, help="pixels (default: an eighth)")
    parser.add_argument("--stride", metavar="N", type=int, help="pixels (default: half of that)")
    add_run(parser, "occlusion.png")
    parser.add_argument("--npz", metavar="FILE.npz", help="file to write both maps to")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Draw the picture and both maps."""
    written = [path for path in (arguments.output, arguments.npz) if path]
    for path in written:
        check_writable(path, arguments.model, arguments.image)
    with working("covering") as progress:
        from onnxplain.engine import Engine, covered, draw_covered

        found = covered(
            Engine(arguments.device or "auto"),
            arguments.model,
            arguments.image,
            arguments.layer,
            arguments.channel,
            class_=arguments.class_,
            window=arguments.window,
            stride=arguments.stride,
            labels=read_labels(arguments.labels),
            preprocess=read_preprocess(arguments.preprocess),
            progress=progress,
        )
        draw_covered(found).save(arguments.output)
        if arguments.npz:
            maps = {"probability": found.probability, "strength": found.strength}
            save_arrays(arguments.npz, maps)
    probability, strength = found.untouched
    print(printable(f"{found.label}: probability {probability:.4g}"))
    print(printable(f"channel {found.channel} of {found.layer}: strength {strength:.4g}"))
    for path in written:
        print(printable(f"wrote {path}"))
