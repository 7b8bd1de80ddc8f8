"""Normalisations, by statistics that are fixed or those of the tensor itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from onnxplain.graphops.errors import UnsupportedModel, UnsupportedOperator
from onnxplain.graphops.ir import Emitter, Node, Tensor, attribute, onnx_type
from onnxplain.graphops.operators import axes, batching
from onnxplain.graphops.operators.axes import Fields
from onnxplain.graphops.operators.kinds import NO_PRODUCTS, channels_first
from onnxplain.graphops.operators.operator import Operator, Without
from onnxplain.graphops.operators.table import Signals, widening
from onnxplain.graphops.operators.window_layout import Placed, Slide, as_map

__all__ = ["OPERATORS"]


def _batch_normalization(op: Emitter, n: Node, g: Any) -> Signals:
    """With fixed statistics it is a scale for each channel: scale / √(variance + ε)."""
    if attribute(n, "training_mode", 0):
        raise UnsupportedModel(
            f"BatchNormalization '{n.name}' is in training mode: export the model for inference"
        )
    x, scale, variance = n.inputs[0], n.inputs[1], n.inputs[4]
    factor = op.Div(scale, op.Sqrt(op.Add(variance, attribute(n, "epsilon", 1e-5))))
    if onnx_type(factor) != onnx_type(g):  # mixed precision keeps the statistics in float32
        factor = op.Cast(factor, to=onnx_type(g))
    return op.Mul(g, _per_channel(op, factor, _rank(x, n))), None, None, None, None


def _instance_normalization(op: Emitter, n: Node, g: Any) -> Signals:
    x, scale = n.inputs[0], n.inputs[1]
    rank = _rank(x, n)
    inner = op.Mul(g, _per_channel(op, scale, rank))
    axes = list(range(2, rank))
    return _standardized(op, x, inner, axes, attribute(n, "epsilon", 1e-5)), None, None


def _layer_normalization(op: Emitter, n: Node, g: Any) -> Signals:
    x, scale = n.inputs[0], n.inputs[1]
    inner = op.Mul(_only_first(n, g), scale)
    signal = _standardized(op, x, inner, _axes_from(n), attribute(n, "epsilon", 1e-5))
    return (signal, *(None for _ in n.inputs[1:]))


def _group_normalization(op: Emitter, n: Node, g: Any) -> Signals:
    """Each group of channels is standardised, then scaled by channels, as since opset 21."""
    if op.opset < 21:
        raise UnsupportedOperator(
            f"GroupNormalization '{n.name}' of opset {op.opset} is in a form that was withdrawn: "
            "export the model for opset 21 or newer, or for 17, which spells it out"
        )
    x, scale = n.inputs[0], n.inputs[1]
    rank, groups = _rank(x, n), attribute(n, "num_groups")
    inner = op.Reshape(op.Mul(g, _per_channel(op, scale, rank)), [0, groups, -1])
    eps = attribute(n, "epsilon", 1e-5)
    signal = _standardized(op, op.Reshape(x, [0, groups, -1]), inner, [2], eps)
    return op.reshape_like(signal, x), None, None


def _rms_normalization(op: Emitter, n: Node, g: Any) -> Signals:
    """y = s·x·r with r = 1/√(mean x² + ε), so dx = r·(s·g) − x·r³·mean(s·g·x)."""
    x, scale = n.inputs[0], n.inputs[1]
    axes = _axes_from(n)
    inner = op.Mul(g, scale)
    square = op.mean(op.Mul(x, x), axes)
    r = op.Reciprocal(op.Sqrt(op.Add(square, attribute(n, "epsilon", 1e-5))))
    pull = op.Mul(op.mean(op.Mul(inner, x), axes), op.Mul(r, op.Mul(r, r)))
    return op.Sub(op.Mul(r, inner), op.Mul(x, pull)), None


def _standardized(op: Emitter, x: Tensor, g: Tensor, axes: list[int], eps: float) -> Tensor:
    """The signal of x where g is that of z = (x − mean)/√(variance + ε) over the axes.

    dx = r·(g − mean g − z·mean(g·z)), r = 1/√(variance + ε); Ioffe and Szegedy 2015.
    """
    centred = op.Sub(x, op.mean(x, axes))
    variance = op.mean(op.Mul(centred, centred), axes)
    r = op.Reciprocal(op.Sqrt(op.Add(variance, eps)))
    z = op.Mul(centred, r)
    pull = op.Mul(z, op.mean(op.Mul(g, z), axes))
    return op.Mul(r, op.Sub(op.Sub(g, op.mean(g, axes)), pull))


def _mean_variance_normalization(op: Emitter, n: Node, g: Any) -> Signals:
    """y = c/(σ + 1e-9) with c = x − mean, σ = √(mean c²), over the axes; zero where σ is."""
    x, axes = n.inputs[0], attribute(n, "axes", [0, 2, 3])
    centred = op.Sub(x, op.mean(x, axes))
    sigma = op.Sqrt(op.mean(op.Mul(centred, centred), axes))
    r = op.Reciprocal(op.Add(sigma, 1e-9))
    flat = op.Equal(sigma, 0.0)
    pull = op.Div(
        op.Mul(op.mean(op.Mul(g, centred), axes), op.Mul(r, r)), op.Where(flat, 1.0, sigma)
    )
    inner = op.Sub(op.Mul(g, r), op.Mul(centred, op.Where(flat, 0.0, pull)))
    return (op.Sub(inner, op.mean(inner, axes)),)


def _lp_normalization(op: Emitter, n: Node, g: Any) -> Signals:
    """y = x/‖x‖, so dx = (g − d·Σ g·y)/‖x‖, d the norm's derivative: y for p = 2, sign x for 1."""
    x, y, axis = n.inputs[0], n.outputs[0], attribute(n, "axis", -1)
    p = attribute(n, "p", 2)
    size = op.Abs(x) if p == 1 else op.Mul(x, x)
    norm = op.ReduceSum(size, [axis], keepdims=1)
    norm = norm if p == 1 else op.Sqrt(norm)
    along = op.ReduceSum(op.Mul(g, y), [axis], keepdims=1)
    inner = op.Sub(g, op.Mul(op.Sign(x) if p == 1 else y, along))
    zero = op.Equal(norm, 0.0)
    return (op.Where(zero, 0.0, op.Div(inner, op.Where(zero, 1.0, norm))),)


def _lrn(op: Emitter, n: Node, g: Any) -> Signals:
    """y = x·s^−β with s = k + α/size·Σ x² over neighbouring channels.

    dx = g·s^−β − 2αβ/size·x·Σ g·y/s, the sum over the channels whose window has this one in it.
    """
    x, y = n.inputs[0], n.outputs[0]
    size, alpha = attribute(n, "size"), attribute(n, "alpha", 1e-4)
    beta, bias = attribute(n, "beta", 0.75), attribute(n, "bias", 1.0)
    before, after = (size - 1) // 2, size // 2
    total = _over_channels(op, op.Mul(x, x), x, size, before, after)
    s = op.Add(bias, op.Mul(total, alpha / size))
    back = _over_channels(op, op.Div(op.Mul(g, y), s), x, size, after, before)
    pull = op.Mul(op.Mul(2 * alpha * beta / size, x), back)
    return (op.Sub(op.Mul(g, op.Pow(s, op.constant(-beta, g.dtype))), pull),)


def _over_channels(
    op: Emitter, values: Tensor, like: Tensor, size: int, before: int, after: int
) -> Tensor:
    """Sum over a window of channels: of [N, 1, C, rest], an average pool times its size."""
    rows = op.Unsqueeze(op.Reshape(values, [0, 0, -1]), [1])
    attrs = {"kernel_shape": [size, 1], "pads": [before, 0, after, 0], "count_include_pad": 1}
    return op.reshape_like(op.Mul(op.AveragePool(rows, **attrs), float(size)), like)


def _per_channel(op: Emitter, values: Tensor, rank: int) -> Tensor:
    """Let one value for each channel broadcast against [N, C, ...]."""
    return op.Unsqueeze(values, list(range(1, rank - 1))) if rank > 2 else values


def _axes_from(n: Node) -> list[int]:
    rank = _rank(n.inputs[0], n)
    return list(range(attribute(n, "axis", -1) % rank, rank))


def _only_first(n: Node, g: Any) -> Tensor:
    """Return the signal at the first output; the statistics beside it carry none."""
    if not isinstance(g, tuple):
        return g
    if any(s is not None for s in g[1:]):
        raise UnsupportedModel(
            f"the statistics that {n.op} '{n.name}' puts out are used further on"
        )
    return g[0]


def _rank(tensor: Tensor, n: Node) -> int:
    if tensor.shape is None:
        raise UnsupportedModel(
            f"'{tensor.name}', the input of {n.op} '{n.name}', has no known rank"
        )
    return len(tensor.shape)


@axes.of_first
def _from_axis(node: Node, fields: Fields) -> Fields:
    """The statistics run over `axis` and all axes behind it."""
    return {i: field for i, field in fields.items() if i < axes.axis_of(node, -1)}


@axes.of_first
def _over_axes(node: Node, fields: Fields) -> Fields:
    return axes.without(fields, attribute(node, "axes", [0, 2, 3]))


def _slide(slide: Slide, node: Node) -> Placed:
    """BatchNormalization and LRN work on axis 1, which holds the channels still."""
    x = slide.data(node)
    if x.has_channels_first():
        node.inputs[0] = x.tensor
        return x.at(node.outputs[0])
    node.inputs[0] = as_map(slide.op, node, x)
    return replace(x, tensor=node.outputs[0], index=None)


STATISTICS = Without("its statistics are those of one window")

OPERATORS: dict[str, Operator] = {
    "BatchNormalization": channels_first(_batch_normalization, axes=axes.same, slide=_slide),
    "GroupNormalization": channels_first(
        widening(_group_normalization), axes=axes.batch_only, slide=STATISTICS
    ),
    "InstanceNormalization": channels_first(
        widening(_instance_normalization), axes=axes.batch_only, slide=STATISTICS
    ),
    "LRN": channels_first(widening(_lrn), axes=axes.same, slide=_slide),
    "LayerNormalization": Operator(
        widening(_layer_normalization),
        batch=batching.along_axis(-1),
        axes=_from_axis,
        slide=STATISTICS,
        cost=NO_PRODUCTS,
    ),
    "LpNormalization": Operator(
        widening(_lp_normalization),
        batch=batching.along_axis(-1),
        axes=axes.along_axis(-1),
        slide=STATISTICS,
        cost=NO_PRODUCTS,
    ),
    "MeanVarianceNormalization": Operator(
        widening(_mean_variance_normalization),
        batch=batching.axes_by_attribute,
        axes=_over_axes,
        slide=STATISTICS,
        cost=NO_PRODUCTS,
    ),
    "RMSNormalization": Operator(
        widening(_rms_normalization),
        batch=batching.along_axis(-1),
        axes=_from_axis,
        slide=STATISTICS,
        cost=NO_PRODUCTS,
    ),
}
