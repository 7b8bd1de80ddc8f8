"""`onnxplain invariance`: how a network answers a picture that is moved, resized and turned."""

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
        "invariance",
        help="draw how a network answers a picture moved, resized and turned",
        description="Translate, scale and rotate a picture: draw how far each layer's values go "
        "from those of the untouched picture, and the probability of its class.",
        allow_abbrev=False,
    )
    add_model(parser)
    parser.add_argument("image", metavar="IMAGE", help="a picture")
    parser.add_argument(
        "--layer", metavar="LAYER", action="append", required=True, help="may be given often"
    )
    add_class(parser)
    add_run(parser, "invariance.png")
    parser.add_argument("--npz", metavar="FILE.npz", help="file to write the curves to")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Draw the curves."""
    written = [path for path in (arguments.output, arguments.npz) if path]
    for path in written:
        check_writable(path, arguments.model, arguments.image)
    with working("explaining") as progress:
        from onnxplain.engine import Engine, draw_invariance, invariance

        found = invariance(
            Engine(arguments.device or "auto"),
            arguments.model,
            arguments.image,
            arguments.layer,
            arguments.class_,
            labels=read_labels(arguments.labels),
            preprocess=read_preprocess(arguments.preprocess),
            progress=progress,
        )
        draw_invariance(found).save(arguments.output)
        if arguments.npz:
            arrays = {}
            for one in found:
                arrays[f"{one.change}.amounts"] = one.amounts
                arrays[f"{one.change}.probability"] = one.probability
                arrays |= {f"{one.change}.distance.{k}": v for k, v in one.distance.items()}
            save_arrays(arguments.npz, arrays)
    for path in written:
        print(printable(f"wrote {path}"))
