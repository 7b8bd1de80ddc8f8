"""`onnxplain explain`: draw what excites a layer's channels, or a class, in pictures."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from onnxplain.cli.arguments import (
    add_method_options,
    add_model,
    add_path,
    add_seed,
    channel_list,
    chosen_method_options,
)
from onnxplain.cli.class_argument import add_class, chosen_class
from onnxplain.cli.drawing import (
    LOCAL_OR_SERVED,
    add_drawing,
    forbid_engine_flags,
    local_engine,
    output_files,
    report,
    write,
)
from onnxplain.cli.explanation_text import summary_of, table_of
from onnxplain.cli.failures import UsageError
from onnxplain.cli.inputs import (
    IMAGE_HELP,
    add_inputs,
    given_arrays,
    image_names,
    named_inputs,
    opened,
    opened_once,
    read_region,
    stem,
)
from onnxplain.cli.output import print_json
from onnxplain.cli.progress import working
from onnxplain.engine.labels import read_labels
from onnxplain.engine.methods import METHODS, own_options

if TYPE_CHECKING:
    from onnxplain.client import Result
    from onnxplain.engine import Explanation, SideBySide

__all__ = ["add_parser", "run", "units"]

# What a server says of a method that cannot explain the network: the others' results stand.
REFUSALS = ("OptionError", "UnsupportedModel", "UnsupportedOperator")


EPILOG = """\
examples:
  onnxplain explain model.onnx cat.jpg --method grad_cam,guided_backprop,lrp -o cat.pdf
  onnxplain explain model.onnx cat.jpg --class tabby --labels imagenet
  onnxplain explain model.onnx cat.jpg --layer features.10 --channel top:9 --npz cat.npz

printed for each unit:
  score        of a class, the network's output before the Softmax
  activity     of a channel elsewhere: at its position, or summed over all positions; the norm of
               that, without its sign, for deconvnet, LRP and other methods that start with it
  probability  of a class, where the network ends in a Softmax or Sigmoid
  position     in the layer, where the signal starts at one
  completeness error
               of methods whose maps add up to a known sum: what is missing from it
With --json they are keys of images[].units[], beside channel and label; the probability is a
fraction. Several methods are a list, in which {"method", "refused"} stands for one left out.
"""


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "explain",
        help="draw what the network sees in pictures",
        description="Draw what the network sees in pictures: by default, the evidence for each\n"
        "picture's top class; with --layer, what excites that layer's channels.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_model(parser, LOCAL_OR_SERVED)
    parser.add_argument(
        "images",
        metavar="IMAGE",
        nargs="+",
        help=f"{IMAGE_HELP}; or a .npy or .npz file of the network's input, one or a batch",
    )
    add_inputs(parser)
    add_path(parser, METHODS, ", or several separated by commas, drawn side by side")
    parser.add_argument(
        "--channel",
        metavar="C[,C]|A:B|top:K|all|whole",
        type=units,
        help="channels of the layer: numbers, A to B - 1, the K strongest on each picture, all, or "
        "the whole layer as one (default: top:1)",
    )
    add_class(parser, "the class to explain, a channel of the class score", several=True)
    add_seed(parser, "all, max, or a row and a column such as 5,7")
    add_method_options(parser, exported=False)
    add_drawing(parser, "IMAGE_METHOD")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Explain, write the files, print channels and scores, then the notes."""
    method = re.sub(r"\W", "_", arguments.method)
    others = [path for _, path in arguments.inputs]
    paths = [*arguments.images, *others, *filter(None, [arguments.region])]
    files = output_files(arguments, f"{stem(arguments.images[0])}_{method}.png", paths)
    methods = arguments.method.split(",")
    if "" in methods:
        raise UsageError(f"--method {arguments.method}: a name is missing before or after a comma")
    if len(set(methods)) < len(methods):
        raise UsageError(f"--method {arguments.method}: a method is named twice, name each once")
    _choose_class(arguments, methods)
    opened_once(paths)
    explain = _explain_remotely if arguments.server else _explain_locally
    view = explain(arguments, methods, _common(arguments))
    written = write(view, files, arguments)
    if arguments.json:
        print_json(_summary(arguments, view, files))
    else:
        print(_table(arguments.images, view))
    report(view, () if arguments.json else written)


def _summary(
    arguments: argparse.Namespace, view: Explanation | SideBySide, files: dict[str, str]
) -> dict[str, Any] | list[dict[str, Any]]:
    """Return the summary of one method, or a list of those of several, refused ones last."""
    if not isinstance(view, Mapping):
        return summary_of(arguments, view, files)
    refused = [{"method": name, "refused": reason} for name, reason in view.refused.items()]
    return [*(summary_of(arguments, one, files) for one in view.values()), *refused]


def _table(images: list[str], view: Explanation | SideBySide) -> str:
    if not isinstance(view, Mapping):
        return table_of(images, view)
    parts = [f"{one.method} of {one.layer}:\n{table_of(images, one)}" for one in view.values()]
    return "\n".join(parts)


def _choose_class(arguments: argparse.Namespace, methods: Sequence[str]) -> None:
    """Set the units to those of --class. Raises UsageError where it does not name them."""
    if arguments.class_name is None:
        return
    if arguments.channel is not None:
        raise UsageError("--class and --channel both name the units: leave one of them out")
    maps = all(METHODS[m].over == "map" for m in methods if m in METHODS)
    if (arguments.layer is not None and not maps) or arguments.score_layer is not None:
        flag = "--layer" if arguments.score_layer is None else "--score-layer"
        raise UsageError(
            f"--class names a class of the class score, not a channel of {flag}: leave {flag} out, "
            "or name the channel by --channel"
        )
    arguments.channel = tuple(chosen_class(arguments, name) for name in arguments.class_name)


def _explain_locally(
    arguments: argparse.Namespace, methods: list[str], common: dict[str, Any]
) -> Explanation | SideBySide:
    with working(f"explaining by {', '.join(methods)}") as progress:
        return local_engine(arguments).explain(
            arguments.model,
            **common,
            method=methods if len(methods) > 1 else methods[0],
            **chosen_method_options(arguments),
            bands=arguments.bands,
            progress=progress,
            passes=progress.runs,
        )


def _explain_remotely(
    arguments: argparse.Namespace, methods: list[str], common: dict[str, Any]
) -> Explanation | SideBySide:
    """Return a server's results as explanations, to be drawn on this machine."""
    forbid_engine_flags(arguments)
    from onnxplain.cli.connecting import connect
    from onnxplain.client import ClientError
    from onnxplain.engine import SideBySide

    found: list[Explanation] = []
    errors: dict[str, ClientError] = {}
    with connect(arguments.server) as client:
        for method in methods:
            own = own_options(chosen_method_options(arguments), method, methods)
            try:
                with working(f"explaining by {method} on {arguments.server}") as progress:
                    result = client.explain(
                        arguments.model,
                        **common,
                        method=method,
                        **own,
                        pictures=True,
                        progress=progress,
                        passes=progress.runs,
                    )
            except ClientError as e:
                if e.kind not in REFUSALS or len(methods) == 1:
                    raise
                errors[method] = e
            else:
                explanation = _explanation(result, arguments.images, common["images"])
                over_map = method in METHODS and METHODS[method].over == "map"
                found.append(
                    replace(
                        explanation,
                        negated=bool(arguments.negate),
                        bands=arguments.bands or (),
                        asked="" if over_map else arguments.layer or "",
                    )
                )
    refused = {method: str(error) for method, error in errors.items()}
    if not found:
        first = next(iter(errors.values()))
        reasons = "; ".join(f"{method}: {reason}" for method, reason in refused.items())
        text = f"none of the methods can explain this: {reasons}"
        raise type(first)(text, first.kind, first.code)
    return SideBySide(tuple(found), refused) if len(methods) > 1 else found[0]


def _explanation(
    result: Result, images: Sequence[str], sources: Sequence[str | bytes]
) -> Explanation:
    from onnxplain.engine import Explanation, Preprocess
    from onnxplain.engine.pictures import read_photographs

    used, count, rank = result.preprocess, len(result.score), result.attribution.ndim - 2
    return Explanation(
        attribution=result.attribution,
        score=result.score,
        channels=result.channels,
        position=result.position,
        box=result.box,
        layer=result.layer,
        to=result.to,
        method=result.method,
        pictures=result.pictures,
        photographs=read_photographs(sources) if result.pictures else (),
        labels=result.labels,
        completeness_error=result.completeness_error,
        probability=result.probability,
        seed_value=result.seed_value,
        preprocess=None if used is None else Preprocess(**used),
        notes=result.notes,
        names=tuple(map(os.path.basename, image_names(images, count))),
        others=result.others,
        inputs=() if result.pictures else given_arrays(sources, count, rank),
    )


def _common(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of all methods that `Engine.explain` and `Client.explain` both take."""
    return {
        "images": opened(arguments.images),
        "inputs": named_inputs(arguments),
        "region": read_region(arguments),
        "layer": arguments.layer,
        "units": arguments.channel,
        "position": _position(arguments.position),
        "seed_value": arguments.seed_value,
        "negate": bool(arguments.negate),
        "to": arguments.to,
        "unpool": arguments.unpool,
        "channel_axis": arguments.channel_axis,
        "preprocess": arguments.preprocess,
        "labels": read_labels(arguments.labels),
    }


def units(text: str) -> str | tuple[int, ...]:
    """Parse '3,7' and '0:4' into channels; 'all', 'whole' and 'top:K' stay text."""
    return text if text in ("all", "whole") or text.startswith("top:") else channel_list(text)


def _position(text: str | None) -> str | tuple[int, ...] | None:
    """Parse '5,7' into (5, 7); words stay text."""
    if text is None or not re.fullmatch(r"\s*-?\d+\s*(,\s*-?\d+\s*)*", text):
        return text
    return tuple(int(number) for number in text.split(","))
