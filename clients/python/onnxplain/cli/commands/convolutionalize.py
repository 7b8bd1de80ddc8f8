"""`onnxplain convolutionalize`: write a classifier that slides over larger pictures."""

from __future__ import annotations

import argparse
import json
from typing import Any

from onnxplain.cli.arguments import add_model, add_size
from onnxplain.cli.commands.layers import axes_text
from onnxplain.cli.output import check_writable, printable, working

__all__ = ["WINDOW_HELP", "add_parser", "run"]

WINDOW_HELP = "the window's height and width, where the model leaves its picture's size free"


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "convolutionalize",
        help="write a classifier as a network that gives class maps of larger pictures",
        description="Write a classifier as a fully convolutional network: dense layers become "
        "convolutions, and a larger picture gives the scores of every window of it. See "
        "docs/sliding-window.md for what padding changes.",
        allow_abbrev=False,
    )
    add_model(parser)
    add_size(parser, WINDOW_HELP)
    parser.add_argument("-o", "--output", metavar="OUT.onnx", required=True, help="file to write")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Write the network, then say what its windows are."""
    check_writable(arguments.output, arguments.model)
    with working("rewriting the model"):
        from onnxplain import graphops

        made = graphops.convolutionalize(graphops.load(arguments.model), arguments.size)
        graphops.save(made, arguments.output)
    facts = json.loads(graphops.read_metadata(made)["onnxplain.sliding"])
    print(printable(f"wrote {arguments.output}: a map of windows, '{facts['output']}'"))
    print(f"  window   {'x'.join(map(str, facts['window']))} pixels")
    print(f"  stride   {axes_text(facts['stride'])} pixels")
    padded = facts["padded"]
    if padded:
        print(
            printable(
                f"  padding  {len(padded)} of its nodes pad (the first: {padded[0]}): scores "
                "differ from those of windows cut out"
            )
        )
    else:
        print("  padding  none: scores equal those of windows cut out")
