"""`onnxplain models`: the models that a server has, or would have of a folder."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any

from onnxplain.cli.commands.layers import shape_text
from onnxplain.cli.drawing import add_server
from onnxplain.cli.failures import UsageError
from onnxplain.cli.output import print_json, printable, size, table
from onnxplain.cli.progress import working

if TYPE_CHECKING:
    from onnxplain.server import ServedModel, Value

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "models",
        help="list the models of a server, or of a folder",
        description="List the models of a server, with the names that MODEL takes together with "
        "--server; or those that `onnxplain serve` finds in a folder.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        nargs="?",
        help="folder of NAME.onnx files or NAME/VERSION/model.onnx (default: this folder)",
    )
    add_server(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print one line for each version of each model."""
    if arguments.server and arguments.folder:
        raise UsageError("--server lists the server's own models: leave FOLDER or --server out")
    with working("reading the models"):
        models = _remote(arguments.server) if arguments.server else _local(arguments.folder or ".")
    rows = [_row(model) for model in models]
    if arguments.json:
        print_json(rows)
        return
    if not rows:
        place = arguments.server or f"'{arguments.folder or '.'}'"
        print(printable(f"there are no models at {place}"))
        return
    header = ("model", "version", "inputs", "outputs", "opset", "size", "explains", "state")
    lines = []
    for row, model in zip(rows, models, strict=True):
        method, layer = (model.metadata.get(f"onnxplain.{key}") for key in ("method", "layer"))
        lines.append(
            (
                row["model"],
                str(row["version"]),
                _values(model.inputs),
                _values(model.outputs),
                str(model.opset or ""),
                size(model.size_bytes) if model.size_bytes else "",
                f"{layer} by {method}" if method and layer else "",
                model.problem or "ready",
            )
        )
    print(table(header, lines))


def _values(values: tuple[Value, ...]) -> str:
    """Return inputs or outputs as 'x float32[Nx3x64x64], channel int64[N]'."""
    shapes = [f"[{shape_text(value.shape)}]" if value.shape else "" for value in values]
    return ", ".join(f"{v.name} {v.dtype}{shape}" for v, shape in zip(values, shapes, strict=True))


def _row(model: ServedModel) -> dict[str, Any]:
    parts = re.fullmatch(r"models/(.+)/versions/(\d+)", model.name)
    name, version = (parts[1], int(parts[2])) if parts else (model.name, None)
    return {
        "model": name,
        "version": version,
        "size_bytes": model.size_bytes,
        "opset": model.opset,
        "inputs": model.inputs,
        "outputs": model.outputs,
        "metadata": dict(sorted(model.metadata.items())),
        "problem": model.problem or None,
    }


def _local(folder: str) -> list[ServedModel]:
    from onnxplain.registry import FolderSource
    from onnxplain.server import Models

    return Models([FolderSource(folder)]).all()


def _remote(server: str) -> list[ServedModel]:
    from onnxplain.cli.connecting import connect
    from onnxplain.cli.served_models import model_of

    with connect(server) as client:
        return list(map(model_of, client.list_models()))
