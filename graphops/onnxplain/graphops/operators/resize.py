"""Resize: enlarging and reducing by interpolation.

It is linear and separable, so it multiplies each axis by a matrix, which is the runtime's own
Resize of an identity matrix: exact in every mode and coordinate transformation.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnxplain.graphops.errors import UnsupportedOperator
from onnxplain.graphops.ir import (
    Emitter,
    Node,
    Tensor,
    attribute,
    is_constant,
    onnx_type,
    optional_input,
    rank_of,
    shape_of,
)
from onnxplain.graphops.operators import roles
from onnxplain.graphops.operators.axes import Fields, of_first
from onnxplain.graphops.operators.batching import (
    axes_by_attribute,
    first_input,
    known_input,
    starts_with_batch,
)
from onnxplain.graphops.operators.gather import axis_size
from onnxplain.graphops.operators.operator import Operator, Without
from onnxplain.graphops.operators.rules import Signals, to_first

__all__ = ["OPERATORS"]

COPIED = {
    "antialias", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside", "mode",
    "nearest_mode",
}  # fmt: skip


def _resize(op: Emitter, n: Node, g: Tensor) -> Signals:
    x = n.inputs[0]
    rank = rank_of(x)
    if attribute(n, "keep_aspect_ratio_policy", "stretch") != "stretch":
        raise UnsupportedOperator(
            f"Resize '{n.name}' keeps the aspect ratio, which has no rule: "
            "export the model with fixed scales"
        )
    axes = [a % rank for a in attribute(n, "axes", list(range(rank)))]
    for i, axis in enumerate(axes):
        if _is_untouched(n, i, axis):
            continue
        matrix = op.Cast(_matrix(op, n, i, axis, len(axes)), to=onnx_type(g))  # [in, out]
        if axis == rank - 1:
            g = op.MatMul(g, op.Transpose(matrix, perm=[1, 0]))
        elif axis == rank - 2:
            g = op.MatMul(matrix, g)
        else:
            order = list(range(rank))
            order[axis], order[-2] = order[-2], order[axis]
            g = op.Transpose(op.MatMul(matrix, op.Transpose(g, perm=order)), perm=order)
    return to_first(n, g)


def _is_untouched(n: Node, i: int, axis: int) -> bool:
    """Tell whether the axis certainly keeps its size, and thus its values."""
    scales = _given(n, 2)
    if scales is not None:
        return is_constant(scales) and float(scales.values[i]) == 1.0
    x, y = shape_of(n.inputs[0]), n.outputs[0].shape
    same = y is not None and x[axis] is not None and x[axis] == y[axis]
    return same and attribute(n, "coordinate_transformation_mode", "") != "tf_crop_and_resize"


def _matrix(op: Emitter, n: Node, i: int, axis: int, count: int) -> Tensor:
    """Return [in, out]: the weight of each input element in each output element."""
    size = axis_size(op, n.inputs[0], axis)
    square = op.ConstantOfShape(
        op.Concat(size, size, axis=0), value=gs.Constant("zero", np.zeros(1, np.float32))
    )
    identity = op.Unsqueeze(op.EyeLike(square), [0, 2])  # [1, in, 1, in]
    roi, scales, sizes = _given(n, 1), _given(n, 2), _given(n, 3)
    if scales is not None:
        one = op.constant([1, 1, 1], np.float32)
        scales = op.Concat(one, op.Slice(scales, [i], [i + 1]), axis=0)
    else:
        kept = op.Concat([1], size, [1], axis=0)
        sizes = op.Concat(kept, op.Slice(sizes, [i], [i + 1]), axis=0)
    if roi is not None and attribute(n, "coordinate_transformation_mode") == "tf_crop_and_resize":
        part = op.Cast(roi, to=onnx.TensorProto.FLOAT)
        start, end = op.Slice(part, [i], [i + 1]), op.Slice(part, [count + i], [count + i + 1])
        zeros, ones = op.constant([0, 0, 0], np.float32), op.constant([1, 1, 1], np.float32)
        roi = op.Concat(zeros, start, ones, end, axis=0)
    else:
        roi = None
    attrs = {k: v for k, v in n.attrs.items() if k in COPIED}
    inputs = [identity, roi, scales, sizes] if sizes is not None else [identity, roi, scales]
    return op.Squeeze(op.Resize(*inputs, **attrs), [0, 2])


def _given(n: Node, index: int) -> Tensor | None:
    """Return an input, None where it is absent or an empty constant."""
    tensor = optional_input(n, index)
    is_empty = tensor is not None and is_constant(tensor) and tensor.values.size == 0
    return None if is_empty else tensor


def _batch(node: Node, batched: list[bool]) -> bool:
    if not first_input(node, batched):
        return False
    if attribute(node, "axes") is not None:
        return axes_by_attribute(node, batched)
    x, y = node.inputs[0], node.outputs[0]
    if x.shape and y.shape and x.shape[0] == y.shape[0]:
        return True
    scales = known_input(node, 2)
    if scales is not None and scales.size:
        return bool(scales[0] == 1)
    return len(node.inputs) > 3 and starts_with_batch(node.inputs[3], x)


@of_first
def _axes(node: Node, fields: Fields) -> Fields:
    """Axes that keep their size keep their fields; along the others, all is seen."""
    before, after = shape_of(node.inputs[0]), shape_of(node.outputs[0])
    return {i: f for i, f in fields.items() if before[i] is not None and before[i] == after[i]}


OPERATORS: dict[str, Operator] = {
    "Resize": Operator(
        _resize,
        batch=_batch,
        axes=_axes,
        slide=Without("at the edges of a window it interpolates with other weights"),
        roles=roles.same,
    )
}
