"""`onnxplain top`: the pictures of a folder that excite each feature of a layer most."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from onnxplain.cli.arguments import add_model, add_run, channel_list
from onnxplain.cli.output import check_writable, print_json, printable, table, working
from onnxplain.cli.preprocessing import read_preprocess

__all__ = ["add_parser", "run"]

PICTURES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "top",
        help="draw what excites features most, of a folder of pictures",
        description="Draw, for each channel, the pictures of a folder that excite it most: the "
        "patch that the unit sees where it is strongest, and its projection.",
        allow_abbrev=False,
    )
    add_model(parser)
    parser.add_argument("folder", metavar="FOLDER", help="a folder of pictures")
    parser.add_argument("--layer", metavar="LAYER", required=True, help="tensor, node or module")
    parser.add_argument(
        "--channel", metavar="C[,C]|A:B", type=channel_list, required=True, help="its channels"
    )
    parser.add_argument("--count", metavar="N", type=int, default=9, help="pictures (default: 9)")
    parser.add_argument(
        "--method", metavar="METHOD", default="deconvnet", help="of the projection (deconvnet)"
    )
    add_run(parser, "top.png")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Draw the patches, and print where they are."""
    check_writable(arguments.output, arguments.model)
    pictures = _pictures(arguments.folder)
    with working("looking for the strongest") as progress:
        from onnxplain.engine import Engine, draw_strongest, strongest_pictures
        from onnxplain.graphops.errors import OptionError

        if arguments.count < 1:
            raise OptionError(f"--count {arguments.count}: give 1 or more")
        found = strongest_pictures(
            Engine(arguments.device or "auto"),
            arguments.model,
            pictures,
            arguments.layer,
            arguments.channel,
            arguments.count,
            arguments.method,
            preprocess=read_preprocess(arguments.preprocess),
            progress=progress,
        )
        draw_strongest(found, arguments.layer, arguments.method).save(arguments.output)
    rows = [
        {
            "channel": one.channel,
            "picture": str(one.picture),
            "score": one.score,
            "position": list(one.position),
            "box": list(one.box),
        }
        for row in found
        for one in row
    ]
    if arguments.json:
        print_json(rows)
        return
    lines = [
        (str(one.channel), str(one.picture), f"{one.score:.4g}", ",".join(map(str, one.position)))
        for row in found
        for one in row
    ]
    print(table(("channel", "picture", "score", "position"), lines))
    print(printable(f"wrote {arguments.output}"))


def _pictures(folder: str) -> list[str]:
    from onnxplain.graphops.errors import MissingFile

    path = Path(folder)
    if not path.is_dir():
        raise MissingFile(f"no folder '{folder}'")
    found = sorted(str(p) for p in path.iterdir() if p.suffix.lower() in PICTURES)
    if not found:
        raise MissingFile(f"no pictures in '{folder}': give a folder of PNG, JPEG or the like")
    return found
