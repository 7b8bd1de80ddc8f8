"""`onnxplain rewrite`: write one plain ONNX file that also computes the explanation."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
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
from onnxplain.cli.drawing import LOCAL_OR_SERVED, add_server
from onnxplain.cli.failures import UsageError, in_flags
from onnxplain.cli.output import check_writable, printable, size
from onnxplain.cli.preprocessing import LABELS_HELP
from onnxplain.cli.progress import working
from onnxplain.engine.methods import METHODS, find_method
from onnxplain.graphops.options import (
    BACKWARD,
    GENERAL,
    KEEP_OUTPUTS,
    KEEP_SHAPE,
    LOWERING,
    SELECT,
    TARGET,
)

if TYPE_CHECKING:
    import onnx

    from onnxplain.graphops import Layer, Report

__all__ = ["add_parser", "run"]

PATH = (  # the options that `check` takes
    "to", "unpool", "target", "lowering", "channel_axis", "keep_shape", "score_layer",
    "score_channel_axis",
)  # fmt: skip


EPILOG = """\
examples:
  onnxplain rewrite model.onnx --method grad_cam --select predicted -o explained.onnx
  onnxplain rewrite model.onnx --layer features.10 --channel 3,7 -o channels.onnx
  onnxplain rewrite model.onnx --class 281 --bake-preprocess imagenet -o cat.onnx
"""


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "rewrite",
        help="write an ONNX model that also computes the explanation",
        description="Write one ONNX model that runs forward to the layer and back to the picture.\n"
        "Its outputs are the network's own, then `attribution`, `score` and, if the signal\n"
        "starts at one position, `position`.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_model(parser, LOCAL_OR_SERVED)
    add_path(parser, exportable())
    add_option(parser, TARGET, "RUNTIME")
    add_option(parser, LOWERING)
    add_option(parser, SELECT, "SELECT")
    parser.add_argument(
        "--channel",
        dest="channels",
        metavar="C[,C]",
        type=channel_list,
        help="the channels that --select fixed bakes in; alone, it implies --select fixed",
    )
    add_class(parser, "the class that --select fixed bakes in")
    parser.add_argument("--labels", metavar="FILE", help=LABELS_HELP)
    add_seed(parser, "all, max, given or region")
    parser.add_argument(
        "--bake-preprocess",
        metavar="PRESET|KEY=VALUE",
        help="take 8-bit pictures, uint8 [N, H, W, 3], in an input `pixels`, and compute the "
        "network's input from them in the graph, as --preprocess of explain does; the caller "
        "still brings the pictures to the network's size",
    )
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
    add_server(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Write the artefact, then print its inputs, outputs and growth."""
    if "," in arguments.method:
        raise UsageError(f"--method {arguments.method}: an artefact has one method, name one")
    check_writable(arguments.output, *([] if arguments.server else [arguments.model]))
    with working("rewriting the model"):
        from onnxplain import graphops
        from onnxplain.graphops.ir import opset_of

        general: dict[str, Any] = {name: getattr(arguments, name, None) for name in GENERAL}
        if (class_index := chosen_class(arguments, arguments.class_name)) is not None:
            maps = arguments.method in METHODS and METHODS[arguments.method].over == "map"
            if general["channels"] or arguments.layer and not maps:
                raise UsageError(
                    "--class names the channel of the class score to bake in: leave --channel and "
                    "--layer out"
                )
            general["channels"] = (class_index,)
        if general["channels"]:
            general["select"] = general["select"] or "fixed"
        own = chosen_method_options(arguments)
        made = (_rewritten_remotely if arguments.server else _rewritten_locally)(
            arguments, general, own
        )
        artefact, report = made.artefact, made.report
        note = _verified(artefact, made.source) if arguments.verify else ""
        graphops.save(artefact, arguments.output)
    after = os.path.getsize(arguments.output)
    nodes = f"{len(made.source.graph.node)} -> " if made.source else ""
    print(printable(f"wrote {arguments.output}: {report.method} of {report.layer}"))
    defaults = {tensor.name for tensor in artefact.graph.initializer}
    print(printable(f"  inputs   {_values(artefact.graph.input, optional=defaults)}"))
    print(printable(f"  outputs  {_values(artefact.graph.output)}"))
    print(f"  needs    opset {opset_of(artefact)}, IR version {artefact.ir_version}")
    growth = f"{size(made.size_bytes)} -> {size(after)} ({after / made.size_bytes - 1:+.1%})"
    print(f"  size     {growth}, {nodes}{len(artefact.graph.node)} nodes")
    warnings = [*report.warnings, *_precision_warning(made.layers, report.layer, general)]
    chosen = json.loads(graphops.read_metadata(artefact)["onnxplain.options"])["position"]
    usual = METHODS[report.method].position if report.method in METHODS else ""
    if chosen == "max" and arguments.position is None and usual != "max":
        warnings.append(
            "the class score has positions, and the signal starts at the strongest one: choose "
            "--position all for all of them"
        )
    for warning in filter(None, [*warnings, note]):
        print(in_flags(printable(f"onnxplain: warning: {warning}")), file=sys.stderr)


@dataclass(frozen=True)
class _Rewritten:
    """An artefact, the report of its path, and the size and layers of the network it is made of.

    source: that network, None where only the server has it.
    """

    artefact: onnx.ModelProto
    report: Report
    size_bytes: int
    layers: Sequence[Layer]
    source: onnx.ModelProto | None = None


def _rewritten_locally(
    arguments: argparse.Namespace, general: dict[str, Any], own: dict[str, Any]
) -> _Rewritten:
    from onnxplain import graphops
    from onnxplain.engine.pictures import bake_preprocess

    method = find_method(arguments.method)
    network = graphops.Network(arguments.model)
    options = graphops.Options(**general, **own)
    artefact = graphops.rewrite(network, arguments.layer, method, options)
    if arguments.bake_preprocess is not None:
        artefact = bake_preprocess(artefact, arguments.bake_preprocess)
    report = graphops.check(network, arguments.layer, method, **_of_check(general, own))
    return _Rewritten(artefact, report, network.size_bytes, network.layers, network.model)


def _rewritten_remotely(
    arguments: argparse.Namespace, general: dict[str, Any], own: dict[str, Any]
) -> _Rewritten:
    import onnx

    from onnxplain.cli.connecting import connect
    from onnxplain.cli.served_models import layer_of, report_of

    name = arguments.model
    path = {"layer": arguments.layer, "method": arguments.method}
    given = path | {option: value for option, value in general.items() if value is not None}
    with connect(arguments.server) as client:
        data = client.rewrite(name, **given, **own, bake_preprocess=arguments.bake_preprocess)
        report = report_of(client.check(name, **path, **_of_check(given, own)))
        layers = list(map(layer_of, client.layers(name)))
        size_bytes = client.model(name).size_bytes
    return _Rewritten(onnx.load_from_string(data), report, size_bytes, layers)


def _of_check(general: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return the options that `check` takes."""
    options = {**general, **own}
    return {name: options[name] for name in PATH if name in options}


def _verified(artefact: Any, source: Any) -> str:
    """Load the artefact as its users will. Returns a note where that cannot be tried, else ""."""
    from onnxplain.engine import verify
    from onnxplain.graphops.errors import MissingRuntime

    try:
        return verify(artefact, source)
    except MissingRuntime as e:
        return f"the model was not tried (`no_verify` skips that): {e}"


def _precision_warning(
    layers: Sequence[Layer], layer: str, general: dict[str, Any]
) -> tuple[str, ...]:
    """Return a warning for a backward pass in half precision, where signals underflow."""
    dtype = next((known.dtype for known in layers if known.tensor == layer), "")
    if dtype not in ("float16", "bfloat16") or general["backward"] == "float32":
        return ()
    return (
        f"the backward pass is in {dtype}, in which small signals become zero, those of LRP above "
        "all: --backward float32 keeps them",
    )


def _values(values: Any, optional: Collection[str] = ()) -> str:
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
        may = " (optional)" if value.name in optional else ""
        texts.append(f"{value.name} {name}[{shape_text(tuple(dims))}]{may}")
    return ", ".join(texts)
