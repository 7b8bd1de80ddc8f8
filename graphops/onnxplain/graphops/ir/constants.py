"""Constant propagation: the values of tensors that do not depend on the network's inputs.

Exporters write a bound, an axis or a condition as Cast of a constant, Concat of numbers or Gather
of a Shape. The graph is not changed.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import onnx
from onnx_graphsurgeon.exporters.onnx_exporter import OnnxExporter

from onnxplain.graphops.ir.exporter import SMALL
from onnxplain.graphops.ir.graph import Node, Tensor, is_constant, is_standard, numpy_type

__all__ = ["known_number", "known_part", "known_sizes", "known_value"]

MOVES = {  # operators that only move elements: how many inputs hold them, None for all
    "Cast": 1, "Concat": None, "Expand": 1, "Gather": 1, "Identity": 1, "Reshape": 1, "Slice": 1,
    "Squeeze": 1, "Transpose": 1, "Unsqueeze": 1,
}  # fmt: skip
ELEMENTWISE = {
    "Add", "And", "Div", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min", "Mod",
    "Mul", "Neg", "Not", "Or", "Sub",
}  # fmt: skip
ARITHMETIC = {*ELEMENTWISE, "ConstantOfShape", "Range", "ReduceProd", "ReduceSum"}

MAX_DEPTH = 128  # nodes between a value and the constants that it is computed from

# Values, and a mask of those that are known.
PartlyKnown: TypeAlias = "tuple[np.ndarray, np.ndarray]"


def known_value(tensor: Tensor) -> np.ndarray | None:
    """Return the tensor's value, or None where it depends on the network's inputs.

    A size of 1 on axis 0 counts as unknown, since a fixed batch may be freed later.
    """
    value = _Evaluation().of(tensor)
    return value[0] if value is not None and value[1].all() else None


def known_number(tensor: Tensor) -> float | None:
    """Return the value of a tensor of one known number, of whatever rank, else None."""
    value = known_value(tensor)
    return float(value.ravel()[0]) if value is not None and value.size == 1 else None


def known_part(tensor: Tensor) -> PartlyKnown | None:
    """Return a tensor of numbers of which some are known, and a mask of these; None if none are."""
    value = _Evaluation().of(tensor)
    return value if value is not None and value[1].any() else None


def known_sizes(tensor: Tensor) -> list[int | None] | None:
    """Return the elements of a vector of sizes, None for those that are not known.

    Return None where not even their number is known, or a known one is none: a 0 or -1.
    """
    value = _Evaluation().of(tensor)
    if value is None or value[0].ndim != 1:
        return None
    return [int(v) if k and v > 0 else None for v, k in zip(*value, strict=True)]


class _Evaluation:
    """What is known of the tensors that one tensor is computed from, each evaluated once."""

    def __init__(self) -> None:
        self._known: dict[int, PartlyKnown | None] = {}
        self._depth = 0

    def of(self, tensor: Tensor) -> PartlyKnown | None:
        """Return what is known of a tensor, None where not even its shape is."""
        if id(tensor) not in self._known:
            if self._depth == MAX_DEPTH:
                return None
            self._depth += 1
            value = _evaluate(tensor, self)
            self._depth -= 1
            self._known[id(tensor)] = value if value is None or value[0].size <= SMALL else None
        return self._known[id(tensor)]


def _evaluate(tensor: Tensor, evaluation: _Evaluation) -> PartlyKnown | None:
    sizes = tensor.shape or ()
    if tensor.is_empty() or math.prod(s for s in sizes if isinstance(s, int)) > SMALL:
        return None
    if is_constant(tensor):
        return _all_known(np.asarray(tensor.values))
    if len(tensor.inputs) != 1 or not is_standard(tensor.inputs[0]):
        return None
    node = tensor.inputs[0]
    if node.op == "Shape":
        return _shape(node)
    if node.op == "CastLike":
        return _cast_like(evaluation, node)
    if node.op == "Size":
        return _size(evaluation, node)
    if node.op in MOVES:
        return _moved(evaluation, node, MOVES[node.op] or len(node.inputs))
    if node.op == "Equal":
        return _equal(evaluation, node)
    if node.op == "Where":
        return _where(evaluation, node)
    return _computed(evaluation, node) if node.op in ARITHMETIC else None


def _all_known(values: np.ndarray) -> PartlyKnown:
    return values, np.ones(values.shape, np.int64)


def _shape(node: Node) -> PartlyKnown | None:
    sizes = node.inputs[0].shape
    if sizes is None:
        return None
    known = [isinstance(s, int) and (axis > 0 or s != 1) for axis, s in enumerate(sizes)]
    values = [s if k else -1 for s, k in zip(sizes, known, strict=True)]
    part = slice(node.attrs.get("start", 0), node.attrs.get("end"))
    return np.array(values, np.int64)[part], np.array(known, np.int64)[part]


def _size(evaluation: _Evaluation, node: Node) -> PartlyKnown | None:
    """Return the number of elements, whose values need not be known: a rank is a Shape's Size."""
    value = evaluation.of(node.inputs[0])
    return None if value is None else _all_known(np.array(value[0].size, np.int64))


def _cast_like(evaluation: _Evaluation, node: Node) -> PartlyKnown | None:
    x, like = node.inputs
    value = evaluation.of(x)
    if value is None or like.dtype is None:
        return None
    return value[0].astype(numpy_type(like.dtype)), value[1]


def _moved(evaluation: _Evaluation, node: Node, count: int) -> PartlyKnown | None:
    """Apply the operator to the values, and in the same way to the mask of known ones."""
    values, known = [], []
    for i, tensor in enumerate(node.inputs):
        value = None if tensor.is_empty() else evaluation.of(tensor)
        if not tensor.is_empty() and (value is None or (i >= count and not value[1].all())):
            return None
        values.append(value[0] if value is not None else None)
        known.append(value[1] if value is not None and i < count else values[-1])
    moved = _run(node, values)
    if moved is None:
        return None
    mask = known[0] if node.op in ("Cast", "Identity") else _run(node, known)
    return None if mask is None else (moved, mask)


def _equal(evaluation: _Evaluation, node: Node) -> PartlyKnown | None:
    """Compare the values; one that is not known is a size, and so differs from a negative one."""
    a, b = (evaluation.of(t) for t in node.inputs)
    if a is None or b is None:
        return None
    (x, is_x), (y, is_y) = a, b
    differs = (is_x.astype(bool) & (x < 0)) | (is_y.astype(bool) & (y < 0))
    both = (is_x * is_y).astype(bool)
    return (x == y) & both, (both | differs).astype(np.int64)


def _where(evaluation: _Evaluation, node: Node) -> PartlyKnown | None:
    """Choose between the values; which ones must be known."""
    chosen, a, b = (evaluation.of(t) for t in node.inputs)
    if chosen is None or not chosen[1].all() or a is None or b is None:
        return None
    return np.where(chosen[0], a[0], b[0]), np.where(chosen[0], a[1], b[1])


def _computed(evaluation: _Evaluation, node: Node) -> PartlyKnown | None:
    """Apply the operator; an element of an element-wise one is known if all that it reads are."""
    parts = [None if t.is_empty() else evaluation.of(t) for t in node.inputs]
    for tensor, part in zip(node.inputs, parts, strict=True):
        if part is None and not tensor.is_empty():
            return None
        if part is not None and node.op not in ELEMENTWISE and not part[1].all():
            return None
    result = _run(node, [None if part is None else part[0] for part in parts])
    if result is None or node.op not in ELEMENTWISE:
        return None if result is None else _all_known(result)
    known = np.ones(result.shape, np.int64)
    for part in parts:
        known = known * (1 if part is None else part[1])
    return result, known


def _run(node: Node, values: list[np.ndarray | None]) -> np.ndarray | None:
    """Return the output of ONNX's reference evaluator, None where it cannot run the node."""
    from onnx.reference import ReferenceEvaluator  # slow to import, rarely needed

    if _elements(node, values) > SMALL:
        return None
    proto: onnx.NodeProto = OnnxExporter.export_node(node)
    proto.output[:] = ["y"]
    proto.input[:] = ["" if v is None else f"x{i}" for i, v in enumerate(values)]
    feeds = {f"x{i}": v for i, v in enumerate(values) if v is not None}
    try:
        with np.errstate(all="ignore"):  # of placeholders for what is not known
            (result,) = ReferenceEvaluator(proto).run(None, feeds)
        return np.asarray(result)
    except Exception:  # the evaluator raises errors of all types on values that no runtime takes
        return None


def _elements(node: Node, values: list[np.ndarray | None]) -> float:
    """Return how many elements a node makes whose inputs' values, not sizes, tell it; else 0."""
    if node.op in ("ConstantOfShape", "Expand") and values[-1] is not None:
        return math.prod(map(float, values[-1].ravel()))
    if node.op == "Range" and all(
        v is not None and v.size == 1 and v.ravel()[0] for v in values[2:]
    ):
        start, limit, step = (float(v.ravel()[0]) for v in values if v is not None)
        return abs(limit - start) / abs(step)
    return 0
