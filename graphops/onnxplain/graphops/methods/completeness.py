"""Attributions that tell a picture from a baseline: the baseline, and whether they are complete."""

from __future__ import annotations

import numpy as np

from onnxplain.graphops.backward import Walk, place_given_seed
from onnxplain.graphops.ir import Tensor, dtype_of, numpy_type, rank_of

__all__ = ["baseline_input", "completeness_error"]


def baseline_input(walk: Walk) -> Tensor:
    """Add the input `baseline`, zeros by default, and return it with a row for each result.

    What is given must broadcast to the target's shape: one number, a picture, one for each result.
    """
    op, target = walk.op, walk.path.target
    rank = rank_of(target)
    zeros, free = np.zeros([1] * rank, numpy_type(dtype_of(target))), [None] * rank
    with walk.preparing():
        given = walk.interface.input(op, "baseline", target.dtype, [*free], default=zeros)
        baseline = op.Expand(given, op.shape(target))
    baseline.shape = op.signal_shape(target)
    return baseline


def completeness_error(walk: Walk, values: Tensor, layer: Tensor) -> Tensor | None:
    """Return Σ values − (f(x) − f(baseline)), [B], f being Σ cotangent·layer, as the score is.

    `layer` is the layer's value for the baseline. None where the layer or the target has no row
    for each result. In float32 for half precision.
    """
    op, path = walk.op, walk.path
    rowless = walk.prepared.mixed & {path.layer.name, path.target.name}
    if rowless or not path.layer.shape or not path.target.shape:
        return None
    reference = place_given_seed(op, layer, walk.seed.cotangent).score
    wide = op.widened(values)
    axes = list(range(1, len(path.target.shape)))
    total = op.ReduceSum(wide, axes, keepdims=0) if axes else wide
    return op.Sub(total, op.Sub(walk.seed.score, reference))
