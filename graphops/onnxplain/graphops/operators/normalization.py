"""Normalisations, by fixed statistics or by those of the tensor itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from onnxplain.graphops.errors import UnsupportedModel, UnsupportedOperator
from onnxplain.graphops.ir import (
    Emitter,
    Node,
    StandIn,
    Tensor,
    attribute,
    dtype_of,
    merge_axes,
    onnx_type,
    rank_of,
    reshape,
)
from onnxplain.graphops.operators import axes, batching, roles
from onnxplain.graphops.operators.axes import Fields
from onnxplain.graphops.operators.constructors import channels_first
from onnxplain.graphops.operators.operator import Operator, Without
from onnxplain.graphops.operators.roles import Lines, Role
from onnxplain.graphops.operators.rules import Signals, Table, only_first, to_first, widening
from onnxplain.graphops.operators.window_layout import Placed, Slide, as_map

__all__ = ["DEVIATION_HELD", "OPERATORS"]

# The signal of x from that of z = (x − mean)/√(variance + ε): (op, x, g, axes, ε) -> signal.
Standardization: TypeAlias = Callable[[Emitter, Tensor, Tensor, list[int], float], Tensor]


def _batch_normalization(op: Emitter, n: Node, g: Tensor) -> Signals:
    """With fixed statistics it multiplies each channel by scale / √(variance + ε)."""
    if attribute(n, "training_mode", 0):
        raise UnsupportedModel(
            f"BatchNormalization '{n.name}' is in training mode: export the model for inference"
        )
    x, scale, variance = n.inputs[0], n.inputs[1], n.inputs[4]
    factor = op.Div(scale, op.Sqrt(op.Add(variance, attribute(n, "epsilon", 1e-5))))
    factor = op.narrowed(factor, onnx_type(g))  # mixed precision has statistics in float32
    return to_first(n, op.Mul(g, _per_channel(op, factor, rank_of(x))))


def _standardized(op: Emitter, x: Tensor, g: Tensor, axes: list[int], eps: float) -> Tensor:
    """Return the signal of x, g being that of z = (x − mean)/√(variance + ε) over the axes.

    dx = r·(g − mean g − z·mean(g·z)), r = 1/√(variance + ε); Ioffe and Szegedy 2015.
    """
    centred, r = _statistics(op, x, axes, eps)
    z = op.Mul(centred, r)
    pull = op.Mul(z, op.mean(op.Mul(g, z), axes))
    return op.Mul(r, op.Sub(op.Sub(g, op.mean(g, axes)), pull))


def _centred(op: Emitter, x: Tensor, g: Tensor, axes: list[int], eps: float) -> Tensor:
    """As `_standardized`, with the standard deviation held constant: dx = r·(g − mean g)."""
    _, r = _statistics(op, x, axes, eps)
    return op.Mul(r, op.Sub(g, op.mean(g, axes)))


def _statistics(op: Emitter, x: Tensor, axes: list[int], eps: float) -> tuple[Tensor, Tensor]:
    """Return x − mean and 1/√(variance + ε)."""
    centred = op.Sub(x, op.mean(x, axes))
    variance = op.mean(op.Mul(centred, centred), axes)
    return centred, op.Reciprocal(op.Sqrt(op.Add(variance, eps)))


def _instance_normalization(op: Emitter, n: Node, g: Tensor) -> Signals:
    x = n.inputs[0]
    inner = _scaled(op, n, g, per_channel=True)
    axes = list(range(2, rank_of(x)))
    return to_first(n, _standardized(op, x, inner, axes, attribute(n, "epsilon", 1e-5)))


def _layer_normalization(
    op: Emitter, n: Node, g: Tensor | Signals, back: Standardization = _standardized
) -> Signals:
    x = n.inputs[0]
    inner = _scaled(op, n, only_first(n, g, "the statistics that {} returns"))
    return to_first(n, back(op, x, inner, _axes_from(n), attribute(n, "epsilon", 1e-5)))


def _group_normalization(op: Emitter, n: Node, g: Tensor) -> Signals:
    """Each group of channels is standardised, then each channel scaled; since opset 21."""
    x, groups = n.inputs[0], attribute(n, "num_groups")
    if op.opset < 21 and not isinstance(n, StandIn):  # a group of nodes spells the newer form
        raise UnsupportedOperator(
            f"GroupNormalization '{n.name}' of opset {op.opset} has a form that ONNX withdrew: "
            "export the model for opset 21 or newer, or for 17, which has basic operators instead"
        )
    size = op.Div(op.ReduceProd(op.shape(x, 1), keepdims=1), [groups])
    apart = op.Concat(op.Shape(g, end=1), [groups], size, axis=0)
    inner = reshape(op, _scaled(op, n, g, per_channel=True), apart)
    eps = attribute(n, "epsilon", 1e-5)
    signal = _standardized(op, reshape(op, x, apart), inner, [2], eps)
    return to_first(n, op.reshape_like(signal, x))


def _rms_normalization(op: Emitter, n: Node, g: Tensor) -> Signals:
    """y = s·x·r with r = 1/√(mean x² + ε), so dx = r·(s·g) − x·r³·mean(s·g·x)."""
    x, axes = n.inputs[0], _axes_from(n)
    inner = _scaled(op, n, g)
    square = op.mean(op.Mul(x, x), axes)
    r = op.Reciprocal(op.Sqrt(op.Add(square, attribute(n, "epsilon", 1e-5))))
    pull = op.Mul(op.mean(op.Mul(inner, x), axes), op.Mul(r, op.Mul(r, r)))
    return to_first(n, op.Sub(op.Mul(r, inner), op.Mul(x, pull)))


def _mean_variance_normalization(op: Emitter, n: Node, g: Tensor) -> Signals:
    """y = c/(σ + 1e-9) with c = x − mean, σ = √(mean c²), over the axes; zero where σ = 0."""
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


def _centred_only(op: Emitter, n: Node, g: Tensor) -> Signals:
    """As `_mean_variance_normalization`, with σ held constant: dx = (g − mean g)/(σ + 1e-9)."""
    x, axes = n.inputs[0], attribute(n, "axes", [0, 2, 3])
    return (_centred(op, x, g, axes, 0.0),)


def _lp_normalization(op: Emitter, n: Node, g: Tensor) -> Signals:
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


def _lrn(op: Emitter, n: Node, g: Tensor) -> Signals:
    """y = x·s^−β with s = k + α/size·Σ x² over neighbouring channels.

    dx = g·s^−β − 2αβ/size·x·Σ g·y/s, the sum over the channels whose windows contain this one.
    """
    x, y = n.inputs[0], n.outputs[0]
    size, alpha = attribute(n, "size"), attribute(n, "alpha", 1e-4)
    beta, bias = attribute(n, "beta", 0.75), attribute(n, "bias", 1.0)
    before, after = (size - 1) // 2, size // 2
    total = _over_channels(op, op.Mul(x, x), x, size, before, after)
    s = op.Add(bias, op.Mul(total, alpha / size))
    back = _over_channels(op, op.Div(op.Mul(g, y), s), x, size, after, before)
    pull = op.Mul(op.Mul(2 * alpha * beta / size, x), back)
    return (op.Sub(op.Mul(g, op.Pow(s, op.constant(-beta, dtype_of(g)))), pull),)


def _over_channels(
    op: Emitter, values: Tensor, like: Tensor, size: int, before: int, after: int
) -> Tensor:
    """Sum over a window of channels: an average pool of [N, 1, C, rest], times its size."""
    values.shape = values.shape or op.signal_shape(like)
    rows = op.Unsqueeze(merge_axes(op, values, 2), [1])
    attrs = {"kernel_shape": [size, 1], "pads": [before, 0, after, 0], "count_include_pad": 1}
    return op.reshape_like(op.Mul(op.AveragePool(rows, **attrs), float(size)), like)


def _per_channel(op: Emitter, values: Tensor, rank: int) -> Tensor:
    """Reshape one value for each channel so that it broadcasts against [N, C, ...]."""
    return op.Unsqueeze(values, list(range(1, rank - 1))) if rank > 2 else values


def _scaled(op: Emitter, n: Node, g: Tensor, per_channel: bool = False) -> Tensor:
    """Multiply by the scale, if there is one; a scale of rank 1 may be one value per channel."""
    if len(n.inputs) < 2:
        return g
    scale = n.inputs[1]
    if per_channel and rank_of(scale) == 1:
        scale = _per_channel(op, scale, rank_of(n.inputs[0]))
    return op.Mul(g, scale)


def _axes_from(n: Node) -> list[int]:
    """Return the axes: those from `axis` on, or those that a normalisation spelled out names."""
    if "axes" in n.attrs:
        return list(n.attrs["axes"])
    rank = rank_of(n.inputs[0])
    return list(range(attribute(n, "axis", -1) % rank, rank))


@axes.of_first
def _from_axis(node: Node, fields: Fields) -> Fields:
    """The statistics are over `axis` and all axes behind it."""
    return {i: field for i, field in fields.items() if i < axes.axis_of(node, -1)}


@axes.of_first
def _over_axes(node: Node, fields: Fields) -> Fields:
    return axes.without(fields, attribute(node, "axes", [0, 2, 3]))


@roles.of_data
def _channels_last(node: Node, lines: Lines, output: Tensor) -> Lines:
    """A normalisation over the last axis alone is over the channels."""
    last = rank_of(node.inputs[0]) - 1
    kept = roles.same(node, [lines], output)
    is_known = roles.role_of(lines[last]) is Role.CHANNEL
    if not is_known and output is node.outputs[0] and axes.axis_of(node, -1) == last:
        kept[last] = roles.fresh(Role.CHANNEL, output, last)
    return kept


def _slide(slide: Slide, node: Node) -> Placed:
    """BatchNormalization and LRN work along axis 1, which stays the channel axis."""
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
        roles=_channels_last,
    ),
    "LpNormalization": Operator(
        widening(_lp_normalization),
        batch=batching.along_axis(-1),
        axes=axes.along_axis(-1),
        slide=STATISTICS,
        roles=roles.same,
    ),
    "MeanVarianceNormalization": Operator(
        widening(_mean_variance_normalization),
        batch=batching.axes_by_attribute,
        axes=_over_axes,
        slide=STATISTICS,
        roles=roles.same,
    ),
    "RMSNormalization": Operator(
        widening(_rms_normalization),
        batch=batching.along_axis(-1),
        axes=_from_axis,
        slide=STATISTICS,
        roles=_channels_last,
    ),
}

# The rules of LayerNormalization and its kin, with the standard deviation held constant.
DEVIATION_HELD: Table = {
    "LayerNormalization": partial(_layer_normalization, back=_centred),
    "MeanVarianceNormalization": _centred_only,
}
