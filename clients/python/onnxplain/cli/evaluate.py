"""`onnxplain evaluate`: how true the methods' maps of the predicted class are, in numbers."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxplain.cli.arguments import add_model
from onnxplain.cli.output import print_json, table, working
from onnxplain.cli.preprocessing import PREPROCESS_HELP, read_preprocess

if TYPE_CHECKING:
    from onnxplain.engine import Evaluation

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "evaluate",
        help="measure how true the methods' maps are",
        description="Measure the maps of each picture's predicted class: the areas under the "
        "deletion curve (lower is better) and the insertion curve (higher is); with --masks how "
        "often the strongest pixel lies in the mask, and how much of the strength; with "
        "--randomize how alike the maps stay while layers are shuffled from the top down (lower "
        "is better). Maps of noise are measured beside them.",
        allow_abbrev=False,
    )
    add_model(parser)
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="pictures")
    parser.add_argument(
        "--method",
        metavar="M[,M]",
        help="methods (default: all that explain a class, see `onnxplain methods`)",
    )
    parser.add_argument(
        "--masks", metavar="FOLDER", help="a mask for each picture, of the same name, light inside"
    )
    parser.add_argument(
        "--randomize",
        metavar="N",
        type=int,
        default=0,
        help="make the randomisation check, with so many of the pictures (default: 0, not at all)",
    )
    parser.add_argument("--preprocess", metavar="HOW", help=PREPROCESS_HELP)
    parser.add_argument("--device", metavar="DEVICE", help="auto (default), cpu, cuda or cuda:N")
    parser.add_argument("--json", action="store_true", help="print JSON, with the curves")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print one row for each method."""
    masks = _masks(arguments.masks, arguments.images)
    with working("evaluating") as progress:
        from onnxplain.engine import Engine, class_methods, evaluate

        given = arguments.method
        found = evaluate(
            Engine(arguments.device or "auto"),
            arguments.model,
            arguments.images,
            given.split(",") if given else class_methods(),
            masks=masks,
            randomize=arguments.randomize,
            preprocess=read_preprocess(arguments.preprocess),
            progress=progress,
        )
    if arguments.json:
        print_json([_row(evaluation) for evaluation in found])
        return
    header = ("method", "deletion", "insertion", "pointing", "mass", "randomized, top layer to all")
    print(table(header, [_line(evaluation) for evaluation in found]))


def _masks(folder: str | None, images: list[str]) -> list[str]:
    """Return the mask of each picture: the file of its name in the folder, whatever its ending."""
    from onnxplain.graphops.errors import MissingFile

    if folder is None:
        return []
    if not os.path.isdir(folder):
        raise MissingFile(f"no folder '{folder}' of masks")
    by_stem = {path.stem: str(path) for path in sorted(Path(folder).iterdir())}
    for image in images:
        if Path(image).stem not in by_stem:
            raise MissingFile(f"no mask for '{image}' in '{folder}': give one of the same name")
    return [by_stem[Path(image).stem] for image in images]


def _line(found: Evaluation) -> tuple[str, ...]:
    values = (found.deletion_area, found.insertion_area, found.pointing, found.mass)
    numbers = ["" if value is None else f"{value:.3f}" for value in values]
    steps = found.randomization
    shown = [steps[i] for i in (0, len(steps) // 2, -1)] if len(steps) > 2 else list(steps)
    return (found.method, *numbers, " ".join(f"{s:.2f}" for s in shown))


def _row(found: Evaluation) -> dict[str, Any]:
    return {
        "method": found.method,
        "deletion": {"area": found.deletion_area, "curve": found.deletion.tolist()},
        "insertion": {"area": found.insertion_area, "curve": found.insertion.tolist()},
        "pointing": found.pointing,
        "mass": found.mass,
        "randomization": found.randomization.tolist(),
    }
