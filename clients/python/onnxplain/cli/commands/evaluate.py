"""`onnxplain evaluate`: how true the methods' maps of the predicted class are, in numbers."""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxplain.cli.arguments import add_model
from onnxplain.cli.drawing import SERVED, add_where, engine_choices, require_servers_choice
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
    add_model(parser, SERVED)
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
    add_where(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, with the curves")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print one row for each method."""
    masks = _masks(arguments.masks, arguments.images)
    asked = {
        "methods": arguments.method.split(",") if arguments.method else [],
        "masks": masks,
        "randomize": arguments.randomize,
    }
    evaluated = _evaluated_there if arguments.server else _evaluated_here
    found = evaluated(arguments, asked)
    if arguments.json:
        print_json([_row(evaluation) for evaluation in found])
        return
    header = ("method", "deletion", "insertion", "pointing", "mass", "randomized, top layer to all")
    print(table(header, [_line(evaluation) for evaluation in found]))


def _evaluated_here(arguments: argparse.Namespace, asked: dict[str, Any]) -> list[Evaluation]:
    with working("evaluating") as progress:
        from onnxplain.engine import Engine, class_methods, evaluate

        return evaluate(
            Engine(**engine_choices(arguments)),
            arguments.model,
            arguments.images,
            **{**asked, "methods": asked["methods"] or class_methods()},
            preprocess=read_preprocess(arguments.preprocess),
            progress=progress,
        )


def _evaluated_there(arguments: argparse.Namespace, asked: dict[str, Any]) -> list[Evaluation]:
    """Have a server evaluate, and take its answer as evaluations."""
    require_servers_choice(arguments)
    with working(f"waiting for {arguments.server}") as progress:
        import numpy as np

        from onnxplain.client import Client
        from onnxplain.engine import Evaluation

        how = read_preprocess(arguments.preprocess)
        with Client(arguments.server) as client:
            found = client.evaluate(
                arguments.model,
                arguments.images,
                **asked,
                preprocess=None if how is None else asdict(how),
                progress=progress,
            )
        return [
            Evaluation(
                method=one.method,
                deletion=np.array(one.deletion),
                insertion=np.array(one.insertion),
                pointing=one.pointing if one.HasField("pointing") else None,
                mass=one.mass if one.HasField("mass") else None,
                randomization=np.array(one.randomization),
            )
            for one in found
        ]


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
