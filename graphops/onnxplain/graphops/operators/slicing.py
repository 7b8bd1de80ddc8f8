"""Vector-Jacobian products of the operators that cut, pad and repeat."""

from __future__ import annotations

from typing import Any

from onnxplain.graphops.errors import UnsupportedOperator
from onnxplain.graphops.ir import Emitter, Node, Tensor, attribute, known_value
from onnxplain.graphops.operators.gather import add_along, index_range, rank_of
from onnxplain.graphops.operators.table import Rule, Signals

__all__ = ["RULES"]


def _slice(op: Emitter, n: Node, g: Any) -> Signals:
    """Put the signal back where it was cut out, axis by axis, at the places that Slice picks."""
    x = n.inputs[0]
    rank = rank_of(x, n)
    starts, ends = n.inputs[1], n.inputs[2]
    axes, steps = _optional(n, 3), _optional(n, 4)
    numbers = _axes(n, axes, starts, rank)
    for i, axis in enumerate(numbers):
        start, end = op.Slice(starts, [i], [i + 1]), op.Slice(ends, [i], [i + 1])
        step = [op.Slice(steps, [i], [i + 1])] if steps is not None else []
        size = op.Slice(op.shape(x), [axis], [axis + 1])
        places = index_range(op, size)
        picked = op.Slice(places, start, end, op.constant([0], starts.dtype), *step)
        g = add_along(op, g, picked, axis, rank, size)
    return (g, *(None for _ in n.inputs[1:]))


def _pad(op: Emitter, n: Node, g: Any) -> Signals:
    """Cut the padding off again; what it copied from inside adds to where it was copied from."""
    x, pads = n.inputs[0], n.inputs[1]
    mode = attribute(n, "mode", "constant")
    rest = (None,) * (len(n.inputs) - 1)
    axes = _optional(n, 3)
    if mode == "constant":
        given = [axes] if axes is not None else []
        return (op.Pad(g, op.Neg(pads), 0.0, *given), *rest)
    rank = rank_of(x, n)
    numbers, known = _axes(n, axes, pads, rank), known_value(pads)
    for i, axis in enumerate(numbers):
        last = i + len(numbers)
        if known is not None and known[i] == known[last] == 0:
            continue
        both = op.Concat(op.Slice(pads, [i], [i + 1]), op.Slice(pads, [last], [last + 1]), axis=0)
        size = op.Slice(op.shape(x), [axis], [axis + 1])
        copied = op.Pad(index_range(op, size), both, mode=mode)
        g = add_along(op, g, copied, axis, rank, size)
    return (g, *rest)


def _tile(op: Emitter, n: Node, g: Any) -> Signals:
    """Sum over the copies: [r₀·d₀, r₁·d₁, ...] is [r₀, d₀, r₁, d₁, ...]."""
    x, repeats = n.inputs
    rank = rank_of(x, n)
    both = op.Concat(op.Unsqueeze(repeats, [1]), op.Unsqueeze(op.shape(x), [1]), axis=1)
    apart = op.Reshape(g, op.Reshape(both, [-1]))
    return op.ReduceSum(apart, list(range(0, 2 * rank, 2)), keepdims=0), None


def _split(op: Emitter, n: Node, g: Any) -> Signals:
    """Put the parts side by side again; parts that nothing uses carry zeros."""
    signals = g if isinstance(g, tuple) else (g,)
    dtype = next(s.dtype for s in signals if s is not None)
    parts = [
        op.zeros_like(y, dtype) if s is None else s for y, s in zip(n.outputs, signals, strict=True)
    ]
    axis = attribute(n, "axis", 0)
    return (op.Concat(*parts, axis=axis), *(None for _ in n.inputs[1:]))


def _reverse_sequence(op: Emitter, n: Node, g: Any) -> Signals:
    """Turning around twice changes nothing."""
    return op.ReverseSequence(g, n.inputs[1], **n.attrs), None


def _center_crop_pad(op: Emitter, n: Node, g: Any) -> Signals:
    """What was cropped is padded again and the other way round: both count from the centre."""
    axes = attribute(n, "axes")
    size = op.shape(n.inputs[0])
    size = op.Gather(size, list(axes)) if axes is not None else size
    return op.CenterCropPad(g, size, **n.attrs), None


def _optional(n: Node, index: int) -> Tensor | None:
    given = len(n.inputs) > index and not n.inputs[index].is_empty()
    return n.inputs[index] if given else None


def _axes(n: Node, axes: Tensor | None, per_axis: Tensor, rank: int) -> list[int]:
    """Return the axes that a Slice or a Pad works on, as numbers from 0 on."""
    if axes is None:
        count = per_axis.shape[0] if per_axis.shape else rank
        return list(range(rank if n.op == "Pad" or not isinstance(count, int) else count))
    values = known_value(axes)
    if values is None:
        raise UnsupportedOperator(
            f"the axes of {n.op} '{n.name}' are not constant: export the model with fixed axes"
        )
    return [int(a) % rank for a in values]


RULES: dict[str, Rule] = {
    "CenterCropPad": _center_crop_pad,
    "Pad": _pad,
    "ReverseSequence": _reverse_sequence,
    "Slice": _slice,
    "Split": _split,
    "Tile": _tile,
}
