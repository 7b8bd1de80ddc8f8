"""Freeing a batch size that an exporter fixed at 1, where images do not affect each other."""

from __future__ import annotations

import numpy as np

from onnxplain.graphops.analysis import MIXED, single_image_inputs, track_batch
from onnxplain.graphops.ir import (
    Emitter,
    Graph,
    Node,
    attribute,
    constant,
    dimension_names,
    infer_shapes,
    is_constant,
)

__all__ = ["free_batch"]


def free_batch(graph: Graph) -> tuple[str, str]:
    """Free the batch of `graph` in place where it is fixed at 1 and no node depends on that.

    Returns "free" (it already was), "freed" or "fixed", and a note: why it stays fixed, or, where
    it is free, which node mixes it with another axis; else "".
    """
    for name in sorted(single_image_inputs(graph)):
        return "fixed", f"the input '{name}' takes one image, without a batch axis"
    batches = [t.shape[0] for t in graph.inputs if t.shape]
    if not batches:
        return "fixed", "the network's inputs have no shape"
    for tensor in graph.inputs:
        if tensor.shape and isinstance(tensor.shape[0], int) and tensor.shape[0] != 1:
            return "fixed", f"the input '{tensor.name}' has the batch size {tensor.shape[0]}"
    if not any(isinstance(b, int) for b in batches):
        return "free", _mixing_node(graph)
    shapes, nodes = [(t, t.shape) for t in graph.inputs], list(graph.nodes)
    forms = [(n, list(n.inputs), dict(n.attrs)) for n in nodes if n.op in FREED]
    _free_constants(graph)
    symbol = _unused_symbol(graph)
    for tensor in graph.inputs:
        if tensor.shape and tensor.shape[0] == 1:
            tensor.shape = [symbol, *tensor.shape[1:]]
    infer_shapes(graph, sizes_changed=True)
    note = _mixing_node(graph)
    if not note:
        return "freed", ""
    for tensor, shape in shapes:
        tensor.shape = shape
    for node, inputs, attrs in forms:
        node.inputs, node.attrs = inputs, attrs
    graph.nodes = nodes
    infer_shapes(graph, sizes_changed=True)
    return "fixed", note


def _free_constants(graph: Graph) -> None:
    """Let nodes with a constant leading size of 1 keep their input's batch size instead."""
    op = Emitter(graph)
    with op.collecting() as nodes:
        for node in graph.nodes:
            sizes = _batch_of_one(node)
            if sizes is not None:
                (_free_reshape if node.op == "Reshape" else _free_resize)(op, node, sizes)
            op.append(node)
    graph.nodes = nodes


def _batch_of_one(node: Node) -> np.ndarray | None:
    """Return a node's constant output sizes where input and output have batch size 1."""
    index = FREED.get(node.op)
    if index is None or len(node.inputs) <= index:
        return None
    data, sizes = node.inputs[0], node.inputs[index]
    if is_constant(data) or not data.shape or data.shape[0] != 1 or not is_constant(sizes):
        return None
    return sizes.values if sizes.values.size and sizes.values[0] == 1 else None


def _free_reshape(op: Emitter, node: Node, sizes: np.ndarray) -> None:
    """Set the first size to 0, the input's size; `allowzero` has no effect without a zero."""
    target = np.array(sizes)
    if attribute(node, "allowzero", 0) and not target.all():
        return
    node.attrs.pop("allowzero", None)
    target[0] = 0
    node.inputs[1] = constant(f"{node.name}/freed_shape", target)


def _free_resize(op: Emitter, node: Node, sizes: np.ndarray) -> None:
    """Read the first size from the input."""
    if attribute(node, "axes") is not None:
        return
    with op.scoped(node.name):
        batch = op.raw("Shape", node.inputs[0], start=0, end=1)
        node.inputs[3] = op.Concat(batch, sizes[1:].tolist(), axis=0)


def _mixing_node(graph: Graph) -> str:
    """Return a phrase with the first node that mixes the batch with another axis, or ""."""
    states = track_batch(graph)
    for node in graph.nodes:
        if any(states[t.name] == MIXED for t in node.outputs):
            return f"{node.op} '{node.name}' mixes the batch with another axis"
    return ""


def _unused_symbol(graph: Graph) -> str:
    names = dimension_names(graph)
    return next(name for name in ("N", "batch", "onnxplain_N") if name not in names)


FREED = {"Reshape": 1, "Resize": 3}  # operator: the input with the output's sizes
