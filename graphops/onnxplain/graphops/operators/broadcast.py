"""Undoing broadcasting: the signal of an input that was repeated is the sum over its copies."""

from __future__ import annotations

import numpy as np

from onnxplain.graphops.errors import CorruptModel
from onnxplain.graphops.ir import Emitter, Shape, Tensor, is_float, rank_of, reshape

__all__ = ["unbroadcast"]


def unbroadcast(op: Emitter, g: Tensor, x: Tensor, shape: Shape | None) -> Tensor:
    """Sum `g`, which has this shape, over the axes along which `x` was broadcast to it."""
    if not is_float(x):
        return g
    if x.shape is None or shape is None:
        return _of_unknown_rank(op, g, x)
    missing = len(shape) - len(x.shape)
    if missing < 0:
        raise CorruptModel(f"'{x.name}' has more axes than the result it is broadcast to")
    pairs = list(enumerate(zip(x.shape, shape[missing:], strict=True), missing))
    leading = list(range(missing))
    repeated = [axis for axis, (a, b) in pairs if a == 1 and b != 1]
    doubtful = [axis for axis, (a, b) in pairs if not isinstance(a, int) and (a is None or a != b)]
    if doubtful:
        return _at_run_time(op, g, x, missing, [*leading, *repeated], doubtful)
    if repeated:
        g = op.ReduceSum(g, [*leading, *repeated], keepdims=1)
        return op.Squeeze(g, leading) if leading else g
    return op.ReduceSum(g, leading, keepdims=0) if leading else g


def _at_run_time(
    op: Emitter, g: Tensor, x: Tensor, missing: int, repeated: list[int], doubtful: list[int]
) -> Tensor:
    """Sum also over those of the doubtful axes whose size in x is 1 when the graph runs.

    OpenVINO must know the number of axes to sum over: an axis that stays is replaced by a new one
    of size 1 behind the others, where ONNX Runtime is fastest.
    """
    rank = missing + rank_of(x)
    spare = list(range(rank, rank + len(doubtful)))
    sizes = op.Gather(op.shape(x), [axis - missing for axis in doubtful], axis=0)
    axes = op.Where(op.Equal(sizes, 1), op.constant(doubtful, np.int64), spare)
    if repeated:
        axes = op.Concat(repeated, axes, axis=0)
    return reshape(op, op.ReduceSum(op.Unsqueeze(g, spare), axes, keepdims=1), op.shape(x))


def _of_unknown_rank(op: Emitter, g: Tensor, x: Tensor) -> Tensor:
    """Sum over the axes whose sizes, known when the graph runs, are 1 in x and not in g."""
    own, whole = op.shape(x), op.Shape(g)
    missing = op.Sub(op.Shape(whole), op.Shape(own))
    padded = op.Concat(op.Expand(op.constant([1], np.int64), missing), own, axis=0)
    repeated = op.And(op.Equal(padded, 1), op.Not(op.Equal(whole, 1)))
    axes = op.Reshape(op.NonZero(repeated), [-1])
    summed = op.ReduceSum(g, axes, keepdims=1, noop_with_empty_axes=1)
    return reshape(op, summed, own)
