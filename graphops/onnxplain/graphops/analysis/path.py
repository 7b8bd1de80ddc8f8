"""The path of a signal: the nodes that carry it from a layer back to a target tensor."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.fusion import Fused, recognize
from onnxplain.graphops.ir import Graph, Node, Tensor, is_float, reads
from onnxplain.graphops.operators import NO_FLOW, operator_of

__all__ = ["Path", "find_path", "signal_inputs"]

PLAIN_INTEGERS = (np.int64, np.bool_)  # integer types that never hold quantised floats


@dataclass(frozen=True)
class Path:
    """The nodes on the float paths from `target` to `layer`, in the graph's order.

    nodes: among them is a `Fused` node for each group that spells one operator. tensors: the names
    of the tensors on the paths, both ends included. A tensor of unknown type counts as float, so
    that the operator that computes it is reported.
    onward: all nodes that the targets' signals reach. reached: the names of the tensors.
    others: further targets, whose paths to the layer are included.
    """

    target: Tensor
    layer: Tensor
    opset: int
    onward: tuple[Node, ...]
    reached: frozenset[str]
    others: tuple[Tensor, ...] = ()
    nodes: tuple[Node, ...] = field(init=False)
    tensors: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        needed, nodes = {self.layer.name}, []
        for node in reversed(self.onward):
            if any(t.name in needed for t in node.outputs):
                nodes.append(node)
                needed.update(t.name for _, t in _signals(node) if t.name in self.reached)
        object.__setattr__(self, "nodes", tuple(reversed(nodes)))
        object.__setattr__(self, "tensors", frozenset(needed & self.reached))

    @property
    def targets(self) -> tuple[Tensor, ...]:
        """The target and the others."""
        return (self.target, *self.others)

    def expanded(self, operators: Container[str]) -> Path:
        """Return the path with the members of groups that spell other operators than these."""
        unknown = [n for n in self.nodes if isinstance(n, Fused) and n.op not in operators]
        if not unknown:
            return self
        last = {group.name: group.members[-1] for group in unknown}
        onward = tuple(last.get(node.name, node) for node in self.onward)
        return replace(self, onward=onward).expanded(operators)

    @staticmethod
    def through(group: Fused, opset: int) -> Path:
        """Return the path from a group's input to its output, through its members."""
        x, y = group.inputs[0], group.outputs[0]
        return Path(x, y, opset, *_follow([x], group.members))


def find_path(graph: Graph, target: Tensor, layer: Tensor, others: Iterable[Tensor] = ()) -> Path:
    """Return the path from `target` forward to `layer`; shape arithmetic is not on it.

    others: further targets; those that no path leads from are left out.

    Raises UnsupportedModel where no signal path leads from one to the other.
    """
    targets = [target, *others]
    groups = recognize([*graph.inputs, *targets], graph.nodes)
    nodes = [_fused(node, groups, targets) for node in graph.nodes]
    path = Path(target, layer, graph.opset, *_follow(targets, nodes))
    if target.name not in path.tensors:
        raise UnsupportedModel(
            f"no signal path leads from '{target.name}' to the layer '{layer.name}': choose a "
            "target upstream of the layer (`to`), or another `layer`"
        )
    return replace(path, others=tuple(t for t in targets[1:] if t.name in path.tensors))


def _fused(node: Node, groups: Mapping[str, Fused], targets: Iterable[Tensor]) -> Node:
    """Return the group that ends at the node, unless a target is inside it."""
    group = groups.get(node.outputs[0].name) if node.outputs else None
    return node if group is None or any(t.name in group.interior for t in targets) else group


def _follow(
    targets: Iterable[Tensor], nodes: Iterable[Node]
) -> tuple[tuple[Node, ...], frozenset[str]]:
    """Return the nodes that the signals of the targets reach, and the names of the tensors."""
    reached = {t.name for t in targets}
    quantized: set[str] = set()
    onward = []
    for node in nodes:
        if node.op in NO_FLOW or not any(t.name in reached for _, t in _signals(node)):
            continue
        onward.append(node)
        reached.update(t.name for t in node.outputs if is_float(t) or _is_unknown(t))
        if node.op == "QuantizeLinear" or any(t.name in quantized for t in reads(node)):
            integers = {t.name for t in node.outputs if _is_quantized(t)}
            quantized |= integers
            reached |= integers
    return tuple(onward), frozenset(reached)


def signal_inputs(node: Node, path: Path) -> list[tuple[int, Tensor]]:
    """Return the tensors on the path that a node reads, with their numbers among those it reads."""
    return [(i, t) for i, t in _signals(node) if t.name in path.tensors]


def _signals(node: Node) -> list[tuple[int, Tensor]]:
    """Return the tensors that a node reads, without inputs of which only the type counts."""
    operator = operator_of(node)
    type_only = operator.type_only if operator is not None else ()
    return [(i, tensor) for i, tensor in enumerate(reads(node)) if i not in type_only]


def _is_quantized(tensor: Tensor) -> bool:
    """Tell whether the tensor may hold quantised floats: not int64 or boolean, as indices are.

    Types other than integers, such as float8, are refused at the QuantizeLinear.
    """
    return not is_float(tensor) and not tensor.is_empty() and tensor.dtype not in PLAIN_INTEGERS


def _is_unknown(tensor: Tensor) -> bool:
    return not tensor.is_empty() and tensor.dtype is None
