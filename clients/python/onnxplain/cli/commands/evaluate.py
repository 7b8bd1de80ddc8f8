"""`onnxplain evaluate`: measure how faithful the methods' maps of the predicted class are."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxplain.cli.arguments import add_model
from onnxplain.cli.class_argument import add_class, chosen_class
from onnxplain.cli.drawing import (
    LOCAL_OR_SERVED,
    add_runtime,
    forbid_engine_flags,
    local_engine,
)
from onnxplain.cli.inputs import IMAGE_HELP, opened, opened_once
from onnxplain.cli.output import print_json, printable, table
from onnxplain.cli.preprocessing import LABELS_HELP, PREPROCESS_HELP
from onnxplain.cli.progress import working

if TYPE_CHECKING:
    from onnxplain.engine import Evaluation, Evaluations

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "evaluate",
        help="measure how faithful the methods' maps are",
        description="Measure the maps of each picture's predicted class: the areas under the "
        "deletion curve (lower is better) and the insertion curve (higher is better); with "
        "--masks, how often the strongest pixel lies in the mask, and the fraction of the map's "
        "mass in it; with --randomize, how similar the maps stay while layers are shuffled from "
        "the top down (lower is better). Maps of noise are measured for comparison.",
        allow_abbrev=False,
    )
    add_model(parser, LOCAL_OR_SERVED)
    parser.add_argument("images", metavar="IMAGE", nargs="+", help=IMAGE_HELP)
    parser.add_argument(
        "--method",
        metavar="M[,M]",
        help="methods (default: all that explain a class, see `onnxplain methods`)",
    )
    add_class(parser, "the class to measure, instead of each picture's predicted one")
    parser.add_argument("--labels", metavar="FILE", help=LABELS_HELP)
    parser.add_argument(
        "--masks",
        metavar="FOLDER",
        help="folder with a mask of the same name for each picture, light where the class is",
    )
    parser.add_argument(
        "--randomize",
        metavar="N",
        type=int,
        default=0,
        help="number of pictures for the randomisation check (default: 0, no check)",
    )
    parser.add_argument("--preprocess", metavar="HOW", help=PREPROCESS_HELP)
    add_runtime(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, with the curves")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print one line per method."""
    methods = arguments.method.split(",") if arguments.method else []
    masks = _masks(arguments.masks, arguments.images)
    evaluate = _evaluate_remotely if arguments.server else _evaluate_locally
    opened_once(arguments.images)
    arguments.images = opened(arguments.images)
    evaluations = evaluate(arguments, methods, masks)
    if arguments.json:
        refused = [{"method": m, "refused": reason} for m, reason in evaluations.refused.items()]
        print_json([*map(_summary, evaluations), *refused])
        return
    if any(evaluation.quantity == "value" for evaluation in evaluations):
        print(
            "The curves are of the value; in their areas, untouched pictures count 1, blank ones 0."
        )
    header = ("method", "deletion", "insertion", "pointing", "mass", "randomized, top layer to all")
    print(table(header, [_line(evaluation) for evaluation in evaluations]))
    for method, reason in evaluations.refused.items():
        print(printable(f"onnxplain: {method} is left out: {reason}"), file=sys.stderr)


def _evaluate_locally(
    arguments: argparse.Namespace, methods: list[str], masks: list[str]
) -> Evaluations:
    with working("evaluating") as progress:
        return local_engine(arguments).evaluate(
            arguments.model,
            arguments.images,
            methods=methods or None,
            class_index=chosen_class(arguments, arguments.class_name),
            masks=masks,
            randomize=arguments.randomize,
            preprocess=arguments.preprocess,
            progress=progress,
        )


def _evaluate_remotely(
    arguments: argparse.Namespace, methods: list[str], masks: list[str]
) -> Evaluations:
    forbid_engine_flags(arguments)
    with working(f"waiting for {arguments.server}") as progress:
        import numpy as np

        from onnxplain.cli.connecting import connect
        from onnxplain.engine import Evaluation, Evaluations

        with connect(arguments.server) as client:
            value = client.check(arguments.model).quantity == "value"
            quantity = "value" if value else "probability"
            messages = client.evaluate(
                arguments.model,
                arguments.images,
                methods=methods,
                class_index=chosen_class(arguments, arguments.class_name),
                masks=masks,
                randomize=arguments.randomize,
                preprocess=arguments.preprocess,
                progress=progress,
            )
        evaluations = [
            Evaluation(
                method=message.method,
                deletion=np.array(message.deletion),
                insertion=np.array(message.insertion),
                pointing=message.pointing if message.HasField("pointing") else None,
                mass=message.mass if message.HasField("mass") else None,
                randomization=np.array(message.randomization),
                quantity=quantity,
            )
            for message in messages
        ]
        return Evaluations(evaluations, messages.refused)


def _masks(folder: str | None, images: list[str]) -> list[str]:
    """Return the mask of each picture: the folder's file of the same name, but for its suffix."""
    from onnxplain.graphops.errors import MissingFile, missing_file

    if folder is None:
        return []
    if not os.path.isdir(folder):
        raise missing_file(folder, f"'{folder}' of masks", "folder")
    by_stem = {path.stem: str(path) for path in sorted(Path(folder).iterdir())}
    for image in images:
        if Path(image).stem not in by_stem:
            raise MissingFile(f"no mask for '{image}' in '{folder}': add one of the same name")
    return [by_stem[Path(image).stem] for image in images]


def _line(evaluation: Evaluation) -> tuple[str, ...]:
    areas = (evaluation.deletion_area, evaluation.insertion_area)
    values = (*areas, evaluation.pointing, evaluation.mass)
    numbers = ["" if value is None else f"{value:.3f}" for value in values]
    steps = evaluation.randomization
    shown = [steps[i] for i in (0, len(steps) // 2, -1)] if len(steps) > 2 else list(steps)
    return (evaluation.method, *numbers, " ".join(f"{s:.2f}" for s in shown))


def _summary(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "method": evaluation.method,
        "quantity": evaluation.quantity,
        "deletion": {"area": evaluation.deletion_area, "curve": evaluation.deletion.tolist()},
        "insertion": {"area": evaluation.insertion_area, "curve": evaluation.insertion.tolist()},
        "pointing": evaluation.pointing,
        "mass": evaluation.mass,
        "randomization": evaluation.randomization.tolist(),
    }
