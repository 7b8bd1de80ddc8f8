"""The path of a signal: the nodes that carry it from a layer back to a target tensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Graph, Node, Tensor, is_float, reads
from onnxplain.graphops.operators import NO_FLOW, operator_of

__all__ = ["Path", "find_path"]

PLAIN_INTEGERS = (np.int64, np.bool_)  # integer types that never hold quantised floats


@dataclass(frozen=True)
class Path:
    """The nodes on the float paths from `target` to `layer`, in the graph's order.

    tensors: the names of the tensors on them, both ends included. A tensor of unknown type counts
    as float, so that the operator that computes it is reported.
    """

    target: Tensor
    layer: Tensor
    nodes: tuple[Node, ...]
    tensors: frozenset[str]
    opset: int


def find_path(graph: Graph, target: Tensor, layer: Tensor) -> Path:
    """Return the path from `target` forward to `layer`; shape arithmetic is not on it.

    Raises UnsupportedModel where no signal path leads from one to the other.
    """
    reached = {target.name}
    quantized: set[str] = set()
    onward = []
    for node in graph.nodes:
        if node.op in NO_FLOW or not any(t.name in reached for t in _signal_inputs(node)):
            continue
        onward.append(node)
        reached.update(t.name for t in node.outputs if is_float(t) or _is_unknown(t))
        if node.op == "QuantizeLinear" or any(t.name in quantized for t in reads(node)):
            integers = {t.name for t in node.outputs if _is_quantized(t)}
            quantized |= integers
            reached |= integers
    needed = {layer.name}
    nodes = []
    for node in reversed(onward):
        if any(t.name in needed for t in node.outputs):
            nodes.append(node)
            needed.update(t.name for t in _signal_inputs(node) if t.name in reached)
    if layer.name not in reached or (not nodes and target.name != layer.name):
        raise UnsupportedModel(
            f"no signal path leads from '{target.name}' to the layer '{layer.name}': choose a "
            "target upstream of the layer (`to`), or another `layer`"
        )
    return Path(target, layer, tuple(reversed(nodes)), frozenset(needed & reached), graph.opset)


def _signal_inputs(node: Node) -> list[Tensor]:
    """Return the tensors that a node reads, without inputs of which only the type counts."""
    operator = operator_of(node)
    type_only = operator.type_only if operator is not None else ()
    return [tensor for i, tensor in enumerate(reads(node)) if i not in type_only]


def _is_quantized(tensor: Tensor) -> bool:
    """Tell whether the tensor may hold quantised floats: not int64 or boolean, as indices are.

    Types other than integers, such as float8, are refused at the QuantizeLinear.
    """
    return not is_float(tensor) and not tensor.is_empty() and tensor.dtype not in PLAIN_INTEGERS


def _is_unknown(tensor: Tensor) -> bool:
    return not tensor.is_empty() and tensor.dtype is None
