"""Methods of at most one backward pass."""

from __future__ import annotations

from onnxplain.graphops.backward import Attribution, Walk
from onnxplain.graphops.ir import rank_of

__all__ = ["activation", "times_input"]


def times_input(walk: Walk) -> Attribution:
    """Shrikumar et al. 2016: the gradient times the input."""
    signals = zip(walk.back_to_all(), walk.path.targets, strict=True)
    values, *others = (walk.op.Mul(signal, target) for signal, target in signals)
    return Attribution(values, others=others)


def activation(walk: Walk) -> Attribution:
    """Return the unit's values, [B, 1, *spatial], with the channel axis where the layer has it."""
    op, layer, axis = walk.op, walk.path.layer, walk.axis
    with walk.in_seed_scope():
        picked = op.Mul(op.wide(walk.seed.cotangent), layer)
        if rank_of(layer) == 1:  # one number per image
            total = op.Unsqueeze(picked, [1])
            total.shape = [*(op.signal_shape(layer) or [None]), 1]
            return Attribution(total)
        total = op.ReduceSum(picked, [axis], keepdims=1)
    total.shape = [1 if i == axis else d for i, d in enumerate(op.signal_shape(layer) or ())]
    return Attribution(total)
