"""Reshapes that hold for axes of size zero.

To Reshape, a zero means "as in the input" unless `allowzero` is set, and -1 means nothing beside a
zero. So sizes that are read when the graph runs, any of which may be zero, come with `allowzero`.
"""

from __future__ import annotations

import math

from onnxplain.graphops.ir.emitter import Emitter
from onnxplain.graphops.ir.graph import Tensor, is_static

__all__ = ["merge_axes", "reshape"]


def reshape(op: Emitter, tensor: Tensor, *sizes: Tensor | list[int]) -> Tensor:
    """Reshape to these sizes, int64 tensors of the graph and numbers; zero is a size of zero."""
    whole = op.Concat(*sizes, axis=0) if len(sizes) > 1 else sizes[0]
    return op.Reshape(tensor, whole, allowzero=1)


def merge_axes(op: Emitter, tensor: Tensor, first: int) -> Tensor:
    """Reshape a tensor, with its axes from `first` on as one."""
    shape = op.signal_shape(tensor)
    rest = None if shape is None else shape[first:]
    if rest is not None and is_static(rest) and 0 not in rest:
        return op.Reshape(tensor, [0] * first + [math.prod(rest)])  # zeros: as in the input
    whole = op.shape(tensor)
    return reshape(
        op,
        tensor,
        op.Slice(whole, [0], [first]),
        op.ReduceProd(op.Slice(whole, [first], [2**31 - 1]), keepdims=1),
    )
