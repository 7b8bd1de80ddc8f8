"""`onnxplain convolutionalize`: rewrite a classifier into a sliding window."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from onnxplain.cli.arguments import add_model, add_size
from onnxplain.cli.commands.layers import axes_text
from onnxplain.cli.drawing import LOCAL_OR_SERVED, add_server
from onnxplain.cli.output import check_writable, printable
from onnxplain.cli.progress import working

if TYPE_CHECKING:
    import onnx

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "convolutionalize",
        help="rewrite a classifier into a sliding window over larger pictures",
        description="Write a classifier as a fully convolutional network: dense layers become "
        "convolutions, and a larger picture yields the scores of each of its windows. See "
        "docs/sliding-window.md for the effect of padding.",
        allow_abbrev=False,
    )
    add_model(parser, LOCAL_OR_SERVED)
    add_size(parser, "the window's height and width, if the model leaves its picture's size free")
    parser.add_argument("-o", "--output", metavar="OUT.onnx", required=True, help="file to write")
    add_server(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Write the network, then print the size, stride and padding of its windows."""
    check_writable(arguments.output, *([] if arguments.server else [arguments.model]))
    with working("rewriting the model"):
        from onnxplain import graphops

        sliding = (_remote if arguments.server else _local)(arguments)
        graphops.save(sliding, arguments.output)
    facts = json.loads(graphops.read_metadata(sliding)["onnxplain.sliding"])
    print(printable(f"wrote {arguments.output}: '{facts['output']}' is a map of windows"))
    print(f"  window   {'x'.join(map(str, facts['window']))} pixels")
    print(f"  stride   {axes_text(facts['stride'])} pixels")
    padded = facts["padded"]
    if padded:
        print(
            printable(
                f"  padding  {len(padded)} of its nodes pad (the first: {padded[0]}): scores "
                "differ from those of windows cut out of the picture"
            )
        )
    else:
        print("  padding  none: scores equal those of windows cut out of the picture")


def _local(arguments: argparse.Namespace) -> onnx.ModelProto:
    from onnxplain import graphops

    return graphops.convolutionalize(arguments.model, arguments.size)


def _remote(arguments: argparse.Namespace) -> onnx.ModelProto:
    import onnx

    from onnxplain.cli.connecting import connect

    with connect(arguments.server) as client:
        return onnx.load_from_string(client.convolutionalize(arguments.model, arguments.size))
