"""The inputs of Attention by heads, and what is added to its scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from onnxplain.graphops.ir import (
    Emitter,
    Node,
    Shape,
    Tensor,
    attribute,
    dtype_of,
    is_float,
    onnx_type,
    optional_input,
    rank_of,
    shape_of,
)

__all__ = ["MASK", "Heads", "is_padded", "score_bias"]

MASK, LENGTHS = 3, 6  # the inputs attn_mask and nonpad_kv_seqlen
INWARDS = [0, 2, 1, 3]  # [N, tokens, heads, width] to [N, heads, tokens, width], and back


@dataclass(frozen=True)
class Heads:
    """q, k and v as [N, heads, tokens, width].

    Where several heads of q share one of k and v, or may share one, `shared` is true, and they are
    [N, heads of k, heads of q for each, tokens, width], with 1 in the place of the third for k, v.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    shared: bool

    @classmethod
    def of(cls, op: Emitter, n: Node) -> Heads:
        """Split the inputs of an Attention node into heads."""
        counts = ["q_num_heads", "kv_num_heads", "kv_num_heads"]
        q, k, v = (
            _by_head(op, op.wide(x), rank_of(x), attribute(n, count))
            for x, count in zip(n.inputs[:3], counts, strict=True)
        )
        of_q, of_k = shape_of(q)[1], shape_of(k)[1]
        if isinstance(of_q, int) and of_q == of_k:
            return cls(q, k, v, shared=False)
        k, v = (_shaped(op.Unsqueeze(t, [2]), _with_group(shape_of(t), 1)) for t in (k, v))
        group = of_q // of_k if isinstance(of_q, int) and isinstance(of_k, int) else None
        sizes = op.Concat(op.Shape(k, end=2), [-1], op.Shape(q, start=2), axis=0)
        shape = [*shape_of(k)[:2], group, *shape_of(q)[2:]]
        return cls(_shaped(op.Reshape(q, sizes), shape), k, v, shared=True)

    def joined(self, op: Emitter, t: Tensor) -> Tensor:
        """Return [N, heads of q, ...] of a tensor by heads of k."""
        if not self.shared:
            return t
        n, of_k, group, *rest = shape_of(t)
        known = isinstance(of_k, int) and isinstance(group, int)
        heads = of_k * group if known else None  # type: ignore[operator]
        sizes = op.Concat(op.Shape(t, end=1), [-1], op.Shape(t, start=3), axis=0)
        return _shaped(op.Reshape(t, sizes), [n, heads, *rest])

    def split(self, op: Emitter, t: Tensor) -> Tensor:
        """Undo `joined`."""
        if not self.shared:
            return t
        sizes = op.Concat(op.Shape(self.k, end=2), [-1], op.Shape(t, start=2), axis=0)
        return _shaped(op.Reshape(t, sizes), [*shape_of(self.q)[:3], *shape_of(t)[2:]])

    def exchanged(self, op: Emitter, t: Tensor) -> Tensor:
        """Exchange the last two axes of a tensor by heads."""
        *leading, rows, columns = shape_of(t)
        order = range(len(leading))
        swapped = op.Transpose(t, perm=[*order, len(leading) + 1, len(leading)])
        return _shaped(swapped, [*leading, columns, rows])

    def scale(self, op: Emitter, n: Node) -> Tensor:
        """Return the factor of the scores, by default 1/√width."""
        scale, width = attribute(n, "scale"), shape_of(self.q)[-1]
        if scale is None and isinstance(width, int) and width > 0:
            scale = width**-0.5
        if scale is not None:
            return op.constant(scale, dtype_of(self.q))
        size = op.Cast(op.Shape(self.q, start=-1), to=onnx_type(self.q))
        return op.Reciprocal(op.Sqrt(size))

    def of_output(self, op: Emitter, n: Node, g: Tensor) -> Tensor:
        """Return the signal at the output by heads."""
        return self.split(op, _by_head(op, g, rank_of(n.outputs[0]), attribute(n, "q_num_heads")))

    def to_input(self, op: Emitter, n: Node, index: int, signal: Tensor) -> Tensor:
        """Return the signal at an input from that at q, k or v."""
        if self.shared:
            signal = op.Squeeze(signal, [2]) if index else self.joined(op, signal)
        if rank_of(n.inputs[index]) == 3:
            signal = op.reshape_like(op.Transpose(signal, perm=INWARDS), n.inputs[index])
        return signal


def score_bias(op: Emitter, n: Node, scores: Tensor) -> Tensor | None:
    """Return what is added to the scores: the mask, and −∞ where no key may be seen; or None."""
    dtype = dtype_of(scores)
    zero, hidden = op.constant(0, dtype), op.constant(-np.inf, dtype)
    terms = []
    mask = optional_input(n, MASK)
    if mask is not None:
        values = op.wide(mask) if is_float(mask) else op.Where(mask, zero, hidden)
        if is_padded(n, scores):
            values = _padded(op, values, rank_of(mask), scores, hidden)
        terms.append(values)
    seen = _visible(op, n, scores)
    if seen is not None:
        terms.append(op.Where(seen, zero, hidden))
    return None if not terms else terms[0] if len(terms) == 1 else op.Add(*terms)


def is_padded(n: Node, scores: Tensor) -> bool:
    """Tell whether the mask may have fewer keys than there are, the rest of which are hidden."""
    mask = optional_input(n, MASK)
    if mask is None:
        return False
    size = shape_of(mask)[-1]
    return size is None or size != shape_of(scores)[-1]


def _padded(op: Emitter, mask: Tensor, rank: int, scores: Tensor, hidden: Tensor) -> Tensor:
    missing = op.Sub(op.Shape(scores, start=-1), op.Shape(mask, start=-1))
    before = op.constant([0] * (2 * rank - 1), np.int64)
    return op.Pad(mask, op.Concat(before, missing, axis=0), hidden)


def _visible(op: Emitter, n: Node, scores: Tensor) -> Tensor | None:
    """Return which keys each query may see by its place; None where it sees all."""
    causal, lengths = attribute(n, "is_causal", 0), optional_input(n, LENGTHS)
    left, right = (attribute(n, f"{side}_window_size", -1) for side in ("left", "right"))
    if not causal and lengths is None and left < 0 and right < 0:
        return None
    keys = op.Unsqueeze(_numbers(op, op.Shape(scores, start=3)), [0])
    conditions = []
    place = op.Unsqueeze(_numbers(op, op.Shape(scores, start=2, end=3)), [1])
    if lengths is not None:
        valid = op.Unsqueeze(op.Cast(lengths, to=onnx.TensorProto.INT64), [1, 2, 3])
        conditions.append(op.Less(keys, valid))
        place = op.Add(place, op.Sub(valid, op.Shape(scores, start=2, end=3)))
    ahead = op.Sub(keys, place)
    if causal:
        conditions.append(op.LessOrEqual(ahead, [0]))
    if left >= 0:
        conditions.append(op.GreaterOrEqual(ahead, [-left]))
    if right >= 0:
        conditions.append(op.LessOrEqual(ahead, [right]))
    seen = conditions[0]
    for condition in conditions[1:]:
        seen = op.And(seen, condition)
    return seen


def _numbers(op: Emitter, size: Tensor) -> Tensor:
    """Return 0, 1, ... up to a size, int64[1]."""
    return op.Range(op.constant(0, np.int64), op.Squeeze(size, [0]), op.constant(1, np.int64))


def _by_head(op: Emitter, x: Tensor, rank: int, heads: int) -> Tensor:
    """Return [N, heads, tokens, width] of a tensor that may be [N, tokens, heads·width]."""
    if rank == 4:
        return x
    n, tokens, size = x.shape or [None] * 3
    width = size // heads if isinstance(size, int) else None
    split = op.Reshape(x, [0, 0, heads, -1 if width is None else width])
    return _shaped(op.Transpose(split, perm=INWARDS), [n, heads, tokens, width])


def _with_group(shape: Shape, size: int) -> Shape:
    return [*shape[:2], size, *shape[2:]]


def _shaped(tensor: Tensor, shape: Shape) -> Tensor:
    tensor.shape = list(shape)
    return tensor
