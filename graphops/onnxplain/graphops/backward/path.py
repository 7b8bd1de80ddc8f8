"""The path of a signal: the nodes that carry it from a layer back to a target tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Graph, Node, Tensor, is_float, reads
from onnxplain.graphops.operators import NO_FLOW, operator_of

__all__ = ["Path", "find_path", "first_explainable"]

PLAIN_INTEGERS = (np.int64, np.bool_)  # integer types that never hold quantised floats


@dataclass(frozen=True)
class Path:
    """The nodes on the float paths from `target` to `layer`, in the graph's order.

    tensors: the names of the tensors on them, both ends included. A tensor of unknown type counts
    as float, so that the operator that computes it is reported. others: further targets, whose
    paths to the layer are included.
    """

    target: Tensor
    layer: Tensor
    nodes: tuple[Node, ...]
    tensors: frozenset[str]
    opset: int
    others: tuple[Tensor, ...] = ()

    @property
    def targets(self) -> tuple[Tensor, ...]:
        """The target and the others."""
        return (self.target, *self.others)


def find_path(graph: Graph, target: Tensor, layer: Tensor, others: Iterable[Tensor] = ()) -> Path:
    """Return the path from `target` forward to `layer`; shape arithmetic is not on it.

    others: further targets; those that no path leads from are left out.

    Raises UnsupportedModel where no signal path leads from one to the other.
    """
    others = list(others)
    reached = {target.name, *(t.name for t in others)}
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
    if layer.name not in reached or target.name not in needed:
        raise UnsupportedModel(
            f"no signal path leads from '{target.name}' to the layer '{layer.name}': choose a "
            "target upstream of the layer (`to`), or another layer"
        )
    others = [t for t in others if t.name in needed]
    tensors = frozenset(needed & reached)
    return Path(target, layer, tuple(reversed(nodes)), tensors, graph.opset, tuple(others))


def first_explainable(path: Path, supported: Callable[[Node], bool]) -> Tensor | None:
    """Return the first tensor from which all nodes on the way to the layer are supported."""
    blocked: set[str] = set()
    for node in reversed(path.nodes):
        if not supported(node) or any(t.name in blocked for t in node.outputs):
            blocked.update(t.name for t in reads(node))
    for node in path.nodes:
        for tensor in node.outputs:
            known = is_float(tensor) and tensor.shape  # a scalar is no layer
            if known and tensor.name in path.tensors and tensor.name not in blocked:
                return tensor
    return None


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
