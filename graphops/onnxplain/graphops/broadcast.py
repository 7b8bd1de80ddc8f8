"""Undoing broadcasting: the signal of an input that was repeated is the sum over its copies."""

from __future__ import annotations

from onnxplain.graphops.emit import Emitter
from onnxplain.graphops.errors import CorruptModel
from onnxplain.graphops.graph import Tensor, is_float

__all__ = ["unbroadcast"]


Shape = list[int | str | None]


def unbroadcast(op: Emitter, g: Tensor, x: Tensor, shape: Shape | None) -> Tensor:
    """Sum `g`, which has this shape, over the axes along which `x` was repeated into it."""
    if not is_float(x):
        return g
    if x.shape is None or shape is None:
        return _at_run_time(op, g, x)
    missing = len(shape) - len(x.shape)
    if missing < 0:
        raise CorruptModel(f"'{x.name}' has more axes than the result it is broadcast into")
    pairs = list(zip(x.shape, shape[missing:], strict=True))
    if any(a != 1 and (a != b or a is None) and not _must_agree(a, b) for a, b in pairs):
        return _at_run_time(op, g, x)
    leading = list(range(missing))
    repeated = [missing + i for i, (a, b) in enumerate(pairs) if a == 1 and b != 1]
    if repeated:
        g = op.ReduceSum(g, [*leading, *repeated], keepdims=1)
        return op.Squeeze(g, leading) if leading else g
    return op.ReduceSum(g, leading, keepdims=0) if leading else g


def _must_agree(a: int | str | None, b: int | str | None) -> bool:
    """A fixed size other than 1 is never repeated, whatever is known of the output."""
    return isinstance(a, int) and a > 1


def _at_run_time(op: Emitter, g: Tensor, x: Tensor) -> Tensor:
    """Find the axes when the graph runs: those where x, padded to g's rank, is 1 and g is not."""
    own, whole = op.shape(x), op.Shape(g)
    missing = op.Sub(op.Shape(whole), op.Shape(own))
    padded = op.Concat(op.Expand(op.constant([1], "int64"), missing), own, axis=0)
    repeated = op.And(op.Equal(padded, 1), op.Not(op.Equal(whole, 1)))
    axes = op.Reshape(op.NonZero(repeated), [-1])
    summed = op.ReduceSum(g, axes, keepdims=1, noop_with_empty_axes=1)
    return op.Reshape(summed, own)
