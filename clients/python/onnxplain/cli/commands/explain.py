"""`onnxplain explain`: draw what a layer's channels, or the predicted class, see in pictures."""

from __future__ import annotations

import argparse
import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxplain.cli.arguments import (
    add_method_options,
    add_model,
    add_path,
    add_seed,
    channel_list,
    chosen_method_options,
)
from onnxplain.cli.drawing import (
    SERVED,
    add_viewing,
    engine_choices,
    output_files,
    require_servers_choice,
    tell,
    write,
)
from onnxplain.cli.failures import UsageError
from onnxplain.cli.output import print_json, table, working
from onnxplain.cli.preprocessing import read_labels, read_preprocess
from onnxplain.engine.methods import own_options

if TYPE_CHECKING:
    from onnxplain.client import Result
    from onnxplain.engine import Engine, Explanation, View

__all__ = ["add_parser", "run", "units"]


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "explain",
        help="draw what the network sees in pictures",
        description="Draw what the network sees in pictures: without flags, the evidence for each "
        "picture's top class; with --layer, what excites that layer's channels.",
        allow_abbrev=False,
    )
    add_model(parser, SERVED)
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="a PNG, JPEG or the like")
    add_path(parser, ", or several with commas between, to be drawn side by side")
    parser.add_argument(
        "--channel",
        metavar="C[,C]|A:B|top:K|all|whole",
        type=units,
        help="channels of the layer, A to B - 1, its K strongest on each picture, all, or the "
        "layer as one (default: top:1)",
    )
    add_seed(parser, "all, max, or coordinates as in 5,7 (row, column)")
    add_method_options(parser, exported=False)
    add_viewing(parser, "IMAGE_METHOD")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Explain, write the files, print channels and scores, then tell what was assumed."""
    stem, method = Path(arguments.images[0]).stem, re.sub(r"\W", "_", arguments.method)
    files = output_files(arguments, f"{stem}_{method}.png", arguments.images)
    methods = arguments.method.split(",")
    if "" in methods:
        raise UsageError(f"--method {arguments.method}: a name is missing beside a comma")
    explain = _explained_there if arguments.server else _explained_here
    explanations = list(explain(arguments, methods))
    write(_together(explanations), files)
    if arguments.json:
        summaries = [_summary(arguments, explanation, files) for explanation in explanations]
        print_json(summaries if len(summaries) > 1 else summaries[0])
    else:
        for explanation in explanations:
            if len(explanations) > 1:
                print(f"{explanation.method} of {explanation.layer}:")
            print(_table(arguments.images, explanation))
    tell(_together(explanations), {} if arguments.json else files)


def _together(explanations: Sequence[Explanation]) -> View:
    from onnxplain.engine import SideBySide

    return explanations[0] if len(explanations) == 1 else SideBySide(tuple(explanations))


def _explained_here(arguments: argparse.Namespace, methods: list[str]) -> Iterator[Explanation]:
    engine: Engine | None = None
    for method in methods:
        with working(f"explaining by {method}") as progress:
            from onnxplain.engine import Engine

            engine = engine or Engine(**engine_choices(arguments))
            yield engine.explain(
                arguments.model,
                **_asked(arguments, method),
                preprocess=read_preprocess(arguments.preprocess),
                progress=progress,
                passes=progress.runs,
            )


def _explained_there(arguments: argparse.Namespace, methods: list[str]) -> Iterator[Explanation]:
    """Have a server explain, and take its answers as explanations, for them to draw themselves."""
    require_servers_choice(arguments)
    how = read_preprocess(arguments.preprocess)
    for method in methods:
        with working(f"waiting for {arguments.server}") as progress:
            from onnxplain.client import Client

            with Client(arguments.server) as client:
                result = client.explain(
                    arguments.model,
                    **_asked(arguments, method),
                    preprocess=None if how is None else asdict(how),
                    pictures=True,
                    progress=progress,
                    passes=progress.runs,
                )
        yield _received(result, arguments.images)


def _received(result: Result, images: Sequence[str]) -> Explanation:
    from onnxplain.engine import Explanation, Preprocess

    used = result.preprocess
    return Explanation(
        attribution=result.attribution,
        score=result.score,
        channels=result.channels,
        position=result.position,
        layer=result.layer,
        to=result.to,
        method=result.method,
        pictures=result.pictures,
        labels=result.labels,
        completeness_error=result.completeness_error,
        seed_value=result.seed_value,
        preprocess=None if used is None else Preprocess(**used),
        notes=result.notes,
        names=tuple(os.path.basename(image) for image in images),
    )


def _asked(arguments: argparse.Namespace, method: str) -> dict[str, Any]:
    """Return what the engine and the client are both asked, in the words that both understand."""
    methods = arguments.method.split(",")
    own = own_options(chosen_method_options(arguments), method, methods)
    return {
        "images": arguments.images,
        "layer": arguments.layer,
        "method": method,
        "units": arguments.channel,
        "position": _position(arguments.position),
        "seed_value": arguments.seed_value,
        "to": arguments.to,
        "unpool": arguments.unpool,
        "channel_axis": arguments.channel_axis,
        "labels": read_labels(arguments.labels),
        **own,
    }


def units(text: str) -> str | tuple[int, ...]:
    """Parse '3,7' and '0:4' into channels, and leave words alone."""
    return text if text in ("all", "whole") or text.startswith("top:") else channel_list(text)


def _position(text: str | None) -> str | tuple[int, ...] | None:
    """Parse '5,7' into (5, 7), and leave words alone."""
    if text is None or not re.fullmatch(r"\s*-?\d+\s*(,\s*-?\d+\s*)*", text):
        return text
    return tuple(int(number) for number in text.split(","))


def _rows(explanation: Explanation, image: int) -> list[dict[str, Any]]:
    """Return what is known of each unit of one picture."""
    rows = []
    for unit, channel in enumerate(explanation.channels[image].tolist()):
        where, error = explanation.position, explanation.completeness_error
        row = {
            "channel": channel,
            "label": (explanation.labels[channel : channel + 1] or ("",))[0],
            "score": _finite(explanation.score[image, unit]),
            "position": None if where is None else where[image, unit].tolist(),
        }
        if explanation.seed_value == "activation":
            row["activity"] = _finite(explanation.strength[image, unit])
        if error is not None:
            row["completeness_error"] = _finite(error[image, unit])
        rows.append(row)
    return rows


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def _table(images: list[str], explanation: Explanation) -> str:
    """Return one line a unit: how active it is, and by how much a law of conservation is missed."""
    lines, value, error = [], explanation.strength_name, "completeness_error"
    for i, image in enumerate(images):
        for j, row in enumerate(_rows(explanation, i)):
            where = ",".join(str(p) for p in row["position"] or [])
            name = os.path.basename(image) if j == 0 else ""
            missed = _shown(row[error]) if error in row else ""
            lines.append(
                (name, _channel(row["channel"]), row["label"], _shown(row[value]), where, missed)
            )
    header = ("picture", "channel", "label", value, "position", "completeness error")
    return table(header, lines)


def _channel(number: int) -> str:
    return "whole" if number < 0 else str(number)


def _shown(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4g}"


def _summary(
    arguments: argparse.Namespace, explanation: Explanation, files: dict[str, str]
) -> dict[str, Any]:
    used = explanation.preprocess
    return {
        "model": arguments.model,
        "layer": explanation.layer,
        "method": explanation.method,
        "to": explanation.to,
        "preprocess": None if used is None else asdict(used),
        "notes": list(explanation.notes),
        "files": files,
        "images": [
            {"image": image, "units": _rows(explanation, i)}
            for i, image in enumerate(arguments.images)
        ],
    }
