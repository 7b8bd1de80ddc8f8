"""Which operators keep the rows of a batch apart: axis 0 goes in as the images and comes out so.

A check is `(node, rows) -> bool`, where `rows` tells of each input whether it has a row for each
image; the others are the same for all images.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from onnxplain.graphops.ir import Node, Tensor, attribute, is_constant, known_value
from onnxplain.graphops.operators.einsum import indices_of

__all__ = ["ELEMENTWISE", "ROW_WISE", "keeps_rows"]

ROW_WISE = {  # one data input, axis 0 is the batch by definition
    "AveragePool", "BatchNormalization", "Conv", "ConvTranspose", "GlobalAveragePool",
    "GlobalLpPool", "GlobalMaxPool", "GroupNormalization", "InstanceNormalization", "LRN",
    "LpPool", "MaxPool", "DepthToSpace", "SpaceToDepth",
}  # fmt: skip
AXIS = {  # operator: default of `axis`; the batch stays apart where the axis is not 0
    "Concat": None, "Softmax": -1, "LogSoftmax": -1, "Hardmax": -1, "Split": 0, "ArgMax": 0,
    "ArgMin": 0, "TopK": -1, "LpNormalization": -1, "LayerNormalization": -1,
    "RMSNormalization": -1, "Gather": 0,
}  # fmt: skip
FAR = 2**31 - 1  # an end beyond every axis


def keeps_rows(node: Node, rows: list[bool]) -> bool:
    """Tell whether each row of the node's outputs is made of the same row of its inputs alone."""
    check = CHECKS.get(node.op, _elementwise if node.op in ELEMENTWISE else _unknown)
    return bool(check(node, rows))


def _unknown(node: Node, rows: list[bool]) -> bool:
    return False


def _rank(tensor: Tensor) -> int | None:
    return None if tensor.shape is None else len(tensor.shape)


def _only_first(node: Node, rows: list[bool]) -> bool:
    return rows[0] and not any(rows[1:])


def _elementwise(node: Node, rows: list[bool]) -> bool:
    """Batched inputs must have the output's rank, so that their axis 0 is its axis 0."""
    rank = max((len(t.shape) for t in node.inputs if t.shape is not None), default=0)
    for tensor, has_rows in zip(node.inputs, rows, strict=True):
        if has_rows:
            if len(node.inputs) > 1 and _rank(tensor) != rank:
                return False
        elif tensor.shape and len(tensor.shape) == rank and tensor.shape[0] != 1:
            return False
    return True


def _axis(node: Node, rows: list[bool]) -> bool:
    axis = attribute(node, "axis", AXIS[node.op])
    rank = _rank(node.inputs[0])
    if node.op == "Concat" and not all(rows):
        return False  # a shared part would need one row for each image
    if node.op != "Concat" and not _only_first(node, rows):
        return False
    return bool(axis > 0 or (axis < 0 and rank is not None and axis + rank > 0))


def _axes(node: Node, rows: list[bool]) -> bool:
    """Squeeze, Unsqueeze and reductions: axis 0 must not be among the axes."""
    axes = attribute(node, "axes")
    if axes is None and len(node.inputs) > 1 and not node.inputs[1].is_empty():
        axes = known_value(node.inputs[1])
        if axes is None:
            return False
    if axes is None:
        return bool(attribute(node, "noop_with_empty_axes", 0))
    return _beside_rows(axes, node.outputs[0] if node.op == "Unsqueeze" else node.inputs[0])


def _beside_rows(axes: Any, tensor: Tensor) -> bool:
    """Tell whether none of the axes is the tensor's axis 0."""
    rank = _rank(tensor)
    return all(a > 0 or (a < 0 and rank is not None and a + rank > 0) for a in np.ravel(axes))


def _reshape(node: Node, rows: list[bool]) -> bool:
    data, shape = node.inputs[0], node.inputs[1]
    out = node.outputs[0].shape
    if data.shape and out and isinstance(out[0], str) and out[0] == data.shape[0]:
        return True
    if not is_constant(shape):
        return _starts_with_rows(shape, data)
    target = [int(v) for v in np.ravel(shape.values)]
    if attribute(node, "allowzero", 0) and 0 in target:
        return False
    if not target or not data.shape:
        return bool(target) and target[0] == 0
    row = data.shape[1:]
    if target[0] == -1 and all(isinstance(d, int) for d in row):
        rest = [row[i] if v == 0 else v for i, v in enumerate(target[1:])]
        return int(np.prod(rest)) == int(np.prod(row))
    return target[0] == 0


def _transpose(node: Node, rows: list[bool]) -> bool:
    perm = attribute(node, "perm")
    return bool(perm) and perm[0] == 0


def _flatten(node: Node, rows: list[bool]) -> bool:
    axis, rank = attribute(node, "axis", 1), _rank(node.inputs[0])
    return axis == 1 or (axis < 0 and rank is not None and axis + rank == 1)


def _gemm(node: Node, rows: list[bool]) -> bool:
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    one_row = bias is None or not bias.shape or len(bias.shape) < 2 or bias.shape[0] == 1
    return _only_first(node, rows) and not attribute(node, "transA", 0) and one_row


def _matmul(node: Node, rows: list[bool]) -> bool:
    a, b = node.inputs[0], node.inputs[1]
    rank_a, rank_b = _rank(a), _rank(b)
    if rank_a is None or rank_b is None:
        return False
    if rows[0] and rows[1]:
        return rank_a == rank_b >= 3
    if rows[0]:
        return rank_a >= 2 and (rank_b <= 2 or rank_b < rank_a or b.shape[0] == 1)
    return rank_b >= 3 and (rank_a < rank_b or a.shape[0] == 1)


def _slice(node: Node, rows: list[bool]) -> bool:
    """Axis 0 is not among the axes, or its part is all of it."""
    if not _only_first(node, rows):
        return False
    starts, ends, axes, steps = (_known_input(node, i) for i in (1, 2, 3, 4))
    if len(node.inputs) > 3 and not node.inputs[3].is_empty():
        if axes is None:
            return False
        if _beside_rows(axes, node.inputs[0]):
            return True
    if starts is None or ends is None or (steps is None and len(node.inputs) > 4):
        return False
    place = 0 if axes is None else int(np.flatnonzero(axes == 0)[0]) if 0 in axes else None
    if place is None:
        return False
    whole = starts[place] == 0 and ends[place] >= FAR
    return bool(whole and (steps is None or steps[place] == 1))


def _pad(node: Node, rows: list[bool]) -> bool:
    if not _only_first(node, rows):
        return False
    axes = _known_input(node, 3)
    if axes is not None and _beside_rows(axes, node.inputs[0]):
        return True
    pads = _known_input(node, 1)
    if pads is None or len(node.inputs) > 3:
        return False
    return bool(pads[0] == 0 and pads[len(pads) // 2] == 0)


def _known_input(node: Node, index: int) -> np.ndarray | None:
    return known_value(node.inputs[index]) if len(node.inputs) > index else None


def _tile(node: Node, rows: list[bool]) -> bool:
    repeats = known_value(node.inputs[1])
    return _only_first(node, rows) and repeats is not None and bool(repeats[0] == 1)


def _expand(node: Node, rows: list[bool]) -> bool:
    x, y, target = node.inputs[0], node.outputs[0], known_value(node.inputs[1])
    if not _only_first(node, rows) or _rank(x) is None or _rank(x) != _rank(y):
        return False
    known = target is not None and len(target) == len(x.shape) and target[0] == 1
    return bool(known or (isinstance(y.shape[0], str) and x.shape[0] == y.shape[0]))


def _cumsum(node: Node, rows: list[bool]) -> bool:
    axis = known_value(node.inputs[1])
    return _only_first(node, rows) and axis is not None and _beside_rows(axis, node.inputs[0])


def _said_axes(node: Node, rows: list[bool]) -> bool:
    """Operators that work on axis 0 too unless they are told which."""
    axes = attribute(node, "axes", attribute(node, "axis"))
    return _only_first(node, rows) and axes is not None and _beside_rows(axes, node.inputs[0])


def _row_by_row(node: Node, rows: list[bool]) -> bool:
    """Each row of the first input meets the same row of the others."""
    return all(rows[: 2 if node.op == "MaxUnpool" else None])


def _along_axis(node: Node, rows: list[bool]) -> bool:
    axis = attribute(node, "axis", 0)
    return _row_by_row(node, rows) and _beside_rows(axis, node.inputs[0])


def _gather_nd(node: Node, rows: list[bool]) -> bool:
    return _row_by_row(node, rows) and attribute(node, "batch_dims", 0) > 0


def _affine_grid(node: Node, rows: list[bool]) -> bool:
    theta, y = node.inputs[0], node.outputs[0]
    same = bool(theta.shape and y.shape) and theta.shape[0] == y.shape[0]
    return _only_first(node, rows) and (same or _starts_with_rows(node.inputs[1], theta))


def _einsum(node: Node, rows: list[bool]) -> bool:
    """The first index is the same wherever there are rows, and nowhere else."""
    terms, result = indices_of(node) or ([], "")
    return bool(result) and all(
        term.startswith(result[0]) and result[0] not in term[1:]
        if has_rows
        else result[0] not in term
        for term, has_rows in zip(terms, rows, strict=True)
    )


def _trilu(node: Node, rows: list[bool]) -> bool:
    return _only_first(node, rows) and (_rank(node.inputs[0]) or 0) > 2


def _resize(node: Node, rows: list[bool]) -> bool:
    if not _only_first(node, rows):
        return False
    if attribute(node, "axes") is not None:
        return _said_axes(node, rows)
    x, y = node.inputs[0], node.outputs[0]
    if x.shape and y.shape and x.shape[0] == y.shape[0]:
        return True
    scales = _known_input(node, 2)
    if scales is not None and scales.size:
        return bool(scales[0] == 1)
    return len(node.inputs) > 3 and _starts_with_rows(node.inputs[3], x)


def _starts_with_rows(sizes: Tensor, data: Tensor) -> bool:
    """Tell whether computed sizes begin with the number of rows that `data` has.

    Shape inference follows sizes in most forms; PyTorch's Slice of a Shape is not among them.
    """
    node = sizes.inputs[0] if sizes.inputs else None
    if node is None:
        return False
    if node.op == "Shape":
        shape = node.inputs[0].shape
        rows = shape[0] if shape and not attribute(node, "start", 0) else None
        return isinstance(rows, str) and bool(data.shape) and rows == data.shape[0]
    if node.op == "Slice":
        starts = node.inputs[1]
        if not is_constant(starts) or starts.values.ravel()[0] != 0:
            return False
    return node.op in ("Cast", "Concat", "Slice") and _starts_with_rows(node.inputs[0], data)


ELEMENTWISE = {
    "Abs", "Acos", "Acosh", "Add", "And", "Asin", "Asinh", "Atan", "Atanh", "Cast", "Ceil", "Celu",
    "Clip", "Cos", "Cosh", "DequantizeLinear", "Div", "Dropout", "Elu", "Equal", "Erf", "Exp",
    "Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity", "IsInf",
    "IsNaN", "LeakyRelu", "Less", "LessOrEqual", "Log", "Max", "Mean", "Min", "Mish", "Mod", "Mul",
    "Neg", "Not", "Or", "PRelu", "Pow", "QuantizeLinear", "Reciprocal", "Relu", "Round", "Selu",
    "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Sub", "Sum",
    "Swish", "Tan", "Tanh", "ThresholdedRelu", "Where", "Xor",
}  # fmt: skip

CHECKS: dict[str, Callable[[Node, list[bool]], Any]] = {
    **dict.fromkeys(ROW_WISE, _only_first),
    **dict.fromkeys(AXIS, _axis),
    **dict.fromkeys(
        ("Squeeze", "Unsqueeze", "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1",
         "ReduceL2", "ReduceSumSquare", "ReduceProd", "ReduceLogSum", "ReduceLogSumExp"), _axes
    ),
    **dict.fromkeys(("CenterCropPad", "Compress", "MeanVarianceNormalization"), _said_axes),
    **dict.fromkeys(("GatherElements", "ScatterElements"), _along_axis),
    **dict.fromkeys(("GridSample", "MaxUnpool"), _row_by_row),
    "AffineGrid": _affine_grid,
    "CumSum": _cumsum,
    "Einsum": _einsum,
    "Expand": _expand,
    "Flatten": _flatten,
    "GatherND": _gather_nd,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Pad": _pad,
    "Reshape": _reshape,
    "Resize": _resize,
    "Slice": _slice,
    "Tile": _tile,
    "Transpose": _transpose,
    "Trilu": _trilu,
}  # fmt: skip
