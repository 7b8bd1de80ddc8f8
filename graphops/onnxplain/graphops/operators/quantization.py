"""Quantisation: the signal passes straight through, except where values saturate."""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx

from onnxplain.graphops.errors import UnsupportedOperator
from onnxplain.graphops.ir import (
    Emitter,
    Node,
    Tensor,
    attribute,
    known_value,
    onnx_type,
    optional_input,
    rank_of,
)
from onnxplain.graphops.operators import sliding
from onnxplain.graphops.operators.constructors import elementwise
from onnxplain.graphops.operators.operator import Operator
from onnxplain.graphops.operators.rules import Rule, Signals, to_first

__all__ = ["OPERATORS", "rectifying_quantize", "stands_for_rectifier"]

RANGES: dict[int, tuple[float, float]] = {
    onnx.TensorProto.INT8: (-128.0, 127.0),
    onnx.TensorProto.UINT8: (0.0, 255.0),
    onnx.TensorProto.INT16: (-32768.0, 32767.0),
    onnx.TensorProto.UINT16: (0.0, 65535.0),
    onnx.TensorProto.INT4: (-8.0, 7.0),
    onnx.TensorProto.UINT4: (0.0, 15.0),
}

POSITIVE = {"Abs", "Exp", "HardSigmoid", "Relu", "Sigmoid", "Softmax", "Softplus", "Sqrt"}
KEEP_SIGN = {
    "AveragePool", "Dropout", "Flatten", "Gather", "GlobalAveragePool", "GlobalMaxPool", "Identity",
    "MaxPool", "ReduceMax", "ReduceMean", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze",
}  # fmt: skip


def _quantize(op: Emitter, n: Node, g: Tensor) -> Signals:
    """y = clip(round(x/s) + z): g/s where y is not saturated (Jacob et al. 2018)."""
    scale = _scale(op, n)
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


def rectifying_quantize(gated: bool) -> Rule:
    """Return the rule of a QuantizeLinear that stands for a rectifier; the gradient's elsewhere.

    gated: whether the rectified signal passes only where the value is not saturated.
    """

    def rule(op: Emitter, n: Node, g: Tensor) -> Signals:
        if not stands_for_rectifier(n):
            return _quantize(op, n, g)
        g = op.Relu(g)
        return _quantize(op, n, g) if gated else to_first(n, op.Div(g, _scale(op, n)))

    return rule


def stands_for_rectifier(n: Node) -> bool:
    """Tell whether a QuantizeLinear cuts off what is below zero, as quantisation tools fuse ReLU.

    Its zero point is then the least number of its type. After a ReLU, or at a picture, there is
    nothing below zero, and it is no second rectifier.
    """
    kind = onnx_type(n.outputs[0])
    return kind in RANGES and _starts_at_zero(n, RANGES[kind][0]) and not _is_positive(n.inputs[0])


def _starts_at_zero(n: Node, low: float) -> bool:
    """Tell whether the zero point of a QuantizeLinear or DequantizeLinear is known to be `low`."""
    zero = optional_input(n, 2)
    value = known_value(zero) if zero is not None else np.zeros(1)
    return value is not None and bool(np.all(value.astype(np.float64) == low))


def _is_positive(tensor: Tensor) -> bool:
    """Tell whether no value is below zero, by the operator that computes it; so for inputs."""
    if not tensor.inputs:
        return True
    node = tensor.inputs[0]
    if node.op in POSITIVE:
        return True
    if node.op == "Clip":
        lower = optional_input(node, 1)
        value = known_value(lower) if lower is not None else None
        return value is not None and bool(np.all(value >= 0))
    if node.op == "DequantizeLinear":
        kind = onnx_type(node.inputs[0])
        return kind in RANGES and _starts_at_zero(node, RANGES[kind][0])
    return node.op in KEEP_SIGN and _is_positive(node.inputs[0])


def _scale(op: Emitter, n: Node) -> Tensor:
    return _along_axis(op, n, n.inputs[1])


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
