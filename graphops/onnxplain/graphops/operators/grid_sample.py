"""GridSample and AffineGrid, the spatial transformer: Jaderberg et al. 2015, section 3.3.

Each output is a weighted sum of a few pixels, the *taps*: along each axis one for nearest, two for
linear, four for cubic. The image's signal is added at the taps, times their weights; the grid's is
the derivative of these weights.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import reduce

import numpy as np
import onnx

from onnxplain.graphops.ir import (
    Emitter,
    Node,
    Tensor,
    attribute,
    dtype_of,
    merge_axes,
    onnx_type,
    rank_of,
    reshape,
)
from onnxplain.graphops.operators import roles
from onnxplain.graphops.operators.batching import every_input, first_input, starts_with_batch
from onnxplain.graphops.operators.gather import axis_size
from onnxplain.graphops.operators.operator import Channels, Operator, Without
from onnxplain.graphops.operators.roles import Lines
from onnxplain.graphops.operators.rules import Signals, widening

__all__ = ["OPERATORS"]

CUBIC = -0.75  # the coefficient a of GridSample's cubic mode


@dataclass(frozen=True)
class Tap:
    """One pixel of an axis for each output: its position, int64[N, P], and its weight.

    `slope` is the weight's derivative along the axis, unused in nearest mode.
    """

    position: Tensor
    weight: Tensor
    slope: Tensor


@dataclass(frozen=True)
class GridAxis:
    """One axis of the image: its size, the taps on it, and the pixels in one unit of the grid."""

    size: Tensor
    taps: list[Tap]
    scale: Tensor


def _grid_sample(op: Emitter, n: Node, g: Tensor) -> Signals:
    x, grid = n.inputs
    axes = [_axis(op, n, i, g) for i in range(rank_of(x) - 2)]
    g = merge_axes(op, g, 2)  # [N, C, P]
    pixels = merge_axes(op, x, 2)
    to_x = op.zeros_like(pixels)
    to_axes: list[list[Tensor]] = [[] for _ in axes]
    for taps in itertools.product(*(axis.taps for axis in axes)):
        position = op.Expand(op.Unsqueeze(_flat_position(op, taps, axes), [1]), op.Shape(g))
        weight = op.Unsqueeze(_product(op, [t.weight for t in taps]), [1])
        to_x = op.ScatterElements(to_x, position, op.Mul(g, weight), axis=2, reduction="add")
        if _mode(n) != "nearest":
            tapped = op.GatherElements(pixels, position, axis=2)
            value = op.ReduceSum(op.Mul(g, tapped), [1], keepdims=0)
            for i, arrived in enumerate(to_axes):
                change = [t.slope if j == i else t.weight for j, t in enumerate(taps)]
                arrived.append(op.Mul(value, _product(op, change)))
    to_x = op.reshape_like(to_x, x)
    if _mode(n) == "nearest":
        return to_x, op.zeros_like(grid)
    scaled = [op.Mul(op.Sum(*t), axis.scale) for t, axis in zip(to_axes, axes, strict=True)]
    return to_x, op.reshape_like(op.Concat(*(op.Unsqueeze(s, [2]) for s in scaled), axis=2), grid)


def _axis(op: Emitter, n: Node, i: int, g: Tensor) -> GridAxis:
    """Return the axis of the grid's i-th coordinate, -1 to 1; the first is the last axis."""
    kind, zero = onnx_type(g), op.constant(0, dtype_of(g))
    x, grid = n.inputs
    rank = rank_of(x)
    size = op.Squeeze(axis_size(op, x, rank - 1 - i), [0])
    length = op.Cast(size, to=kind)
    last = op.Sub(length, 1.0)
    low, span = (0.0, last) if attribute(n, "align_corners", 0) else (-0.5, length)
    scale = op.Div(span, 2.0)
    coordinate = op.Flatten(op.Slice(grid, [i], [i + 1], [rank - 1]), axis=1)
    at = op.Add(op.Mul(op.Add(op.Cast(coordinate, to=kind), 1.0), scale), low)
    at = op.Round(at) if _mode(n) == "nearest" else at
    first = op.Floor(at)
    padding = str(attribute(n, "padding_mode", "zeros"))
    taps = []
    for offset, weight, slope in _weights(op, op.Sub(at, first), _mode(n)):
        position = op.Add(first, float(offset))
        if padding == "reflection":
            position = _reflected(op, position, low, span)
        inside = op.Min(op.Max(position, zero), last)
        if padding == "zeros":
            seen = op.Cast(op.Equal(inside, position), to=kind)
            weight, slope = op.Mul(seen, weight), op.Mul(seen, slope)
        taps.append(Tap(op.Cast(inside, to=onnx.TensorProto.INT64), weight, slope))
    return GridAxis(size, taps, scale)


def _reflected(op: Emitter, position: Tensor, low: float, span: Tensor) -> Tensor:
    """Reflect positions outside `low` to `low + span` at its ends until they are inside."""
    # An image of one pixel has span 0; all positions are then clipped to that pixel.
    span = op.Max(span, op.constant(1, dtype_of(span)))
    swung = op.Mod(op.Abs(op.Sub(position, low)), op.Mul(span, 2.0), fmod=1)
    return op.Add(op.Sub(span, op.Abs(op.Sub(swung, span))), low)


def _weights(op: Emitter, t: Tensor, mode: str) -> list[tuple[int, Tensor, Tensor]]:
    """Return for each tap its offset from the pixel before, its weight and the weight's slope.

    `t`, 0 to 1, is the distance from that pixel in pixels. Cubic: Keys 1981.
    """
    one = op.constant(1, dtype_of(t))
    if mode == "nearest":  # t is 0
        return [(0, op.Sub(one, t), one)]
    if mode == "linear":
        return [(0, op.Sub(one, t), op.Neg(one)), (1, t, one)]
    rest = op.Sub(one, t)
    before, after = op.Add(t, 1.0), op.Add(rest, 1.0)
    return [
        (-1, _far(op, before), _far_slope(op, before)),
        (0, _near(op, t), _near_slope(op, t)),
        (1, _near(op, rest), op.Neg(_near_slope(op, rest))),
        (2, _far(op, after), op.Neg(_far_slope(op, after))),
    ]


def _near(op: Emitter, d: Tensor) -> Tensor:
    """((a + 2)·d − (a + 3))·d² + 1, for a distance d of up to 1."""
    slanted = op.Sub(op.Mul(d, CUBIC + 2), CUBIC + 3)
    return op.Add(op.Mul(slanted, op.Mul(d, d)), 1.0)


def _far(op: Emitter, d: Tensor) -> Tensor:
    """a·(d³ − 5d² + 8d − 4), for a distance d of 1 to 2."""
    inner = op.Add(op.Mul(op.Sub(d, 5.0), d), 8.0)
    return op.Mul(op.Sub(op.Mul(inner, d), 4.0), CUBIC)


def _near_slope(op: Emitter, d: Tensor) -> Tensor:
    """3(a + 2)·d² − 2(a + 3)·d."""
    return op.Mul(op.Sub(op.Mul(d, 3 * (CUBIC + 2)), 2 * (CUBIC + 3)), d)


def _far_slope(op: Emitter, d: Tensor) -> Tensor:
    """a·(3d² − 10d + 8)."""
    return op.Mul(op.Add(op.Mul(op.Sub(op.Mul(d, 3.0), 10.0), d), 8.0), CUBIC)


def _flat_position(op: Emitter, taps: tuple[Tap, ...], axes: list[GridAxis]) -> Tensor:
    """Return the position of one tap of each axis in the flattened image: int64[N, P]."""
    position = taps[-1].position
    for tap, axis in zip(reversed(taps[:-1]), reversed(axes[:-1]), strict=True):
        position = op.Add(op.Mul(position, axis.size), tap.position)
    return position


def _product(op: Emitter, factors: list[Tensor]) -> Tensor:
    return reduce(op.Mul, factors)


def _mode(n: Node) -> str:
    """Return nearest, linear or cubic, by the names of opset 20."""
    mode = str(attribute(n, "mode", "linear"))
    return {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode)


def _affine_grid(op: Emitter, n: Node, g: Tensor) -> Signals:
    """The grid is base·θᵀ, base being the grid of the identity and a 1, so dθ = gᵀ·base."""
    theta, size = n.inputs
    rank = rank_of(n.outputs[0]) - 2
    identity = op.constant(np.eye(rank, rank + 1)[None], dtype_of(g))
    one_image = op.Concat([1], op.Slice(size, [1], [rank + 2]), axis=0)
    base = op.Reshape(op.AffineGrid(identity, one_image, **n.attrs), [-1, rank])  # [P, rank]
    last = op.Expand(op.constant([[1]], dtype_of(g)), op.Concat(op.Shape(base, end=1), [1], axis=0))
    rows = reshape(op, g, op.Shape(g, end=1), op.Shape(base, end=1), [rank])
    turned = op.Transpose(rows, perm=[0, 2, 1])
    return op.MatMul(turned, op.Concat(base, last, axis=1)), None


def _affine_grid_batch(node: Node, batched: list[bool]) -> bool:
    theta, y = node.inputs[0], node.outputs[0]
    same = bool(theta.shape and y.shape and theta.shape[0] == y.shape[0])
    return first_input(node, batched) and (same or starts_with_batch(node.inputs[1], theta))


def _sampled_roles(node: Node, lines: list[Lines | None], output: Tensor) -> Lines:
    """The channels are the data's; the places are where the grid says."""
    kept = roles.channels_first(makes=False)(node, lines, output)
    return [*kept[:2], *(roles.unlocated(output, i) for i in range(2, rank_of(output)))]


SAMPLED = Without("the grid may take any pixel to any position")

OPERATORS: dict[str, Operator] = {
    "AffineGrid": Operator(
        widening(_affine_grid), batch=_affine_grid_batch, axes=SAMPLED, slide=SAMPLED
    ),
    "GridSample": Operator(
        widening(_grid_sample),
        batch=every_input,
        axes=SAMPLED,
        slide=SAMPLED,
        roles=_sampled_roles,
        channels=Channels.FIRST,
    ),
}
