"""`onnxplain check`: whether a layer can be explained, and the rule for each node on the path."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any

from onnxplain.cli.arguments import (
    add_method_options,
    add_model,
    add_option,
    add_path,
    chosen_method_options,
    exportable,
)
from onnxplain.cli.drawing import LOCAL_OR_SERVED, add_server
from onnxplain.cli.failures import UsageError, in_flags
from onnxplain.cli.measuring import (
    add_measure,
    measured,
    measurement_lines,
    print_measured_artefact,
)
from onnxplain.cli.output import print_json, printable, table
from onnxplain.cli.progress import working
from onnxplain.engine.methods import find_method
from onnxplain.graphops.methods import require_taken
from onnxplain.graphops.options import LOWERING, TARGET

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
    add_option(parser, LOWERING)
    add_method_options(parser, exported=True)
    add_measure(parser)
    add_server(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a report")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the report. Raises UnsupportedModel if no explanation is possible."""
    if arguments.size is not None and not arguments.measure:
        raise UsageError("--size is for --measure: give both, or neither")
    if arguments.measure and arguments.server:
        raise UsageError("--measure runs the artefact on this machine: leave out --server")
    if arguments.measure and print_measured_artefact(arguments):
        return
    method, own = find_method(arguments.method), chosen_method_options(arguments)
    require_taken(method, list(own))
    names = ("to", "unpool", "target", "lowering", "channel_axis", "score_layer")
    options = {name: getattr(arguments, name) for name in (*names, "score_channel_axis")}
    with working("checking the model"):
        report = (_check_remotely if arguments.server else _check_locally)(arguments, options)
    measurement = measured(arguments) if arguments.measure and report.ok else None
    if arguments.json:
        found = {"measurement": measurement} if measurement is not None else {}
        print_json({**dataclasses.asdict(report), **found})
    else:
        lines = measurement_lines(measurement) if measurement is not None else []
        shown = _lines(report, lowering=arguments.lowering == "fast")
        print("\n".join([*shown, *([""] if lines else []), *lines]))
    if not report.ok:
        from onnxplain.graphops.errors import UnsupportedModel

        raise UnsupportedModel(report.problem)


def _check_locally(arguments: argparse.Namespace, options: dict[str, Any]) -> Report:
    from onnxplain import graphops

    return graphops.check(
        arguments.model, arguments.layer, find_method(arguments.method), **options
    )


def _check_remotely(arguments: argparse.Namespace, options: dict[str, Any]) -> Report:
    from onnxplain.cli.connecting import connect
    from onnxplain.cli.served_models import report_of

    with connect(arguments.server) as client:
        return report_of(
            client.check(arguments.model, arguments.layer, arguments.method, **options)
        )


def _lines(report: Report, lowering: bool) -> list[str]:
    """Return the report as lines: the arguments, the nodes on the path, and the conclusion.

    lowering: whether with the lowering of each node.
    """
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
        header = ("node", "operator", "rule", "unpool", "lowering")
        rows = [
            (n.node or n.tensor, n.operator, n.rule, n.unpool or "", n.lowering)
            for n in report.nodes
        ]
        columns = len(header) if lowering else len(header) - 1
        lines += ["", table(header[:columns], [row[:columns] for row in rows])]
    lines += ["", *(in_flags(printable(f"warning: {warning}")) for warning in report.warnings)]
    if report.ok:
        lines.append("an explanation is possible")
    else:
        lines.append(f"no explanation of {report.layer} back to {report.to} is possible")
    return lines
