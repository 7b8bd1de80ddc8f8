"""`onnxplain methods`: list the methods, what each shows, and the options that it takes."""

from __future__ import annotations

import argparse
from typing import Any

from onnxplain.cli.output import print_json, table, working

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "methods",
        help="list the methods",
        description="List the methods: what each shows, the options that it alone takes, and "
        "whether `rewrite` can export it as one ONNX file.",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the methods, those with an artefact first."""
    with working("listing the methods"):
        from onnxplain.graphops.methods import METHODS, RUN

    rows = [(m.name, m.summary, m.takes, True) for m in METHODS.values()]
    rows += [(name, summary, takes, False) for name, (takes, summary) in RUN.items()]
    if arguments.json:
        keys = ("method", "summary", "options", "artefact")
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
        return
    lines = [(n, s, ", ".join(takes), "yes" if one else "no") for n, s, takes, one in rows]
    print(table(("method", "shows", "takes", "artefact"), lines))
