"""`onnxplain rewrite`: write one plain ONNX file that also computes the explanation."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from onnxplain.cli.arguments import (
    add_method_options,
    add_model,
    add_option,
    add_path,
    add_seed,
    channel_list,
    chosen_method_options,
    exportable,
)
from onnxplain.cli.commands.layers import shape_text
from onnxplain.cli.output import check_writable, printable, size, working
from onnxplain.engine.methods import find_method
from onnxplain.graphops.options import GENERAL, KEEP_OUTPUTS, KEEP_SHAPE, SELECT, TARGET

__all__ = ["add_parser", "run"]

PATH = ("to", "unpool", "target", "channel_axis", "keep_shape")  # the options that `check` takes


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "rewrite",
        help="write an ONNX model that also computes the explanation",
        description="Write one ONNX model that runs forward to the layer and back to the picture. "
        "Its outputs are the network's own, then `attribution`, `score` and, if the signal starts "
        "at one position, `position`.",
        allow_abbrev=False,
    )
    add_model(parser)
    add_path(parser, exportable())
    add_option(parser, TARGET, "RUNTIME")
    add_option(parser, SELECT, "SELECT")
    parser.add_argument(
        "--channel",
        dest="channels",
        metavar="C[,C]",
        type=channel_list,
        help="the channels that --select fixed bakes in; alone, it implies --select fixed",
    )
    add_seed(parser, "all, max, given or region")
    add_option(parser, KEEP_OUTPUTS, flag="no-outputs")
    add_option(parser, KEEP_SHAPE)
    add_method_options(parser, exported=True)
    parser.add_argument("-o", "--output", metavar="OUT.onnx", required=True, help="file to write")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Write the artefact, then print its inputs, outputs and growth."""
    check_writable(arguments.output, arguments.model)
    with working("rewriting the model"):
        from onnxplain import graphops

        general: dict[str, Any] = {name: getattr(arguments, name, None) for name in GENERAL}
        if general["channels"]:
            general["select"] = general["select"] or "fixed"
        own = chosen_method_options(arguments)
        options = graphops.Options(**general, **own)
        path = {name: general[name] for name in PATH} | {"score_layer": own.get("score_layer")}
        method = find_method(arguments.method)
        network = graphops.Network(arguments.model)
        artefact = graphops.rewrite(network, arguments.layer, method, options)
        report = graphops.check(network, arguments.layer, method, **path)
        graphops.save(artefact, arguments.output)
    before, after = network.size_bytes, os.path.getsize(arguments.output)
    nodes = f"{len(network.model.graph.node)} -> {len(artefact.graph.node)} nodes"
    print(printable(f"wrote {arguments.output}: {report.method} of {report.layer}"))
    print(printable(f"  inputs   {_values(artefact.graph.input)}"))
    print(printable(f"  outputs  {_values(artefact.graph.output)}"))
    print(f"  size     {size(before)} -> {size(after)} ({after / before - 1:+.1%}), {nodes}")
    for warning in report.warnings:
        print(printable(f"onnxplain: warning: {warning}"), file=sys.stderr)


def _values(values: Any) -> str:
    """Return a graph's inputs or outputs as 'x float32[Nx3x64x64], channel int64[N]'."""
    from onnx import helper

    texts = []
    for value in values:
        kind = value.type.tensor_type
        name = helper.tensor_dtype_to_np_dtype(kind.elem_type).name
        dims = [
            d.dim_value if d.HasField("dim_value") else d.dim_param or None for d in kind.shape.dim
        ]
        texts.append(f"{value.name} {name}[{shape_text(tuple(dims))}]")
    return ", ".join(texts)
