"""`onnxplain rewrite`: write one plain ONNX file that also computes the explanation."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING, Any

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
from onnxplain.cli.class_argument import add_class, chosen_class
from onnxplain.cli.commands.layers import shape_text
from onnxplain.cli.failures import UsageError, in_flags
from onnxplain.cli.output import check_writable, printable, size, working
from onnxplain.engine.methods import find_method
from onnxplain.graphops.options import (
    BACKWARD,
    GENERAL,
    KEEP_OUTPUTS,
    KEEP_SHAPE,
    SELECT,
    TARGET,
)

if TYPE_CHECKING:
    from onnxplain.graphops import Network, Options

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
    add_class(parser, "the class that --select fixed bakes in")
    parser.add_argument("--labels", metavar="FILE", help="class names for --class, one per line")
    add_seed(parser, "all, max, given or region")
    add_option(parser, BACKWARD, "PRECISION")
    add_option(parser, KEEP_OUTPUTS, flag="no-outputs")
    add_option(parser, KEEP_SHAPE)
    add_method_options(parser, exported=True)
    parser.add_argument("-o", "--output", metavar="OUT.onnx", required=True, help="file to write")
    parser.add_argument(
        "--no-verify",
        dest="verify",
        action="store_false",
        help="do not load the model into ONNX Runtime before it is written",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Write the artefact, then print its inputs, outputs and growth."""
    check_writable(arguments.output, arguments.model)
    with working("rewriting the model"):
        from onnxplain import graphops

        method = find_method(arguments.method)
        general: dict[str, Any] = {name: getattr(arguments, name, None) for name in GENERAL}
        if (class_index := chosen_class(arguments, arguments.class_name)) is not None:
            if general["channels"] or arguments.layer and method.over != "map":
                raise UsageError(
                    "--class names the channel of the class score to bake in: leave --channel and "
                    "--layer out"
                )
            general["channels"] = (class_index,)
        if general["channels"]:
            general["select"] = general["select"] or "fixed"
        own = chosen_method_options(arguments)
        options = graphops.Options(**general, **own)
        path = {name: general[name] for name in PATH}
        path |= {name: own.get(name) for name in ("score_layer", "score_channel_axis")}
        network = graphops.Network(arguments.model)
        artefact = graphops.rewrite(network, arguments.layer, method, options)
        report = graphops.check(network, arguments.layer, method, **path)
        note = _verified(artefact, network.model) if arguments.verify else ""
        graphops.save(artefact, arguments.output)
    before, after = network.size_bytes, os.path.getsize(arguments.output)
    nodes = f"{len(network.model.graph.node)} -> {len(artefact.graph.node)} nodes"
    print(printable(f"wrote {arguments.output}: {report.method} of {report.layer}"))
    print(printable(f"  inputs   {_values(artefact.graph.input)}"))
    print(printable(f"  outputs  {_values(artefact.graph.output)}"))
    print(f"  size     {size(before)} -> {size(after)} ({after / before - 1:+.1%}), {nodes}")
    warnings = [*report.warnings, *_precision_warning(network, report.layer, options)]
    chosen = json.loads(graphops.read_metadata(artefact)["onnxplain.options"])["position"]
    if chosen == "max" and arguments.position is None and method.position != "max":
        warnings.append(
            "the class score has positions, and the signal starts at the strongest one: choose "
            "--position all for all of them"
        )
    for warning in filter(None, [*warnings, note]):
        print(in_flags(printable(f"onnxplain: warning: {warning}")), file=sys.stderr)


def _verified(artefact: Any, source: Any) -> str:
    """Load the artefact as its users will. Returns a note where that cannot be tried, else ""."""
    from onnxplain.engine import verify
    from onnxplain.graphops.errors import MissingRuntime

    try:
        return verify(artefact, source)
    except MissingRuntime as e:
        return f"the model was not tried (`no_verify` skips that): {e}"


def _precision_warning(network: Network, layer: str, options: Options) -> tuple[str, ...]:
    """Return a warning for a backward pass in half precision, where signals underflow."""
    dtype = next((known.dtype for known in network.layers if known.tensor == layer), "")
    if dtype not in ("float16", "bfloat16") or options.backward != "same":
        return ()
    return (
        f"the backward pass is in {dtype}, in which small signals become zero, those of LRP above "
        "all: --backward float32 keeps them",
    )


def _values(values: Any) -> str:
    """Return a graph's inputs or outputs as 'x float32[Nx3x64x64], channel int64[N]'."""
    from onnx import helper

    texts = []
    for value in values:
        other = value.type.WhichOneof("value")
        if other != "tensor_type":  # a sequence, a map, or what a plug-in operator returns
            texts.append(f"{value.name} {(other or 'unknown').removesuffix('_type')}")
            continue
        kind = value.type.tensor_type
        name = helper.tensor_dtype_to_np_dtype(kind.elem_type).name
        if not kind.HasField("shape"):
            texts.append(f"{value.name} {name}")
            continue
        dims = [
            d.dim_value if d.HasField("dim_value") else d.dim_param or None for d in kind.shape.dim
        ]
        texts.append(f"{value.name} {name}[{shape_text(tuple(dims))}]")
    return ", ".join(texts)
