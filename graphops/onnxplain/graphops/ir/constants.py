"""What a tensor's value is, where it stands in the file or follows from what does.

Exporters write a bound, an axis or a condition as Cast of a constant, Concat of numbers, Gather of
a Shape. Who must know it asks here; the graph stays as it is.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import onnx
from onnx_graphsurgeon.exporters.onnx_exporter import OnnxExporter

from onnxplain.graphops.ir.exporter import SMALL
from onnxplain.graphops.ir.graph import Node, Tensor, is_constant, numpy_type

__all__ = ["known_value"]

MOVES = {  # operators that only move values, and how many of their inputs hold values
    "Cast": 1, "Concat": None, "Expand": 1, "Gather": 1, "Identity": 1, "Reshape": 1, "Slice": 1,
    "Squeeze": 1, "Transpose": 1, "Unsqueeze": 1,
}  # fmt: skip
ARITHMETIC = {
    "Add", "And", "ConstantOfShape", "Div", "Equal", "Greater", "GreaterOrEqual", "Less",
    "LessOrEqual", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Range", "ReduceProd",
    "ReduceSum", "Sub", "Where",
}  # fmt: skip

# Values, and for each of them whether it is known.
Partly: TypeAlias = "tuple[np.ndarray, np.ndarray]"


def known_value(tensor: Tensor) -> np.ndarray | None:
    """Return the tensor's value whatever the network's inputs are, None where it depends on them.

    The size 1 of an axis 0 counts as unknown, since a fixed batch may yet be freed.
    """
    found = _look(tensor)
    return found[0] if found is not None and found[1].all() else None


def _look(tensor: Tensor) -> Partly | None:
    sizes = tensor.shape or ()
    if tensor.is_empty() or math.prod(s for s in sizes if isinstance(s, int)) > SMALL:
        return None
    if is_constant(tensor):
        return _all_known(np.asarray(tensor.values))
    if len(tensor.inputs) != 1 or tensor.inputs[0].domain not in (None, "", "ai.onnx"):
        return None
    node = tensor.inputs[0]
    if node.op == "Shape":
        return _shape(node)
    if node.op == "CastLike":
        return _cast_like(node)
    if node.op == "Size":
        return _size(node)
    if node.op in MOVES:
        return _moved(node, MOVES[node.op] or len(node.inputs))
    return _computed(node) if node.op in ARITHMETIC else None


def _all_known(values: np.ndarray) -> Partly:
    return values, np.ones(values.shape, np.int64)


def _shape(node: Node) -> Partly | None:
    sizes = node.inputs[0].shape
    if sizes is None:
        return None
    known = [isinstance(s, int) and (axis > 0 or s != 1) for axis, s in enumerate(sizes)]
    values = [s if k else -1 for s, k in zip(sizes, known, strict=True)]
    part = slice(node.attrs.get("start", 0), node.attrs.get("end"))
    return np.array(values, np.int64)[part], np.array(known, np.int64)[part]


def _size(node: Node) -> Partly | None:
    """Count the values, which need not be known: the rank of an image is the Size of its Shape."""
    found = _look(node.inputs[0])
    return None if found is None else _all_known(np.array(found[0].size, np.int64))


def _cast_like(node: Node) -> Partly | None:
    x, like = node.inputs
    found = _look(x)
    if found is None or like.dtype is None:
        return None
    return found[0].astype(numpy_type(like.dtype)), found[1]


def _moved(node: Node, count: int) -> Partly | None:
    """Move the values, and in the same way what is known of them."""
    values, known = [], []
    for i, tensor in enumerate(node.inputs):
        found = None if tensor.is_empty() else _look(tensor)
        if not tensor.is_empty() and (found is None or (i >= count and not found[1].all())):
            return None
        values.append(found[0] if found is not None else None)
        known.append(found[1] if found is not None and i < count else values[-1])
    moved = _run(node, values)
    if moved is None:
        return None
    mask = known[0] if node.op in ("Cast", "Identity") else _run(node, known)
    return None if mask is None else (moved, mask)


def _computed(node: Node) -> Partly | None:
    values: list[np.ndarray | None] = []
    for tensor in node.inputs:
        value = None if tensor.is_empty() else known_value(tensor)
        if value is None and not tensor.is_empty():
            return None
        values.append(value)
    result = _run(node, values)
    return None if result is None else _all_known(result)


def _run(node: Node, values: list[np.ndarray | None]) -> np.ndarray | None:
    """Return the node's output by ONNX's reference evaluator, None where that does not know."""
    from onnx.reference import ReferenceEvaluator  # a tenth of a second that few networks need

    proto: onnx.NodeProto = OnnxExporter.export_node(node)
    proto.output[:] = ["y"]
    proto.input[:] = ["" if v is None else f"x{i}" for i, v in enumerate(values)]
    feeds = {f"x{i}": v for i, v in enumerate(values) if v is not None}
    try:
        (result,) = ReferenceEvaluator(proto).run(None, feeds)
        return np.asarray(result)
    except (RuntimeError, ValueError, TypeError, IndexError):
        return None
