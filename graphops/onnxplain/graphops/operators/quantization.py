"""Quantisation: a signal goes straight through, except where it saturates."""

from __future__ import annotations

from functools import partial
from typing import Any

import onnx

from onnxplain.graphops.errors import UnsupportedOperator
from onnxplain.graphops.ir import Emitter, Node, Tensor, attribute, onnx_type
from onnxplain.graphops.operators import sliding
from onnxplain.graphops.operators.kinds import elementwise
from onnxplain.graphops.operators.operator import Operator
from onnxplain.graphops.operators.table import Signals

__all__ = ["OPERATORS"]

RANGES: dict[int, tuple[float, float]] = {
    onnx.TensorProto.INT8: (-128.0, 127.0),
    onnx.TensorProto.UINT8: (0.0, 255.0),
    onnx.TensorProto.INT16: (-32768.0, 32767.0),
    onnx.TensorProto.UINT16: (0.0, 65535.0),
    onnx.TensorProto.INT4: (-8.0, 7.0),
    onnx.TensorProto.UINT4: (0.0, 15.0),
}


def _quantize(op: Emitter, n: Node, g: Any) -> Signals:
    """y = clip(round(x/s) + z): g/s where it did not saturate (Jacob et al. 2018)."""
    x, rest = n.inputs[0], (None,) * (len(n.inputs) - 1)
    scale = _along_axis(op, n, n.inputs[1])
    kind = onnx_type(n.outputs[0])
    if kind not in RANGES:
        raise UnsupportedOperator(
            f"QuantizeLinear '{n.name}' makes {onnx.TensorProto.DataType.Name(kind).lower()}, "
            "whose saturation has no rule: quantise to int8, uint8, int16 or uint16"
        )
    low, high = RANGES[kind]
    steps = op.Round(op.Div(x, scale))
    if len(n.inputs) > 2 and not n.inputs[2].is_empty():
        zero = op.Cast(n.inputs[2], to=onnx_type(g))
        steps = op.Add(steps, _along_axis(op, n, zero, n.inputs[2]))
    inside = op.And(op.GreaterOrEqual(steps, low), op.LessOrEqual(steps, high))
    return (op.Where(inside, op.Div(g, scale), 0.0), *rest)


def _dequantize(op: Emitter, n: Node, g: Any) -> Signals:
    """y = (x − z)·s."""
    scale = _along_axis(op, n, n.inputs[1])
    return (op.Mul(g, scale), *(None for _ in n.inputs[1:]))


def _along_axis(op: Emitter, n: Node, values: Tensor, like: Tensor | None = None) -> Tensor:
    """Let one value for each slice of the quantisation axis broadcast against the tensor."""
    shape = (like or values).shape
    if attribute(n, "block_size", 0):
        raise UnsupportedOperator(
            f"{n.op} '{n.name}' is quantised in blocks, which has no rule: quantise by channels or "
            "as a whole"
        )
    if not shape:
        return values
    rank = len(n.inputs[0].shape)
    after = rank - 1 - attribute(n, "axis", 1) % rank
    return op.Unsqueeze(values, list(range(1, 1 + after))) if after else values


# Scales of a quantisation axis are a vector that is not broadcast as others are.
_slide = partial(sliding.elementwise, one_number=True)

OPERATORS: dict[str, Operator] = {
    "DequantizeLinear": elementwise(_dequantize, _slide),
    "QuantizeLinear": elementwise(_quantize, _slide),
}
