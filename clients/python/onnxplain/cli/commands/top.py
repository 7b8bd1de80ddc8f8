"""`onnxplain top`: the pictures of a folder that excite each feature of a layer most."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from onnxplain.cli.arguments import add_model, channel_list
from onnxplain.cli.drawing import SERVED, add_viewing, look, output_files, tell, write
from onnxplain.cli.output import print_json, table

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
    add_model(parser, SERVED)
    parser.add_argument("folder", metavar="FOLDER", help="a folder of pictures")
    parser.add_argument("--layer", metavar="LAYER", required=True, help="tensor, node or module")
    parser.add_argument(
        "--channel", metavar="C[,C]|A:B", type=channel_list, required=True, help="its channels"
    )
    parser.add_argument("--count", metavar="N", type=int, default=9, help="pictures (default: 9)")
    parser.add_argument(
        "--method", metavar="METHOD", default="deconvnet", help="of the projection (deconvnet)"
    )
    add_viewing(parser, "top")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Draw the patches, and print where they are."""
    pictures = _pictures(arguments.folder)
    files = output_files(arguments, "top.png", pictures)
    found = look(
        arguments, "top", pictures, "looking for the strongest", layer=arguments.layer,
        channels=arguments.channel, count=arguments.count, method=arguments.method,
        names=[Path(picture).name for picture in pictures],
    )  # fmt: skip
    write(found, files)
    arrays = found.arrays()
    rows = [
        {
            "channel": channel,
            "picture": pictures[arrays["picture"][r, i]],
            "score": arrays["score"][r, i].item(),
            "position": arrays["position"][r, i].tolist(),
            "box": arrays["box"][r, i].tolist(),
        }
        for r, channel in enumerate(arrays["channels"].tolist())
        for i in range(arrays["picture"].shape[1])
    ]
    if arguments.json:
        print_json(rows)
        return
    lines = [
        (str(r["channel"]), r["picture"], f"{r['score']:.4g}", ",".join(map(str, r["position"])))
        for r in rows
    ]
    print(table(("channel", "picture", "score", "position"), lines))
    tell(found, files)


def _pictures(folder: str) -> list[str]:
    from onnxplain.graphops.errors import MissingFile

    path = Path(folder)
    if not path.is_dir():
        raise MissingFile(f"no folder '{folder}'")
    found = sorted(str(p) for p in path.iterdir() if p.suffix.lower() in PICTURES)
    if not found:
        raise MissingFile(f"no pictures in '{folder}': give a folder of PNG, JPEG or the like")
    return found
