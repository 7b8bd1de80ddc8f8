"""Flags that several commands share, so that they read and mean the same everywhere.

Names of layers, methods and forms stay text here: the library knows them, and says the nearest.
"""

from __future__ import annotations

import argparse

__all__ = ["add_model", "add_path", "add_seed", "add_target", "channel_list"]


def add_model(parser: argparse.ArgumentParser, what: str = "an ONNX file") -> None:
    """Add MODEL, the first argument of every command but `serve`."""
    parser.add_argument("model", metavar="MODEL", help=what)


def add_path(parser: argparse.ArgumentParser) -> None:
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
        help="deconvnet (default), guided_backprop or gradient",
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


def channel_list(text: str) -> tuple[int, ...]:
    """Parse '3,7' into (3, 7)."""
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError as e:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a list of channels: write numbers with commas between, as in 3,7"
        ) from e
