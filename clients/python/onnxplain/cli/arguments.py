"""Flags that several commands share, so that they read and mean the same everywhere.

Names of layers, methods and forms stay text here: the library knows them, and says the nearest.
"""

from __future__ import annotations

import argparse
from typing import Any

__all__ = [
    "add_method_options",
    "add_model",
    "add_class",
    "add_path",
    "add_score_layer",
    "add_seed",
    "add_size",
    "add_target",
    "byte_count",
    "channel_list",
    "method_options",
]


def add_model(parser: argparse.ArgumentParser, what: str = "an ONNX file") -> None:
    """Add MODEL, the first argument of every command but `serve`."""
    parser.add_argument("model", metavar="MODEL", help=what)


def add_path(parser: argparse.ArgumentParser, several: str = "") -> None:
    """Add what names the way back: from which layer, by which method, to which tensor."""
    parser.add_argument(
        "--layer",
        metavar="LAYER",
        help="tensor, node or module, see `onnxplain layers` (default: the class score, which is "
        "the output before a final Softmax)",
    )
    parser.add_argument(
        "--method",
        metavar="METHOD",
        default="deconvnet",
        help="deconvnet (default), or another of `onnxplain methods`" + several,
    )
    parser.add_argument(
        "--to", metavar="TENSOR", help="the tensor to project back to (default: the picture)"
    )
    parser.add_argument(
        "--unpool",
        metavar="FORM",
        default="auto",
        help="how a max-pool is passed: auto (default), maxunpool, scatter, portable or window",
    )
    parser.add_argument(
        "--channel-axis",
        metavar="AXIS",
        type=int,
        help="the layer's channel axis (default: 1, or the last of a layer of rank 3 or NHWC)",
    )


def add_size(parser: argparse.ArgumentParser, what: str) -> None:
    """Add --size HxW."""
    parser.add_argument("--size", metavar="HxW", type=_size, help=what)


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add the runtime that the rewritten model is meant for."""
    parser.add_argument(
        "--target",
        metavar="RUNTIME",
        default="cpu",
        help="what the model is to run on: cpu (default) or cuda (ONNX Runtime), openvino, "
        "web (onnxruntime-web) or tensorrt; --unpool auto takes a form that it has",
    )


def add_seed(parser: argparse.ArgumentParser, positions: str) -> None:
    """Add what the backward pass starts from: `positions` names the ones that can be asked for."""
    parser.add_argument(
        "--position",
        metavar="POSITION",
        help=f"where in the channel to start: {positions} (default: max for deconvnet, else all)",
    )
    parser.add_argument(
        "--seed-value",
        metavar="VALUE",
        help="what to start with: activation or one (default: activation for deconvnet, else one)",
    )


def add_score_layer(parser: argparse._ActionsContainer) -> None:
    """Add the layer whose unit a class activation map explains."""
    parser.add_argument(
        "--score-layer",
        metavar="LAYER",
        help="of class activation maps, which lie over --layer: the layer whose unit is explained "
        "(default: the class score)",
    )


def add_method_options(parser: argparse.ArgumentParser, exported: bool) -> None:
    """Add what single methods take besides; `exported`: those alone that are one graph."""
    group = parser.add_argument_group("options of single methods")
    add_score_layer(group)
    group.add_argument(
        "--no-upsample",
        dest="upsample",
        action="store_const",
        const=False,
        help="leave a class activation map at its layer's size",
    )
    flags = EXPORTED if exported else (*EXPORTED, *RUN)
    for flag, kind, what in flags:
        group.add_argument(flag, metavar="N[,N]" if kind in LISTS else "N", type=kind, help=what)
    if not exported:
        group.add_argument(
            "--start", choices=("noise", "picture"), help="of activation_maximisation"
        )


def method_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the options of single methods that were given, by their names in the library."""
    names = [flag[2:].replace("-", "_") for flag, _, _ in (*EXPORTED, *RUN)]
    names += ["score_layer", "upsample", "start"]
    return {n: v for n in names if (v := getattr(arguments, n, None)) is not None}


def add_class(parser: argparse.ArgumentParser) -> None:
    """Add the class whose probability is watched."""
    parser.add_argument(
        "--class",
        dest="class_index",
        metavar="C",
        type=int,
        help="a class (default: the predicted one)",
    )


def byte_count(text: str) -> int:
    """Parse '512M' or '2G' into bytes."""
    powers = {"": 0, "K": 1, "M": 2, "G": 3}
    number, unit = text.rstrip("KMGkmg"), text[len(text.rstrip("KMGkmg")) :].upper()
    if not number.isdecimal() or not int(number) or unit not in powers:
        raise argparse.ArgumentTypeError(f"'{text}' is no size: write bytes, or as in 512M or 2G")
    return int(number) * int(1024 ** powers[unit])


def channel_list(text: str) -> tuple[int, ...]:
    """Parse '3,7' into (3, 7), and '0:4' into (0, 1, 2, 3)."""
    numbers: list[int] = []
    try:
        for part in text.split(","):
            first, colon, end = part.partition(":")
            numbers += range(int(first), int(end)) if colon else [int(first)]
    except ValueError as e:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a list of channels: write numbers with commas between, as in 3,7, or "
            "a range such as 0:32"
        ) from e
    if not numbers:
        raise argparse.ArgumentTypeError(f"there is no channel in '{text}'")
    return tuple(numbers)


def _size(text: str) -> tuple[int, ...]:
    """Parse '224x224' into (224, 224)."""
    sizes = text.lower().split("x")
    if not all(s.isdecimal() and int(s) > 0 for s in sizes):
        raise argparse.ArgumentTypeError(f"'{text}' is no size: write HxW, as in 224x224")
    return tuple(int(s) for s in sizes)


def _numbers(text: str) -> tuple[float, ...]:
    """Parse '-2.1,-2,-1.8' into floats."""
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError as e:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a list of numbers: write them with commas between, as in -2.1,-2"
        ) from e


def _baseline(text: str) -> float | tuple[float, ...]:
    """Parse '0.5' into a number, and '0.5,0,-1' into one for each channel."""
    numbers = _numbers(text)
    return numbers if len(numbers) > 1 else numbers[0]


LISTS = (_numbers, _baseline, channel_list)
EXPORTED = (
    ("--samples", int, "of smoothgrad, smoothgrad_sq, vargrad: noisy copies (default: 50)"),
    ("--noise-level", float, "of those: deviation, as a part of the input's range (default: 0.15)"),
    ("--noise-seed", int, "of those, rise and activation_maximisation: which noise (default: 0)"),
    ("--steps", int, "of integrated_gradients: points on the way (default: 50)"),
    ("--low", _numbers, "of lrp_epsilon_gamma_box: the lowest input, one or one for each channel"),
    ("--high", _numbers, "of lrp_epsilon_gamma_box: the highest input"),
)
RUN = (
    (
        "--baseline",
        _baseline,
        "of integrated_gradients, deeplift, occlusion and rise: what stands for nothing, in the "
        "network's values, one number or one for each channel (default: 0)",
    ),
    ("--window", channel_list, "of occlusion: pixels (default: an eighth of each side)"),
    ("--stride", channel_list, "of occlusion: pixels (default: half the window)"),
    ("--masks", int, "of rise: how many masks (default: 1000)"),
    ("--resolution", int, "of rise: a mask's cells along a side (default: 8)"),
    ("--keep", float, "of rise: the part of the cells that is kept (default: 0.5)"),
    ("--iterations", int, "of activation_maximisation: steps (default: 128)"),
    (
        "--step-size",
        float,
        "of activation_maximisation: how far, in parts of the range (default: 0.02)",
    ),
    ("--jitter", int, "of activation_maximisation: pixels of shift (default: 4)"),
    ("--blur", float, "of activation_maximisation: deviation in pixels (default: 0.5)"),
    (
        "--decay",
        float,
        "of activation_maximisation: part of the way to grey (default: 0.01)",
    ),
)
