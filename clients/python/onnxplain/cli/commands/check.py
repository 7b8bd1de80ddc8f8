"""`onnxplain check`: whether a layer can be explained, and the rule for each node on the path."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from onnxplain.cli.arguments import add_model, add_option, add_path, exportable
from onnxplain.cli.drawing import LOCAL_OR_SERVED, add_server
from onnxplain.cli.failures import in_flags
from onnxplain.cli.output import print_json, printable, table, working
from onnxplain.engine.methods import find_method
from onnxplain.graphops.options import SCORE_CHANNEL_AXIS, SCORE_LAYER, TARGET

if TYPE_CHECKING:
    from onnxplain.graphops import Report

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "check",
        help="report whether a layer can be explained, and how",
        description="Report whether a layer can be explained, and the rule for each node that the "
        "signal passes. Exits with 3 if no explanation is possible.",
        allow_abbrev=False,
    )
    add_model(parser, LOCAL_OR_SERVED)
    add_path(parser, exportable())
    add_option(parser, TARGET, "RUNTIME")
    add_option(parser, SCORE_LAYER, "LAYER", methods="class activation maps")
    add_option(parser, SCORE_CHANNEL_AXIS, "AXIS", methods="class activation maps")
    add_server(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a report")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the report. Raises UnsupportedModel if no explanation is possible."""
    names = ("to", "unpool", "target", "channel_axis", "score_layer", "score_channel_axis")
    options = {name: getattr(arguments, name) for name in names}
    with working("checking the model"):
        report = (_check_remotely if arguments.server else _check_locally)(arguments, options)
    if arguments.json:
        print_json(report)
    else:
        print("\n".join(_lines(report)))
    if not report.ok:
        from onnxplain.graphops.errors import UnsupportedModel

        raise UnsupportedModel(report.problem)


def _check_locally(arguments: argparse.Namespace, options: dict[str, Any]) -> Report:
    from onnxplain import graphops

    return graphops.check(
        arguments.model, arguments.layer, find_method(arguments.method), **options
    )


def _check_remotely(arguments: argparse.Namespace, options: dict[str, Any]) -> Report:
    from onnxplain.cli.served_models import report_of
    from onnxplain.client import Client

    with Client(arguments.server) as client:
        return report_of(
            client.check(arguments.model, arguments.layer, arguments.method, **options)
        )


def _lines(report: Report) -> list[str]:
    """Return the report as lines: the arguments, the nodes on the path, and the conclusion."""
    note = f" ({report.batch_note})" if report.batch_note else ""
    lines = [
        f"layer   {report.layer}",
        f"method  {report.method}",
        f"to      {report.to}",
        f"opset   {report.opset}",
        f"batch   {report.batch}{note}",
    ]
    lines = [printable(line) for line in lines]
    if report.nodes:
        header = ("node", "operator", "rule", "unpool")
        rows = [(n.node or n.tensor, n.operator, n.rule, n.unpool or "") for n in report.nodes]
        lines += ["", table(header, rows)]
    lines += ["", *(in_flags(printable(f"warning: {warning}")) for warning in report.warnings)]
    if report.ok:
        lines.append("an explanation is possible")
    else:
        lines.append(f"no explanation of {report.layer} back to {report.to} is possible")
    return lines
