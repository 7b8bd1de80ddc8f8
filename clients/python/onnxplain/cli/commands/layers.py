"""`onnxplain layers`: what a model has to explain, one line per layer."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from onnxplain.cli.arguments import add_model, add_size
from onnxplain.cli.drawing import SERVED, add_server
from onnxplain.cli.output import print_json, table, working

if TYPE_CHECKING:
    from onnxplain.graphops import Layer
    from onnxplain.v1 import explain_pb2 as pb

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "layers",
        help="list a model's layers",
        description="List a model's layers, by the names that --layer takes.",
        allow_abbrev=False,
    )
    add_model(parser, SERVED)
    parser.add_argument(
        "--arithmetic",
        action="store_true",
        help="show windows, strides, padding, parameters and multiply-adds, with their sums",
    )
    add_size(parser, "the picture's height and width, where the model leaves them free")
    add_server(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the layers of the model, in the order they are computed."""
    with working("reading the model"):
        found = (_layers_there if arguments.server else _layers_here)(arguments)
    if arguments.json:
        print_json(found)
        return
    if arguments.arithmetic:
        print(_arithmetic(found))
        return
    header = (
        "layer", "operator", "shape", "channels", "axis", "receptive field", "stride", "offset",
        "module", "marks",
    )  # fmt: skip
    print(
        table(
            header,
            [
                (
                    layer.tensor,
                    layer.operator,
                    shape_text(layer.shape),
                    _or_nothing(layer.channels),
                    _or_nothing(layer.channel_axis),
                    axes_text(layer.receptive_field),
                    axes_text(layer.stride),
                    axes_text(layer.offset),
                    layer.module,
                    ", ".join(layer.marks),
                )
                for layer in found
            ],
        )
    )


def _layers_here(arguments: argparse.Namespace) -> list[Layer]:
    from onnxplain import graphops

    return graphops.layers(graphops.load(arguments.model), arguments.size)


def _layers_there(arguments: argparse.Namespace) -> list[Layer]:
    from onnxplain.client import Client

    with Client(arguments.server) as client:
        return [_received(m) for m in client.layers(arguments.model, arguments.size or ())]


def _received(message: pb.Layer) -> Layer:
    """Return a layer as it would be told here."""
    from onnxplain.graphops import Arithmetic, Layer

    def known(part: Any, field: str) -> Any:
        return getattr(part, field) if part.HasField(field) else None

    def seen(field: str) -> tuple[int | None, ...] | None:
        return tuple(known(axis, field) for axis in message.receptive_field) or None

    return Layer(
        tensor=message.tensor,
        node=message.node,
        operator=message.operator,
        module=message.module,
        shape=tuple(d.name or known(d, "size") for d in message.shape) or None,
        dtype=message.data_type,
        channel_axis=known(message, "channel_axis"),
        channels=known(message, "channels"),
        receptive_field=seen("size"),
        stride=seen("stride"),
        offset=seen("offset"),
        arithmetic=Arithmetic(
            kernel=tuple(message.kernel) or None,
            step=tuple(message.step) or None,
            padding=tuple(message.padding) or None,
            parameters=message.parameters,
            multiply_adds=known(message, "multiply_adds"),
        ),
        marks=tuple(message.marks),
    )


def _arithmetic(found: Sequence[Layer]) -> str:
    """Return the table of convolution arithmetic, its sums in the last row."""
    header = (
        "layer", "operator", "output", "kernel", "stride", "padding", "receptive field",
        "parameters", "multiply-adds",
    )  # fmt: skip
    rows = []
    for layer in found:
        done = layer.arithmetic
        unknown = done.multiply_adds is None
        rows.append(
            (
                layer.tensor,
                layer.operator,
                shape_text(layer.shape),
                axes_text(done.kernel),
                axes_text(done.step),
                axes_text(done.padding),
                axes_text(layer.receptive_field),
                f"{done.parameters:,}" if done.parameters else "",
                "?" if unknown else f"{done.multiply_adds:,}" if done.multiply_adds else "",
            )
        )
    products = [layer.arithmetic.multiply_adds for layer in found]
    total = "?" if None in products else f"{sum(p or 0 for p in products):,}"
    parameters = f"{sum(layer.arithmetic.parameters for layer in found):,}"
    rows.append(("all", "", "", "", "", "", "", parameters, total))
    lines = table(header, rows)
    if total == "?":
        lines += "\n\nsizes that are not known are '?': name the picture's with --size HxW"
    return lines


def shape_text(shape: tuple[int | str | None, ...] | None) -> str:
    """Return a shape as it is read, 'Nx3x224x224', with '?' for what is not known."""
    return "?" if shape is None else "x".join("?" if n in (None, "") else str(n) for n in shape)


def axes_text(numbers: tuple[int | None, ...] | None) -> str:
    """Return one number for each spatial axis, '11,7', only one where all are the same."""
    texts = ["?" if n is None else str(n) for n in numbers or ()]
    return texts[0] if len(set(texts)) == 1 else ",".join(texts)


def _or_nothing(number: int | None) -> str:
    return "" if number is None else str(number)
