"""`onnxplain methods`: list the methods, with what each shows and its own options."""

from __future__ import annotations

import argparse
from typing import Any, TypeAlias

from onnxplain.cli.drawing import add_server
from onnxplain.cli.output import print_json, table
from onnxplain.cli.progress import working
from onnxplain.engine.methods import METHODS, method_title

__all__ = ["add_parser", "run"]

Row: TypeAlias = tuple[str, str, str, list[str], bool]  # name, title, summary, options, exportable


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "methods",
        help="list the methods of explanation",
        description="List the methods: the name that --method takes, the name in figures, whether "
        "`rewrite` can export it as one ONNX file, an artefact, and what it shows. --json names "
        "its options too, which `onnxplain explain --help` describes.",
        allow_abbrev=False,
    )
    add_server(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the methods, those that can be exported first."""
    rows = _remote_rows(arguments.server) if arguments.server else _local_rows()
    if arguments.json:
        keys = ("method", "name", "summary", "options", "artefact")
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
        return
    lines = [(method, name, "yes" if one else "no", shows) for method, name, shows, _, one in rows]
    print(table(("method", "name", "artefact", "shows"), lines))


def _local_rows() -> list[Row]:
    return [
        (m.name, m.title, m.summary, [option.name for option in m.takes], m.exportable)
        for m in METHODS.values()
    ]


def _remote_rows(server: str) -> list[Row]:
    from onnxplain.cli.connecting import connect

    with working(f"waiting for {server}"), connect(server) as client:
        return [
            (m.name, method_title(m.name), m.summary, [o.name for o in m.options], m.exportable)
            for m in client.methods()
        ]
