"""The preflight report: each node's rule, and why a rewrite would fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import onnx_graphsurgeon as gs

from onnxplain.graphops.backward import Path, first_explainable, has_rule, prepared, reverse
from onnxplain.graphops.canonicalize import CanonicalGraph
from onnxplain.graphops.errors import ModelError
from onnxplain.graphops.fusion import ACTIVATION
from onnxplain.graphops.ir import Emitter, Node, diagnosing
from onnxplain.graphops.layer_and_target import (
    find_ends,
    longest_path,
    path_between,
    require_batch_axis,
)
from onnxplain.graphops.methods import DEFAULT_METHOD, Method, find_method, require_taken
from onnxplain.graphops.network import NetworkSource, as_network
from onnxplain.graphops.operators import ACTIVATIONS, GRADIENT, Table, choose_form, is_rectifier
from onnxplain.graphops.options import Options, Target, Unpool

__all__ = ["NodeReport", "Report", "check"]


@dataclass(frozen=True)
class NodeReport:
    """How the signal passes one node on the path.

    rule: "exact" (as the method defines it), "as gradient" (an activation for which the method has
    no rule of its own), or "no rule". unpool: the form of unpooling chosen for a max-pool, else
    None. note: a warning, or "".
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
    explainable_from: if `ok` is false, the first tensor to which the layer can be projected back,
    or None. ok: whether `rewrite` would succeed. problem: why not, or "".
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
    method: str | Method = DEFAULT_METHOD,
    *,
    to: str | None = None,
    unpool: str = "auto",
    target: str = "cpu",
    channel_axis: int | None = None,
    keep_shape: bool = False,
    score_layer: str | None = None,
) -> Report:
    """Report what `rewrite` would do with the same arguments, and whether it would succeed.

    Args:
        model: a path, the bytes of a file, a ModelProto or a Network; it is not changed.
        layer: the name of a tensor, a node or a module; None for the class score.
        method: a name in `METHODS`, or a Method of your own.
        to: the tensor projected back to; None for the picture.
        unpool: the form of max-unpooling; "auto" for the fastest exact form on `target`.
        target: the runtime that will run the artefact.
        channel_axis: the layer's channel axis, where the default is wrong.
        keep_shape: keep a fixed batch size.
        score_layer: for class activation maps, the layer whose unit is explained.

    Returns:
        The report: the rule of each node on the path, the form of each max-unpooling, whether the
        batch is free, and the first explainable tensor if `to` is out of reach. An operator without
        a rule raises no error; it is an entry of the report.

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
        low=(0.0,),  # any bounds: they do not change the report
        high=(1.0,),
    )
    network = as_network(model)
    with diagnosing(network.model):
        return _check(network.canonical(options.keep_shape), chosen, layer, options)


def _check(
    canonical: CanonicalGraph, chosen: Method, layer: str | None, options: Options
) -> Report:
    ends = find_ends(canonical, layer, chosen, options)
    path = path_between(canonical.graph, ends, options.to)
    path = longest_path(canonical.graph, ends, chosen, path)
    path, table = prepared(chosen.rules, path, options)
    supported = has_rule(table)
    rectifies = isinstance(chosen.rules, dict) and chosen.rules is not GRADIENT
    nodes = tuple(_node_report(n, rectifies, options, supported(n)) for n in path.nodes)
    problem, start = "", None
    try:
        require_batch_axis(canonical, ends.layer)
        _try_rules(canonical, path, table)
    except ModelError as e:
        problem, start = str(e), first_explainable(path, supported)
    return Report(
        layer=ends.layer.name,
        method=chosen.name,
        to=ends.target.name,
        opset=canonical.source_opset,
        batch=canonical.batch,
        batch_note=canonical.batch_note,
        nodes=nodes,
        explainable_from=start.name if start is not None else None,
        warnings=tuple(n.note for n in nodes if n.note),
        ok=not problem,
        problem=problem,
    )


def _try_rules(canonical: CanonicalGraph, path: Path, table: Table) -> None:
    """Append the backward part to a throw-away graph, since rules may refuse nodes too."""
    op = Emitter(canonical.graph, canonical.batched)
    seed = gs.Variable("trial", dtype=path.layer.dtype, shape=path.layer.shape)
    reverse(op, path, op.own(seed), table)


def _node_report(node: Node, rectifies: bool, options: Options, supported: bool) -> NodeReport:
    """Report one node. rectifies: whether the method differs from the gradient in rectifiers."""
    rule, form, note = "exact", None, ""
    if not supported:
        rule = "no rule"
    elif rectifies and node.op in (*ACTIVATIONS, ACTIVATION) and not is_rectifier(node):
        rule = "as gradient"
    elif node.op == "MaxPool":
        form, note = choose_form(node, options.unpool, options.target)
    return NodeReport(node.name, node.op, node.outputs[0].name, rule, form, note)
