"""Undoing broadcasting: the signal of an input that was repeated is the sum over its copies."""

from __future__ import annotations

from onnxplain.graphops.errors import CorruptModel
from onnxplain.graphops.ir import Emitter, Tensor, is_float

__all__ = ["unbroadcast"]


Shape = list[int | str | None]


def unbroadcast(op: Emitter, g: Tensor, x: Tensor, shape: Shape | None) -> Tensor:
    """Sum `g`, which has this shape, over the axes along which `x` was repeated into it."""
    if not is_float(x):
        return g
    if x.shape is None or shape is None:
        return _of_unknown_rank(op, g, x)
    missing = len(shape) - len(x.shape)
    if missing < 0:
        raise CorruptModel(f"'{x.name}' has more axes than the result it is broadcast into")
    pairs = list(enumerate(zip(x.shape, shape[missing:], strict=True), missing))
    leading = list(range(missing))
    repeated = [axis for axis, (a, b) in pairs if a == 1 and b != 1]
    doubtful = [axis for axis, (a, b) in pairs if not isinstance(a, int) and (a is None or a != b)]
    if doubtful:
        return _at_run_time(op, g, x, len(shape), [*leading, *repeated], doubtful)
    if repeated:
        g = op.ReduceSum(g, [*leading, *repeated], keepdims=1)
        return op.Squeeze(g, leading) if leading else g
    return op.ReduceSum(g, leading, keepdims=0) if leading else g


def _at_run_time(
    op: Emitter, g: Tensor, x: Tensor, rank: int, repeated: list[int], doubtful: list[int]
) -> Tensor:
    """Sum also over those of the doubtful axes whose size in x is 1 when the graph runs.

    OpenVINO wants to know the number of axes: one that stays is replaced by an axis of size 1,
    put behind the others, where ONNX Runtime is fastest.
    """
    spare = list(range(rank, rank + len(doubtful)))
    sizes = op.Gather(op.shape(x), [axis - rank + len(x.shape) for axis in doubtful], axis=0)
    axes = op.Where(op.Equal(sizes, 1), op.constant(doubtful, "int64"), spare)
    if repeated:
        axes = op.Concat(repeated, axes, axis=0)
    return op.Reshape(op.ReduceSum(op.Unsqueeze(g, spare), axes, keepdims=1), op.shape(x))


def _of_unknown_rank(op: Emitter, g: Tensor, x: Tensor) -> Tensor:
    """Find the axes when the graph runs: those where x, padded to g's rank, is 1 and g is not."""
    own, whole = op.shape(x), op.Shape(g)
    missing = op.Sub(op.Shape(whole), op.Shape(own))
    padded = op.Concat(op.Expand(op.constant([1], "int64"), missing), own, axis=0)
    repeated = op.And(op.Equal(padded, 1), op.Not(op.Equal(whole, 1)))
    axes = op.Reshape(op.NonZero(repeated), [-1])
    summed = op.ReduceSum(g, axes, keepdims=1, noop_with_empty_axes=1)
    return op.Reshape(summed, own)
