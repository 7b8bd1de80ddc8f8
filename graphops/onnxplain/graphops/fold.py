"""Working out small constants that the file spells out as operators on other constants.

Exporters write a bound as Cast(Constant), a shape as Concat of numbers. Rules and shapes want to
know the value. Weights stay as they are: only small tensors, and only operators that do not round.
"""

from __future__ import annotations

import onnx
import onnx_graphsurgeon as gs
from onnx.reference import ReferenceEvaluator

from onnxplain.graphops.graph import Graph, Node, is_constant, onnx_type

__all__ = ["fold_constants"]

SMALL = 64  # elements
EXACT = {
    "Cast", "Concat", "Flatten", "Gather", "Identity", "Neg", "Reshape", "Slice",
    "Squeeze", "Transpose", "Unsqueeze",
}  # fmt: skip


def fold_constants(graph: Graph) -> None:
    """Replace, in place, each such node by the constant that it gives."""
    outputs = {t.name for t in graph.outputs}
    kept = []
    for node in graph.nodes:
        if _is_foldable(node) and node.outputs[0].name not in outputs:
            _fold(node)
        else:
            kept.append(node)
    graph.nodes = kept


def _is_foldable(node: Node) -> bool:
    if node.op not in EXACT or node.domain not in (None, "", "ai.onnx") or not node.inputs:
        return False
    if any(isinstance(value, gs.Graph) for value in node.attrs.values()):
        return False
    given = [t for t in node.inputs if not t.is_empty()]
    if not all(is_constant(t) and _is_small(t.shape) for t in given):
        return False
    # NumPy has no kernel for the types that it has no name for
    return all(onnx_type(t) != onnx.TensorProto.BFLOAT16 for t in given)


def _is_small(shape: tuple[int, ...]) -> bool:
    count = 1
    for size in shape:
        count *= size
    return count <= SMALL


def _fold(node: Node) -> None:
    (output,) = node.outputs
    given = {t.name: t.values for t in node.inputs if not t.is_empty()}
    names = [t.name for t in node.inputs]
    proto = onnx.helper.make_node(node.op, names, [output.name], **node.attrs)
    evaluator = ReferenceEvaluator(proto)
    (value,) = evaluator.run(None, given)
    node.inputs.clear()
    node.outputs.clear()
    output.to_constant(value)
