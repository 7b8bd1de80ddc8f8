"""The seed of the backward pass: the cotangent at the layer, and the unit's score."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from onnxplain.graphops.ir import Emitter, Tensor, dtype_of, rank_of, reshape, shape_of

__all__ = [
    "Seed",
    "Unit",
    "channel_values",
    "column",
    "negated",
    "seed_at_layer",
    "seed_at_unit",
    "seed_from_cotangent",
]


@dataclass(frozen=True)
class Unit:
    """The unit of each result, as int64[B] tensors of the graph.

    image: None for one result per image, in order.
    position: int64[B, spatial rank] for position `given`, else None. region: the weight of each of
    the layer's positions, [B, *spatial], for position `region`, else None.
    """

    channel: Tensor
    image: Tensor | None = None
    position: Tensor | None = None
    region: Tensor | None = None


@dataclass(frozen=True)
class Seed:
    """The cotangent at the layer, the unit's score and its position.

    score: [B], the sum of cotangent times value, in float32 for half precision.
    position: int64[B, spatial rank], or None for all positions.
    """

    cotangent: Tensor
    score: Tensor
    position: Tensor | None = None


def seed_from_cotangent(op: Emitter, layer: Tensor, seed: Tensor) -> Seed:
    """Start from a complete cotangent of the layer."""
    axes = list(range(1, rank_of(layer)))
    product = op.Mul(op.widened(seed), op.widened(layer))
    if not layer.shape:
        return Seed(seed, op.Reshape(product, [1]))
    return Seed(seed, op.ReduceSum(product, axes, keepdims=0) if axes else product)


def seed_at_layer(
    op: Emitter, layer: Tensor, seed_value: str, axis: int = 1, region: Tensor | None = None
) -> Seed:
    """Start from all units of the layer: with their activations, or with ones.

    region: the weight of each position, [B, *spatial]; None for 1. axis: the layer's channel axis.
    """
    whole = op.residual(layer)
    if seed_value == "one":
        whole = op.Expand(op.constant(1, dtype_of(layer)), op.shape(layer))
    if region is not None:
        whole = op.Mul(whole, op.Unsqueeze(region, [axis]))
    return seed_from_cotangent(op, layer, whole)


def column(op: Emitter, layer: Tensor) -> Tensor:
    """Return a layer of rank 1, one number per image, as the only channel of [N, 1]."""
    unit = op.raw("Unsqueeze", layer, op.constant([1], np.int64))
    unit.dtype, unit.shape = layer.dtype, [*shape_of(layer), 1]
    return unit


def negated(op: Emitter, seed: Seed) -> Seed:
    """Return the seed with the opposite sign, for the evidence against the unit."""
    return replace(seed, cotangent=op.Neg(seed.cotangent), score=op.Neg(seed.score))


def seed_at_unit(
    op: Emitter, layer: Tensor, axis: int, unit: Unit, position: str, seed_value: str
) -> Seed:
    """Start from one channel per result: at all positions, at its maximum, or at a given position.

    axis: the layer's channel axis; a layer of rank 1 has one channel. The cotangent is the unit's
    activation, or one, at those positions, and zero elsewhere; in a region it is that times the
    region's weights.
    """
    if rank_of(layer) == 1:
        seed = seed_at_unit(op, column(op, layer), 1, unit, position, seed_value)
        return replace(seed, cotangent=op.Squeeze(seed.cotangent, [1]))
    activity = channel_values(op, layer, axis, unit)  # [B, *spatial]
    if position in ("all", "region"):
        rank = rank_of(layer)
        picked, score, where = _at_all_positions(op, activity, rank, seed_value, unit.region)
    else:
        sizes = _spatial_sizes(op, layer, axis)
        picked, score, where = _at_one_position(op, activity, sizes, unit.position, seed_value)
    is_unit = _one_hot(op, layer, axis, unit.channel)
    cotangent = op.Where(is_unit, op.Unsqueeze(picked, [axis]), 0.0)
    return Seed(cotangent, score, where)


def _at_all_positions(
    op: Emitter, activity: Tensor, rank: int, seed_value: str, region: Tensor | None
) -> tuple[Tensor, Tensor, None]:
    """Return the seed's values at all positions, [B, *spatial], and the score, [B]."""
    picked = _seed_values(op, activity, seed_value)
    if region is not None:
        picked = op.Mul(picked, region)
    score = op.Mul(op.widened(picked), op.widened(activity))
    if rank > 2:
        score = op.ReduceSum(score, list(range(1, rank - 1)), keepdims=0)
    return picked, score, None


def _at_one_position(
    op: Emitter, activity: Tensor, sizes: list[Tensor], position: Tensor | None, seed_value: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the seed's value at one position and zero elsewhere, the score, and the position.

    A given position out of range is an error of the runtime.
    """
    flat = op.Flatten(activity, axis=1)
    if position is None:
        index = op.ArgMax(flat, axis=1, keepdims=1)
        position = _unravelled(op, index, sizes)
        activation = op.GatherElements(flat, index, axis=1)
    else:
        index = _ravelled(op, position, sizes)
        activation = op.Unsqueeze(op.GatherND(activity, position, batch_dims=1), [1])
    value = _seed_values(op, activation, seed_value)
    is_position = op.Equal(_range(op, op.Squeeze(op.Shape(flat, start=1), [0])), index)
    picked = reshape(op, op.Where(is_position, value, 0.0), op.Shape(activity))
    score = op.Squeeze(op.Mul(op.widened(value), op.widened(activation)), [1])
    return picked, score, position


def channel_values(op: Emitter, layer: Tensor, axis: int, unit: Unit) -> Tensor:
    """Return each unit's values, [B, *spatial]. One out of range is an error of the runtime."""
    if axis != 1:
        order = [0, axis, *(i for i in range(1, rank_of(layer)) if i != axis)]
        layer = op.raw("Transpose", layer, perm=order)
    channel = op.Unsqueeze(unit.channel, [1])
    if unit.image is None:
        return op.raw("GatherND", layer, channel, batch_dims=1)
    return op.raw("GatherND", layer, op.Concat(op.Unsqueeze(unit.image, [1]), channel, axis=1))


def _seed_values(op: Emitter, activity: Tensor, seed_value: str) -> Tensor:
    if seed_value == "activation":
        return activity
    return op.Expand(op.constant(1, dtype_of(activity)), op.Shape(activity))


def _one_hot(op: Emitter, layer: Tensor, axis: int, channel: Tensor) -> Tensor:
    """Return a mask of the unit's channel, [B, 1, ..., C, ..., 1]; -1 is the last channel."""
    size = _size(op, layer, axis)
    own = op.Equal(op.Unsqueeze(op.Mod(channel, size), [1]), _range(op, size))
    others = [i for i in range(1, rank_of(layer)) if i != axis]
    return op.Unsqueeze(own, others) if others else own


def _spatial_sizes(op: Emitter, layer: Tensor, axis: int) -> list[Tensor]:
    return [_size(op, layer, i) for i in range(1, rank_of(layer)) if i != axis]


def _size(op: Emitter, layer: Tensor, axis: int) -> Tensor:
    """Return the size of one axis as a scalar of the graph."""
    size = shape_of(layer)[axis]
    if isinstance(size, int):
        return op.constant(size, np.int64)
    return op.Squeeze(op.raw("Shape", layer, start=axis, end=axis + 1), [0])


def _range(op: Emitter, size: Tensor) -> Tensor:
    return op.Range(op.constant(0, np.int64), size, op.constant(1, np.int64))


def _unravelled(op: Emitter, index: Tensor, sizes: list[Tensor]) -> Tensor:
    """Convert flat positions [B, 1] to coordinates [B, spatial rank]."""
    coordinates = []
    for size in reversed(sizes[1:]):
        coordinates.append(op.Mod(index, size))
        index = op.Div(index, size)
    return op.Concat(*reversed([*coordinates, index]), axis=1)


def _ravelled(op: Emitter, position: Tensor, sizes: list[Tensor]) -> Tensor:
    """Convert coordinates [B, spatial rank] to flat positions [B, 1]."""
    index = op.constant([[0]], np.int64)
    for i, size in enumerate(sizes):
        coordinate = op.Mod(op.Slice(position, [i], [i + 1], [1]), size)  # -1 is the last
        index = op.Add(op.Mul(index, size), coordinate)
    return index
