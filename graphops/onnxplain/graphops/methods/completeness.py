"""Attributions relative to a baseline: the baseline input and the completeness error."""

from __future__ import annotations

import numpy as np

from onnxplain.graphops.backward import Walk
from onnxplain.graphops.ir import Tensor, dtype_of, numpy_type, rank_of

__all__ = ["baseline_input", "completeness_error"]


def baseline_input(walk: Walk) -> Tensor:
    """Add the input `baseline`, zeros by default, and return it expanded to the target's shape.

    The input must broadcast to that shape: one number, one picture, or one per result.
    """
    op, target = walk.op, walk.path.target
    rank = rank_of(target)
    zeros, free = np.zeros([1] * rank, numpy_type(dtype_of(target))), [None] * rank
    with walk.in_seed_scope():
        value = walk.interface.input(op, "baseline", target.dtype, [*free], default=zeros)
        baseline = op.Expand(value, op.shape(target))
    baseline.shape = op.signal_shape(target)
    return baseline


def completeness_error(walk: Walk, values: Tensor, layer: Tensor) -> Tensor | None:
    """Return Σ values − (f(x) − f(baseline)), [B], where f = Σ cotangent·layer is the score.

    layer: the layer's value for the baseline. Returns None where the batch axis of the layer or
    the target mixes images. In float32 for half precision.
    """
    op, path = walk.op, walk.path
    mixed = walk.canonical.mixed & {path.layer.name, path.target.name}
    if mixed or not path.layer.shape or not path.target.shape:
        return None
    product = op.Mul(op.widened(walk.seed.cotangent), op.widened(layer))
    reference = walk.total(product, path.layer)
    return op.Sub(walk.total(values, path.target), op.Sub(walk.seed.score, reference))
