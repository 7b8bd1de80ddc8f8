"""The preflight report: each node's rule, and why a rewrite would fail."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import onnx_graphsurgeon as gs

from onnxplain.graphops.backward import Path, has_rule, prepared, require_signals
from onnxplain.graphops.canonicalize import CanonicalGraph
from onnxplain.graphops.errors import ModelError, OptionError
from onnxplain.graphops.fusion import ACTIVATION
from onnxplain.graphops.ir import Emitter, Node, diagnosing, is_float
from onnxplain.graphops.layer_and_target import (
    find_ends,
    longest_path,
    path_between,
)
from onnxplain.graphops.lowering_report import replaced, rule_form, unmeasured
from onnxplain.graphops.methods import DEFAULT_METHOD, Method, find_method, require_taken
from onnxplain.graphops.network import Network, NetworkSource, as_network
from onnxplain.graphops.operators import ACTIVATIONS, GRADIENT, Table, choose_form, is_rectifier
from onnxplain.graphops.options import Lowering, Options, Target, Unpool
from onnxplain.graphops.rewriter import append_explanation
from onnxplain.graphops.ways_out import WaysOut, find_ways_out, naming_ways_out, with_ways_out

__all__ = ["NodeReport", "Report", "check"]


@dataclass(frozen=True)
class NodeReport:
    """How the signal passes one node on the path.

    node, operator: its name and its type. tensor: its first output.
    rule: "exact" (as the method defines it), "as gradient" (an activation for which the method has
    no rule of its own), or "no rule". unpool: the form of unpooling chosen for a max-pool, else
    None; with lowering `fast`, "comparison" where no switches are recorded. note: a warning, or "".
    lowering: for lowering `fast`, the operators in place of plain ones and why; "" where it is
    plain.
    """

    node: str
    operator: str
    tensor: str
    rule: str
    unpool: str | None
    note: str
    lowering: str = ""


@dataclass(frozen=True)
class Report:
    """The preflight report of one explanation.

    layer, to: the tensors projected from and to. method: the method's name. opset: that of the
        source model. nodes: one report for each node on the path.
    batch: "free", "freed" (it was fixed at 1) or "fixed". batch_note: the reason, or "".
    warnings: sentences about assumptions and oddities.
    ok: whether `rewrite` would succeed. problem: why not, or "".
    explainable_from: if `ok` is false, the first tensor to which the layer can be projected back,
        or None.
    quantity: if the layer is the class score, what the output's numbers are, "probability",
        "log probability", "score" or "value"; else "".
    other_outputs: if the layer is the class score, the network's other float outputs.
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
    quantity: str = ""
    other_outputs: tuple[str, ...] = ()


def check(
    model: NetworkSource,
    layer: str | None = None,
    method: str | Method = DEFAULT_METHOD,
    *,
    to: str | None = None,
    unpool: str = "auto",
    target: str = "cpu",
    lowering: str = "plain",
    channel_axis: int | None = None,
    keep_shape: bool = False,
    score_layer: str | None = None,
    score_channel_axis: int | None = None,
) -> Report:
    """Report what `rewrite` would do with the same arguments, and whether it would succeed.

    Args:
        model: a path, the bytes of a file, a ModelProto or a Network; it is not changed.
        layer: the name of a tensor, a node or a module; None for the class score.
        method: a name in `METHODS`, or a Method of your own.
        to: the tensor projected back to; None for the picture.
        unpool: the form of max-unpooling; "auto" for the fastest exact form on `target`.
        target: the runtime that will run the artefact.
        lowering: the operators of the backward pass, "plain" or "fast".
        channel_axis: the layer's channel axis, where the default is wrong.
        keep_shape: keep a fixed batch size.
        score_layer: for class activation maps, the layer whose unit is explained.
        score_channel_axis: that layer's channel axis, where the default is wrong.

    Returns:
        The report: the rule of each node on the path, the form of each max-unpooling, whether the
        batch is free, and the first explainable tensor if `to` is out of reach. An operator without
        a rule raises no error; it is an entry of the report.

    Raises:
        UnknownLayer, UnknownMethod, OptionError: an argument is wrong.
        MissingFile, CorruptModel, UnsafeModel, UnsupportedModel: the model cannot be read.
    """
    chosen = find_method(method)
    own = {"score_layer": score_layer, "score_channel_axis": score_channel_axis}
    require_taken(chosen, [name for name, value in own.items() if value is not None])
    options = Options(  # refuses wrong values
        to=to,
        unpool=cast("Unpool", unpool),
        target=cast("Target", target),
        lowering=cast("Lowering", lowering),
        channel_axis=channel_axis,
        keep_shape=keep_shape,
        score_layer=score_layer,
        score_channel_axis=score_channel_axis,
        low=(0.0,),  # any bounds: they do not change the report
        high=(1.0,),
    )
    network = as_network(model)
    with diagnosing(network.model):
        return _check(network, chosen, layer, options)


def _check(network: Network, chosen: Method, layer: str | None, options: Options) -> Report:
    canonical = network.canonical(options.keep_shape)
    with naming_ways_out(network, layer, chosen, options, append_explanation):
        ends = find_ends(canonical, layer, chosen, options)
        path = path_between(canonical.graph, ends, options.to)
    by_default = (options.score_layer if chosen.over == "map" else layer) is None
    notes = ends.score.notes if by_default and ends.score is not None else ()
    path = longest_path(canonical.graph, ends, chosen, path)
    plain = prepared(chosen.rules, path, replace(options, lowering="plain"))[1]
    path, table = prepared(chosen.rules, path, options)
    supported = has_rule(table)
    rectifies = isinstance(chosen.rules, dict) and chosen.rules is not GRADIENT
    nodes = tuple(
        _node_report(n, rectifies, options, supported(n), rule_form(n, plain, table, options))
        for n in path.nodes
    )
    problem, ways = "", WaysOut()
    try:
        appended = append_explanation(network.canonical(options.keep_shape), layer, chosen, options)
        fast = replaced(path, appended.choices)
        nodes = tuple(_with_lowering(row, fast.get(row.node, "")) for row in nodes)
    except OptionError as e:  # the layer has no units
        problem = str(e)
    except ModelError as e:
        ways = find_ways_out(network, layer, chosen, options, append_explanation)
        problem = with_ways_out(e, ways)
        nodes = tuple(_refused(canonical, path, table, row) for row in nodes)
    return Report(
        layer=ends.layer.name,
        method=chosen.name,
        to=ends.target.name,
        opset=canonical.source_opset,
        batch=canonical.batch,
        batch_note=canonical.batch_note,
        nodes=nodes,
        explainable_from=ways.to or None,
        warnings=tuple(
            filter(None, (*notes, *ends.warnings, *(n.note for n in nodes), unmeasured(options)))
        ),
        ok=not problem,
        problem=problem,
        quantity=ends.score.quantity if ends.score is not None else "",
        other_outputs=ends.score.others if ends.score is not None else (),
    )


def _refused(canonical: CanonicalGraph, path: Path, table: Table, row: NodeReport) -> NodeReport:
    """Return the row of a node, with "no rule" where its rule refuses just this node."""
    node = next(n for n in path.nodes if n.name == row.node)
    if row.rule == "no rule":
        return row
    op = Emitter(canonical.graph, canonical.batched)
    outputs = [t for t in node.outputs if is_float(t) or t.name in path.tensors]
    signals = [
        op.own(gs.Variable(op.name("trial"), dtype=path.layer.dtype, shape=t.shape))
        if t.name in path.tensors
        else None
        for t in outputs
    ]
    try:
        with op.collecting(), op.scoped(node.name):
            results = table[node.op](op, node, signals[0] if len(signals) == 1 else tuple(signals))
            require_signals(node, results, path)
    except ModelError as e:
        return replace(row, rule="no rule", note=str(e))
    return row


def _with_lowering(row: NodeReport, phrases: str) -> NodeReport:
    """Return the row of a node, with what took the place of plain operators."""
    return replace(row, lowering="; ".join(filter(None, (row.lowering, phrases))))


def _node_report(
    node: Node, rectifies: bool, options: Options, supported: bool, fast: str
) -> NodeReport:
    """Report one node.

    rectifies: whether the method differs from the gradient in rectifiers. fast: what is special
    about the rule by lowering `fast`.
    """
    rule, form, note = "exact", None, ""
    if not supported:
        rule = "no rule"
    elif rectifies and node.op in (*ACTIVATIONS, ACTIVATION) and not is_rectifier(node):
        rule = "as gradient"
    elif node.op == "MaxPool":
        form, note = choose_form(node, options.unpool, options.target)
        form = "comparison" if fast else form
    return NodeReport(node.name, node.op, node.outputs[0].name, rule, form, note, fast)
