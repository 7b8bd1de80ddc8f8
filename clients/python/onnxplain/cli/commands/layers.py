"""`onnxplain layers`: the layers of a model, one line each."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from onnxplain.cli.arguments import add_model, add_size
from onnxplain.cli.drawing import LOCAL_OR_SERVED, add_server
from onnxplain.cli.output import print_json, table
from onnxplain.cli.progress import working

if TYPE_CHECKING:
    from onnxplain.graphops import Layer

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "layers",
        help="list a model's layers",
        description="List a model's layers, with the names that --layer takes.",
        allow_abbrev=False,
    )
    add_model(parser, LOCAL_OR_SERVED)
    parser.add_argument(
        "--arithmetic",
        action="store_true",
        help="show kernels, strides, padding, parameters and multiply-adds, with totals",
    )
    add_size(parser, "the picture's height and width, if the model leaves them free")
    add_server(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the layers of the model, in the order they are computed."""
    with working("reading the model"):
        layers = (_remote_layers if arguments.server else _local_layers)(arguments)
    if arguments.json:
        print_json(layers)
        return
    if arguments.arithmetic:
        print(_arithmetic(layers))
        return
    header = (
        "layer", "operator", "shape", "channels", "axis", "receptive field", "stride", "offset",
        "module", "marks",
    )  # fmt: skip
    lines = table(
        header,
        [
            (
                layer.tensor,
                layer.operator,
                shape_text(layer.shape),
                "" if layer.channels is None else str(layer.channels),
                axis_text(layer),
                axes_text(layer.receptive_field),
                axes_text(layer.stride),
                axes_text(layer.offset),
                layer.module,
                ", ".join([*layer.marks, *_rows(layer, layers)]),
            )
            for layer in layers
        ],
    )
    if any(axis_text(layer).endswith("?") for layer in layers):
        lines += "\n\n'?' is assumed: set another channel axis with --channel-axis"
    print(lines)


def _rows(layer: Layer, layers: Sequence[Layer]) -> list[str]:
    """Return which of several outputs the class score belongs to, and where its channels lie."""
    if not layer.output or layer.output == layer.tensor:
        return []
    if layer.output_offset is None:
        several = sum("output" in other.marks for other in layers) > 1
        return [f"of output {layer.output}"] if several else []
    offset = layer.output_offset
    row = f"{offset} + k" if offset > 0 else f"k - {-offset}" if offset else "k"
    return [f"channel k = row {row} of output {layer.output}"]


def _local_layers(arguments: argparse.Namespace) -> list[Layer]:
    from onnxplain import graphops

    return graphops.layers(arguments.model, arguments.size)


def _remote_layers(arguments: argparse.Namespace) -> list[Layer]:
    from onnxplain.cli.connecting import connect
    from onnxplain.cli.served_models import layer_of

    with connect(arguments.server) as client:
        return list(map(layer_of, client.layers(arguments.model, arguments.size or ())))


def _arithmetic(layers: Sequence[Layer]) -> str:
    """Return the table of convolution arithmetic, whose last row holds the totals."""
    header = (
        "layer", "operator", "output", "kernel", "stride", "padding", "receptive field",
        "parameters", "multiply-adds",
    )  # fmt: skip
    rows = []
    for layer in layers:
        cost = layer.arithmetic
        rows.append(
            (
                layer.tensor,
                layer.operator,
                shape_text(layer.shape),
                axes_text(cost.kernel),
                axes_text(cost.step),
                axes_text(cost.padding),
                axes_text(layer.receptive_field),
                _count(cost.parameters),
                _count(cost.multiply_adds),
            )
        )
    products = [layer.arithmetic.multiply_adds for layer in layers]
    total = None if None in products else sum(p or 0 for p in products)
    parameters = sum(layer.arithmetic.parameters for layer in layers)
    sums = (f"{parameters:,}", "?" if total is None else f"{total:,}")
    rows.append(("total", "", "", "", "", "", "", *sums))
    lines = table(header, rows)
    if total is None:
        lines += "\n\n'?' depends on the picture's size: set it with --size HxW"
    return lines


def _count(number: int | None) -> str:
    """Return a number with thousands separators, "" for 0 and "?" for None."""
    return "?" if number is None else f"{number:,}" if number else ""


def axis_text(layer: Layer) -> str:
    """Return the channel axis, with a '?' where it is not certain."""
    if layer.channel_axis is None:
        return ""
    return f"{layer.channel_axis}{'?' if layer.channel_axis_assumed else ''}"


def shape_text(shape: tuple[int | str | None, ...] | None) -> str:
    """Return a shape as 'Nx3x224x224', with '?' for unknown sizes."""
    return "?" if shape is None else "x".join("?" if n in (None, "") else str(n) for n in shape)


def axes_text(numbers: tuple[int | None, ...] | None) -> str:
    """Return one number per axis, '11,7', or a single one if they are equal."""
    texts = ["?" if n is None else str(n) for n in numbers or ()]
    return texts[0] if len(set(texts)) == 1 else ",".join(texts)
