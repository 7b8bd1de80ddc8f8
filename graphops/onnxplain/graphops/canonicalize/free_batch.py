"""Freeing a batch that an exporter fixed at 1, where two images in it are two single runs."""

from __future__ import annotations

import numpy as np

from onnxplain.graphops.analysis import MIXED, track_batch
from onnxplain.graphops.ir import (
    Emitter,
    Graph,
    Node,
    attribute,
    constant,
    infer_shapes,
    is_constant,
)

__all__ = ["free_batch"]


def free_batch(graph: Graph) -> tuple[str, str]:
    """Free the batch of `graph` in place where it is fixed at 1 and nothing depends on that.

    Returns "free" (it was), "freed" or "fixed", and why where it stays fixed. Where it is free and
    a tensor mixes it with another axis, the reason names the node.
    """
    batches = [t.shape[0] for t in graph.inputs if t.shape]
    if not batches:
        return "fixed", "the network's inputs have no shape"
    for tensor in graph.inputs:
        if tensor.shape and isinstance(tensor.shape[0], int) and tensor.shape[0] != 1:
            return (
                "fixed",
                f"the input '{tensor.name}' has {tensor.shape[0]} rows, whatever is asked",
            )
    if not any(isinstance(b, int) for b in batches):
        return "free", _what_mixes(graph)
    shapes, nodes = [(t, t.shape) for t in graph.inputs], list(graph.nodes)
    forms = [(n, list(n.inputs), dict(n.attrs)) for n in nodes if n.op in FREED]
    _free_constants(graph)
    symbol = _unused_symbol(graph)
    for tensor in graph.inputs:
        if tensor.shape and tensor.shape[0] == 1:
            tensor.shape = [symbol, *tensor.shape[1:]]
    infer_shapes(graph, sizes_changed=True)
    note = _what_mixes(graph)
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
    """Let nodes that say a leading 1 keep the batch they are given: at batch 1 the same."""
    op = Emitter(graph)
    with op.collecting() as nodes:
        for node in graph.nodes:
            sizes = _one_row(node)
            if sizes is not None:
                (_free_reshape if node.op == "Reshape" else _free_resize)(op, node, sizes)
            op.append(node)
    graph.nodes = nodes


def _one_row(node: Node) -> np.ndarray | None:
    """Return a node's constant output sizes where they keep the batch of 1 that it reads."""
    place = FREED.get(node.op)
    if place is None or len(node.inputs) <= place:
        return None
    data, sizes = node.inputs[0], node.inputs[place]
    if is_constant(data) or not data.shape or data.shape[0] != 1 or not is_constant(sizes):
        return None
    return sizes.values if sizes.values.size and sizes.values[0] == 1 else None


def _free_reshape(op: Emitter, node: Node, sizes: np.ndarray) -> None:
    """Say 0, the size that the input has; `allowzero`, without a zero, meant nothing."""
    target = np.array(sizes)
    if attribute(node, "allowzero", 0) and not target.all():
        return
    node.attrs.pop("allowzero", None)
    target[0] = 0
    node.inputs[1] = constant(f"{node.name}/freed_shape", target)


def _free_resize(op: Emitter, node: Node, sizes: np.ndarray) -> None:
    """Read the first of the sizes from the input."""
    if attribute(node, "axes") is not None:
        return
    with op.scoped(node.name):
        rows = op.raw("Shape", node.inputs[0], start=0, end=1)
        node.inputs[3] = op.Concat(rows, sizes[1:].tolist(), axis=0)


def _what_mixes(graph: Graph) -> str:
    """Name the first node that mixes the batch with another axis, or nothing."""
    states = track_batch(graph)
    for node in graph.nodes:
        if any(states[t.name] == MIXED for t in node.outputs):
            return f"{node.op} '{node.name}' mixes the batch with another axis"
    return ""


def _unused_symbol(graph: Graph) -> str:
    taken = {d for t in graph.tensors().values() for d in t.shape or ()}
    return next(name for name in ("N", "batch", "onnxplain_N") if name not in taken)


FREED = {"Reshape": 1, "Resize": 3}  # operator: the input that says the shape
