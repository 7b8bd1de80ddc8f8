"""What would happen: which rule each node on the path gets, and what stands in the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import onnx_graphsurgeon as gs

from onnxplain.graphops.backward import Path, first_explainable, has_rule, reverse, table_of
from onnxplain.graphops.canonicalize import CanonicalGraph
from onnxplain.graphops.ends import find_ends, longest_path, path_between, require_rows
from onnxplain.graphops.errors import ModelError
from onnxplain.graphops.ir import Emitter, Node, blaming
from onnxplain.graphops.methods import Method, find_method, require_taken
from onnxplain.graphops.network import NetworkSource, as_network
from onnxplain.graphops.operators import ACTIVATIONS, GRADIENT, Table, choose_form, is_rectifier
from onnxplain.graphops.options import Options, Target, Unpool

__all__ = ["NodeReport", "Report", "check"]


@dataclass(frozen=True)
class NodeReport:
    """What happens at one node on the path.

    rule: "exact" (as the method defines it), "as gradient" (an activation that the method leaves
    alone), or "no rule". unpool: the form chosen for a max-pool, else None. note: a warning or "".
    """

    node: str
    operator: str
    tensor: str
    rule: str
    unpool: str | None
    note: str


@dataclass(frozen=True)
class Report:
    """The preflight report of one explanation.

    batch: "free", "freed" (it was fixed at 1) or "fixed", with the reason in `batch_note`.
    explainable_from: where `ok` is false, the first tensor to which the layer can be projected
    back, if any. problem: why `ok` is false.
    """

    layer: str
    method: str
    to: str
    opset: int
    batch: str
    batch_note: str
    nodes: tuple[NodeReport, ...]
    explainable_from: str | None
    warnings: tuple[str, ...]
    ok: bool
    problem: str


def check(
    model: NetworkSource,
    layer: str | None = None,
    method: str | Method = "deconvnet",
    *,
    to: str | None = None,
    unpool: str = "auto",
    target: str = "cpu",
    channel_axis: int | None = None,
    keep_shape: bool = False,
    score_layer: str | None = None,
) -> Report:
    """Report what `rewrite` would do with the same arguments, and whether it can.

    Args:
        model: a path, the bytes of a file, a ModelProto or a Network; it is not changed.
        layer: the name of a tensor, a node or a module; None for the class score.
        method: a name in `METHODS`, or a Method of your own.
        to: the tensor projected back to; None for the picture.
        unpool: the form of max-unpooling, "auto" for the exact and fast one.
        target: the runtime that the artefact is made for.
        channel_axis: the layer's channel axis, where the default is wrong.
        keep_shape: leave a fixed batch as it is.
        score_layer: of class activation maps, the layer whose unit is explained.

    Returns:
        The report: which rule each node on the path gets, the form of each max-unpooling, whether
        the batch is free, and where explanation is possible if it is not down to `to`. An operator
        without a rule is no error here but a line of the report.

    Raises:
        UnknownLayer, UnknownMethod, OptionError: an argument is wrong.
        MissingFile, CorruptModel, UnsafeModel, UnsupportedModel: the model cannot be read.
    """
    chosen = find_method(method)
    require_taken(chosen, ["score_layer"] if score_layer is not None else [])
    options = Options(  # refuses wrong values
        to=to,
        unpool=cast("Unpool", unpool),
        target=cast("Target", target),
        channel_axis=channel_axis,
        keep_shape=keep_shape,
        score_layer=score_layer,
        low=(0.0,),  # any bounds: what the input's values are changes nothing here
        high=(1.0,),
    )
    network = as_network(model)
    with blaming(network.model):
        return _checked(network.canonical(keep_shape), chosen, layer, options)


def _checked(
    prepared: CanonicalGraph, chosen: Method, layer: str | None, options: Options
) -> Report:
    ends = find_ends(prepared, layer, chosen, options)
    path = path_between(prepared.graph, ends, options.to)
    path = longest_path(prepared.graph, ends, chosen, path)
    table = table_of(chosen.rules, path, options)
    supported = has_rule(table)
    nodes = tuple(_node_report(n, chosen, options, supported(n)) for n in path.nodes)
    problem, start = "", None
    try:
        require_rows(prepared, ends.layer)
        _walk(prepared, path, table)
    except ModelError as e:
        problem, start = str(e), first_explainable(path, supported)
    return Report(
        layer=ends.layer.name,
        method=chosen.name,
        to=ends.target.name,
        opset=prepared.source_opset,
        batch=prepared.batch,
        batch_note=prepared.batch_note,
        nodes=nodes,
        explainable_from=start.name if start is not None else None,
        warnings=tuple(n.note for n in nodes if n.note),
        ok=not problem,
        problem=problem,
    )


def _walk(prepared: CanonicalGraph, path: Path, table: Table) -> None:
    """Append the backward part for trial, on a graph that nobody will use: rules may refuse too."""
    op = Emitter(prepared.graph, prepared.batched)
    seed = gs.Variable("trial", dtype=path.layer.dtype, shape=path.layer.shape)
    reverse(op, path, op.own(seed), table)


def _node_report(node: Node, method: Method, options: Options, supported: bool) -> NodeReport:
    rule, form, note = "exact", None, ""
    if not supported:
        rule = "no rule"
    elif node.op in ACTIVATIONS and not is_rectifier(node) and method.rules is not GRADIENT:
        rule = "as gradient"
    elif node.op == "MaxPool":
        form, note = choose_form(node, options.unpool, options.target)
    return NodeReport(node.name, node.op, node.outputs[0].name, rule, form, note)
