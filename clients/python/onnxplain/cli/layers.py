"""`onnxplain layers`: what a model has to explain, one line per layer."""

from __future__ import annotations

import argparse
from typing import Any

from onnxplain.cli.arguments import add_model
from onnxplain.cli.output import print_json, table, working

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "layers",
        help="list a model's layers",
        description="List a model's layers, by the names that --layer takes.",
        allow_abbrev=False,
    )
    add_model(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the layers of the model, in the order they are computed."""
    with working("reading the model"):
        from onnxplain import graphops

        found = graphops.layers(graphops.load(arguments.model))
    if arguments.json:
        print_json(found)
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


def shape_text(shape: tuple[int | str | None, ...] | None) -> str:
    """Return a shape as it is read, 'Nx3x224x224', with '?' for what is not known."""
    return "?" if shape is None else "x".join("?" if n in (None, "") else str(n) for n in shape)


def axes_text(numbers: tuple[int | None, ...] | None) -> str:
    """Return one number for each spatial axis, '11,7', only one where all are the same."""
    texts = ["?" if n is None else str(n) for n in numbers or ()]
    return texts[0] if len(set(texts)) == 1 else ",".join(texts)


def _or_nothing(number: int | None) -> str:
    return "" if number is None else str(number)
