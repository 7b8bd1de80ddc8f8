"""`onnxplain methods`: list the methods, with what each shows and its own options."""

from __future__ import annotations

import argparse
from typing import Any

from onnxplain.cli.output import print_json, table
from onnxplain.engine.methods import METHODS

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "methods",
        help="list the methods of explanation",
        description="List the methods: what each shows, its own options, and whether `rewrite` "
        "can export it as one ONNX file, an artefact.",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the methods, those that can be exported first."""
    rows = [
        (method.name, method.summary, [option.name for option in method.takes], method.exportable)
        for method in METHODS.values()
    ]
    if arguments.json:
        keys = ("method", "summary", "options", "artefact")
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
        return
    lines = [(n, s, ", ".join(takes), "yes" if one else "no") for n, s, takes, one in rows]
    print(table(("method", "shows", "takes", "artefact"), lines))
