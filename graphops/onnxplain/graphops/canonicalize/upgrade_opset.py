"""Upgrading a graph of opset 7 to 16 to opset 17, so that rules handle one form per operator.

An adapter rewrites one node whose operator changed its semantics or its form in between. Operators
that were only extended (new types, new optional inputs, attributes that default to the old
behaviour) need none. Names of nodes and outputs are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import (
    Body,
    Emitter,
    Graph,
    Node,
    Tensor,
    attribute,
    infer_shapes,
    is_constant,
    is_standard,
    onnx_type,
)

__all__ = ["ADAPTERS", "TARGET_OPSET", "upgrade"]

TARGET_OPSET = 17

Adapter = Callable[[Emitter, Node, int], None]


def upgrade(graph: Graph) -> None:
    """Upgrade `graph` in place to opset 17; a newer graph is left unchanged.

    Raises UnsupportedModel for the few old forms without an equivalent.
    """
    if graph.opset >= TARGET_OPSET:
        return
    _upgrade_nodes(graph, graph.opset)
    for domain in graph.import_domains:
        if domain.domain in ("", "ai.onnx"):
            domain.version = TARGET_OPSET
    infer_shapes(graph)


def _upgrade_nodes(graph: Body, opset: int) -> None:
    for subgraph in graph.subgraphs():
        _upgrade_nodes(subgraph, opset)
    op = Emitter(graph)
    with op.collecting() as nodes:
        for node in graph.nodes:
            until, adapter = ADAPTERS.get(node.op, (0, _keep))
            adapter = adapter if is_standard(node) and opset < until else _keep
            with op.scoped(node.name):
                adapter(op, node, opset)
    graph.nodes = nodes
    graph.opset = TARGET_OPSET


def _keep(op: Emitter, node: Node, opset: int) -> None:
    op.append(node)


def _ints_to_inputs(*names: str) -> Adapter:
    """Return the adapter that turns these integer attributes into inputs, in this order."""

    def adapter(op: Emitter, node: Node, opset: int) -> None:
        _append_inputs(op, node, [(node.attrs.pop(name, None), np.int64) for name in names])

    return adapter


def _append_inputs(op: Emitter, node: Node, values: list[tuple[object, Any]]) -> None:
    while values and values[-1][0] is None:
        values.pop()
    for value, dtype in values:
        node.inputs.append(gs.Variable.empty() if value is None else op.constant(value, dtype))
    op.append(node)


def _clip(op: Emitter, node: Node, opset: int) -> None:
    dtype = node.inputs[0].dtype
    _append_inputs(op, node, [(node.attrs.pop(name, None), dtype) for name in ("min", "max")])


def _pad(op: Emitter, node: Node, opset: int) -> None:
    pads, value = node.attrs.pop("pads"), node.attrs.pop("value", 0.0)
    _append_inputs(op, node, [(pads, np.int64), (value, node.inputs[0].dtype)])


def _topk(op: Emitter, node: Node, opset: int) -> None:
    _append_inputs(op, node, [([node.attrs.pop("k")], np.int64)])


def _dropout(op: Emitter, node: Node, opset: int) -> None:
    """Drop the ratio, which inference ignores, and cast the mask, which is boolean from 12 on."""
    node.attrs.pop("ratio", None)
    op.append(node)
    if len(node.outputs) < 2 or node.outputs[1].is_empty():
        return
    mask = node.outputs[1]
    used = mask.outputs or any(mask is t for t in op.graph.outputs)
    fresh = gs.Variable(op.name("mask"), dtype=np.bool_)
    node.outputs[1] = fresh
    if used:
        cast = gs.Node(
            "Cast", op.name("Cast"), {"to": onnx_type(mask)}, inputs=[fresh], outputs=[mask]
        )
        op.append(cast)


def _batch_normalization(op: Emitter, node: Node, opset: int) -> None:
    """Drop `spatial`; where it is 0, with statistics per element, write the formula out.

    MXNet writes 0 beside statistics per channel, which can only mean the usual normalisation.
    """
    spatial = node.attrs.pop("spatial", 1)
    if any(t.outputs or t in op.graph.outputs for t in list(node.outputs)[1:]):
        raise UnsupportedModel(
            f"BatchNormalization '{node.name}' updates its statistics, as in training: "
            "export the model for inference"
        )
    while len(node.outputs) > 1:
        node.outputs.pop()
    x, scale, bias, mean, variance = node.inputs
    if spatial or (scale.shape is not None and len(scale.shape) == 1):
        op.append(node)
        return
    factor = op.Div(scale, op.Sqrt(op.Add(variance, attribute(node, "epsilon", 1e-5))))
    _replace(op, node, "Add", [op.Mul(op.Sub(x, mean), factor), bias])


def _softmax(op: Emitter, node: Node, opset: int) -> None:
    """Flatten: until 12 softmax runs over all axes from `axis` on, from 13 on over one axis."""
    x = node.inputs[0]
    axis = attribute(node, "axis", 1)
    if x.shape is not None:
        rank = len(x.shape)
        axis %= rank
        if all(d == 1 for d in x.shape[axis + 1 :]):
            node.attrs["axis"] = axis
            op.append(node)
            return
    flat = op.Flatten(x, axis=axis)
    normalized = getattr(op, node.op)(flat, axis=1)
    _replace(op, node, "Reshape", [normalized, op.Shape(x)])


def _upsample(op: Emitter, node: Node, opset: int) -> None:
    """Upsample is a Resize with asymmetric coordinates, rounded down."""
    scales = node.attrs.pop("scales", None)
    scales = node.inputs[1] if scales is None else op.constant(scales, np.float32)
    _scaled(op, node, scales, "floor")


def _resize(op: Emitter, node: Node, opset: int) -> None:
    """Resize of opset 10 uses Upsample's coordinates; nearest rounds up on axes that shrink."""
    if opset > 10:
        _check_resize(node)
        op.append(node)
        return
    scales = node.inputs[1]
    if attribute(node, "mode", "nearest") != "nearest":
        _scaled(op, node, scales, "floor")
    elif not is_constant(scales):
        raise UnsupportedModel(
            f"Resize '{node.name}' of opset 10 computes its scales, which decide its rounding: "
            "export the model for opset 11 or newer"
        )
    elif np.all(scales.values >= 1):
        _scaled(op, node, scales, "floor")
    else:  # axes are independent: first resize those that shrink, then those that grow
        if np.any(scales.values > 1):
            shrink, grow = np.minimum(scales.values, 1), np.maximum(scales.values, 1)
            attrs = _coordinates(node, "ceil")
            node.inputs[0] = op.Resize(
                node.inputs[0], None, op.constant(shrink, np.float32), **attrs
            )
            _scaled(op, node, op.constant(grow, np.float32), "floor")
        else:
            _scaled(op, node, scales, "ceil")


def _scaled(op: Emitter, node: Node, scales: Tensor, rounding: str) -> None:
    inputs = [node.inputs[0], gs.Variable.empty(), scales]
    _replace(op, node, "Resize", inputs, _coordinates(node, rounding))


def _coordinates(node: Node, rounding: str) -> dict[str, str]:
    mode = attribute(node, "mode", "nearest")
    return {
        "mode": "linear" if mode == "bilinear" else mode,
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": rounding,
    }


def _check_resize(node: Node) -> None:
    mode = attribute(node, "coordinate_transformation_mode", "half_pixel")
    if mode == "tf_half_pixel_for_nn":
        raise UnsupportedModel(
            f"Resize '{node.name}' has coordinate_transformation_mode '{mode}', which opset 13 "
            "removed: export the model for opset 13 or newer"
        )


def _scatter(op: Emitter, node: Node, opset: int) -> None:
    node.op = "ScatterElements"
    op.append(node)


def _roi_align(op: Emitter, node: Node, opset: int) -> None:
    node.attrs.setdefault("coordinate_transformation_mode", "output_half_pixel")
    op.append(node)


def _scan(op: Emitter, node: Node, opset: int) -> None:
    raise UnsupportedModel(
        f"Scan '{node.name}' has the form of opset 8: export the model for opset 9 or newer"
    )


def _replace(
    op: Emitter,
    node: Node,
    op_type: str,
    inputs: list[Tensor],
    attrs: dict[str, str] | None = None,
) -> None:
    """Append another operator instead of the node, with its name and outputs."""
    outputs = list(node.outputs)
    node.inputs.clear()
    node.outputs.clear()
    op.append(gs.Node(op_type, node.name, attrs or {}, inputs=inputs, outputs=outputs))


# operator: (the first opset that needs no adapter, adapter)
ADAPTERS: dict[str, tuple[int, Adapter]] = {
    "BatchNormalization": (14, _batch_normalization),
    "Clip": (11, _clip),
    "Dropout": (12, _dropout),
    "Hardmax": (13, _softmax),
    "LogSoftmax": (13, _softmax),
    "Pad": (11, _pad),
    "ReduceSum": (13, _ints_to_inputs("axes")),
    "Resize": (13, _resize),
    "RoiAlign": (16, _roi_align),
    "Scan": (9, _scan),
    "Scatter": (11, _scatter),
    "Slice": (10, _ints_to_inputs("starts", "ends", "axes")),
    "Softmax": (13, _softmax),
    "Split": (13, _ints_to_inputs("split")),
    "Squeeze": (13, _ints_to_inputs("axes")),
    "TopK": (10, _topk),
    "Unsqueeze": (13, _ints_to_inputs("axes")),
    "Upsample": (10, _upsample),
}
