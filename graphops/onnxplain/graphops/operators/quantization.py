"""Quantisation: the signal passes straight through, except where values saturate."""

from __future__ import annotations

from functools import partial

import onnx

from onnxplain.graphops.errors import UnsupportedOperator
from onnxplain.graphops.ir import (
    Emitter,
    Node,
    Tensor,
    attribute,
    onnx_type,
    optional_input,
    rank_of,
)
from onnxplain.graphops.operators import sliding
from onnxplain.graphops.operators.constructors import elementwise
from onnxplain.graphops.operators.operator import Operator
from onnxplain.graphops.operators.rules import Signals, to_first

__all__ = ["OPERATORS"]

RANGES: dict[int, tuple[float, float]] = {
    onnx.TensorProto.INT8: (-128.0, 127.0),
    onnx.TensorProto.UINT8: (0.0, 255.0),
    onnx.TensorProto.INT16: (-32768.0, 32767.0),
    onnx.TensorProto.UINT16: (0.0, 65535.0),
    onnx.TensorProto.INT4: (-8.0, 7.0),
    onnx.TensorProto.UINT4: (0.0, 15.0),
}


def _quantize(op: Emitter, n: Node, g: Tensor) -> Signals:
    """y = clip(round(x/s) + z): g/s where y is not saturated (Jacob et al. 2018)."""
    scale = _along_axis(op, n, n.inputs[1])
    kind = onnx_type(n.outputs[0])
    if kind not in RANGES:
        raise UnsupportedOperator(
            f"QuantizeLinear '{n.name}' quantises to "
            f"{onnx.TensorProto.DataType.Name(kind).lower()}, whose saturation has no rule: "
            "quantise to int8, uint8, int16 or uint16"
        )
    low, high = RANGES[kind]
    steps = op.Round(op.Div(n.inputs[0], scale))
    zero = optional_input(n, 2)
    if zero is not None:
        steps = op.Add(steps, _along_axis(op, n, op.Cast(zero, to=onnx_type(g)), zero))
    inside = op.And(op.GreaterOrEqual(steps, low), op.LessOrEqual(steps, high))
    return to_first(n, op.Where(inside, op.Div(g, scale), 0.0))


def _dequantize(op: Emitter, n: Node, g: Tensor) -> Signals:
    """y = (x − z)·s."""
    return to_first(n, op.Mul(g, _along_axis(op, n, n.inputs[1])))


def _along_axis(op: Emitter, n: Node, values: Tensor, like: Tensor | None = None) -> Tensor:
    """Reshape one value for each slice of the quantisation axis to broadcast against the tensor."""
    shape = (like or values).shape
    if attribute(n, "block_size", 0):
        raise UnsupportedOperator(
            f"{n.op} '{n.name}' is quantised in blocks, which has no rule: quantise per channel or "
            "per tensor"
        )
    if not shape:
        return values
    rank = rank_of(n.inputs[0])
    after = rank - 1 - attribute(n, "axis", 1) % rank
    return op.Unsqueeze(values, list(range(1, 1 + after))) if after else values


# A vector of scales belongs to `axis`; it does not broadcast as other constants do.
_slide = partial(sliding.elementwise, one_number=True)

OPERATORS: dict[str, Operator] = {
    "DequantizeLinear": elementwise(_dequantize, _slide),
    "QuantizeLinear": elementwise(_quantize, _slide),
}
