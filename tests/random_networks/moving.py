"""Operators for random networks that move, repeat or part what is there."""

import math

import numpy as np
import torch

from random_networks.drawing import fit, ranked

__all__ = ["OPERATORS"]


def reshape(d):
    """By constants, with 0 and -1 among them, or by sizes computed from Shape."""
    x = d.tensor(ranked)
    kind = d.choice("flat", "merge", "part", "computed", "any")
    if kind == "flat":
        return d.add("Reshape", [x, [-1]], torch.flatten)
    if kind == "merge":  # [0, ..., -1]: all after some axes as one
        kept = d.number(0, x.rank - 1)
        return d.add("Reshape", [x, [0] * kept + [-1]], lambda v: v.reshape(*v.shape[:kept], -1))
    if kind == "part":
        axis = d.number(0, x.rank - 1)
        size = x.shape[axis]
        part = d.choice(*(p for p in range(1, size + 1) if size % p == 0))
        shape = [*x.shape[:axis], part, size // part, *x.shape[axis + 1 :]]
        said = list(shape)
        said[:axis] = [0] * axis
        said[d.number(axis, len(shape) - 1)] = -1
        return d.add("Reshape", [x, said], lambda v: v.reshape(shape))
    if kind == "computed":
        count = d.integer_node("Slice", d.integer_node("Shape", x), [0], [1])
        target = d.integer_node("Concat", count, [-1], axis=0)
        rows = x.shape[0]
        return d.add("Reshape", [x, target], lambda v: v.reshape(rows, -1), reads=[x])
    shape = [x.shape[i] for i in d.order(x.rank)]
    d.add("Reshape", [x, shape], lambda v: v.reshape(shape))


def flatten(d):
    x = d.tensor()
    axis = d.number(-x.rank, x.rank)
    rows = math.prod(x.shape[:axis])
    d.add("Flatten", [x], lambda v: v.reshape(rows, -1), axis=axis)


def transpose(d):
    x = d.tensor(ranked)
    order = d.order(x.rank)
    if d.number(0, 5) == 5:
        d.add("Transpose", [x], lambda v: v.permute(*reversed(range(v.ndim))))
    else:
        d.add("Transpose", [x], lambda v: v.permute(order), perm=order)


def squeeze(d):
    x = d.tensor(lambda v: 1 in v.shape)
    axes = d.some([i for i, s in enumerate(x.shape) if s == 1])
    d.add("Squeeze", [x, [a - x.rank for a in axes]], lambda v: v.squeeze(axes))


def unsqueeze(d):
    x = d.tensor()
    rank = x.rank + d.number(1, 2)
    axes = sorted(d.order(rank)[: rank - x.rank])
    fit(rank <= 6)

    def compute(v):
        for axis in axes:
            v = v.unsqueeze(axis)
        return v

    d.add("Unsqueeze", [x, axes], compute)


def concat(d):
    x = d.tensor(ranked)
    axis = d.number(-x.rank, x.rank - 1)

    def beside(v):
        return v.rank == x.rank and _without(v.shape, axis) == _without(x.shape, axis)

    parts = [x]
    for _ in range(d.number(0, 2)):
        if d.choice(True, False):
            parts.append(d.tensor(beside))
        else:
            sizes = list(x.shape)
            sizes[axis] = d.number(1, 2)
            parts.append(d.weight(*sizes))
    parts = [parts[i] for i in d.order(len(parts))]
    d.add("Concat", parts, lambda *v: torch.cat(v, axis), axis=axis)


def _without(shape, axis):
    shape = list(shape)
    del shape[axis]
    return shape


def split(d):
    """Into two or three parts, of which what follows may use any."""
    x = d.tensor(lambda v: v.rank > 0 and max(v.shape) > 1)
    axis = d.choice(*(i for i, s in enumerate(x.shape) if s > 1))
    size = x.shape[axis]
    count = d.number(2, min(3, size))
    given = axis - x.rank if d.choice(False, True) else axis
    if d.opset >= 18 and d.choice(False, True):
        each = -(-size // count)
        sizes = [each] * (count - 1) + [size - each * (count - 1)]
        fit(sizes[-1] > 0)
        d.add("Split", [x], lambda v: v.split(sizes, axis), axis=given, num_outputs=count)
    elif d.opset < 18 and size % count == 0 and d.choice(False, True):
        d.add("Split", [x], lambda v: v.split(size // count, axis), axis=given)
    else:
        cuts = sorted({0, size, *(d.number(1, size - 1) for _ in range(count - 1))})
        sizes = [b - a for a, b in zip(cuts, cuts[1:], strict=False)]
        d.add("Split", [x, sizes], lambda v: v.split(sizes, axis), axis=given)


def slice_(d):
    x = d.tensor(ranked)
    axes = d.some(range(x.rank))
    starts, ends, steps = [], [], []
    for size in (x.shape[axis] for axis in axes):
        start, step = d.number(0, size - 1), d.choice(1, 2, -1, -2)
        end = d.number(start + 1, size) if step > 0 else d.number(-1, start - 1)
        end = start if d.number(0, 7) == 7 else end  # nothing
        far = 2**31 - 1 if step > 0 else -(2**31)
        starts.append(start - size if d.choice(False, True) else start)
        ends.append(far if end in (-1, size) else end - size if d.choice(False, True) else end)
        steps.append(step)

    def compute(v):
        for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
            places = torch.tensor(_places(v.shape[axis], start, end, step), dtype=torch.int64)
            v = v.index_select(axis, places)
        return v

    inputs = [x, starts, ends, [a - x.rank for a in axes]]
    if any(s != 1 for s in steps) or d.choice(False, True):
        inputs.append(steps)
    d.add("Slice", inputs, compute)


def _places(size, start, end, step):
    """Return the indices that ONNX's Slice picks."""
    start, end = (s + size if s < 0 else s for s in (start, end))
    if step > 0:
        return list(range(min(max(start, 0), size), min(max(end, 0), size), step))
    return list(range(min(max(start, 0), size - 1), min(max(end, -1), size - 1), step))


def pad(d):
    x = d.tensor(ranked)
    modes = ["constant", "reflect", "edge"] + (["wrap"] if d.opset >= 19 else [])
    mode = d.choice(*modes)
    axes = d.some(range(x.rank))
    before, after = [], []
    for axis in axes:
        highest = min(2, x.shape[axis] - 1) if mode in ("reflect", "wrap") else 2
        lowest = -1 if mode == "constant" else 0
        before.append(d.number(lowest, highest))
        after.append(d.number(lowest, highest))

    def compute(v):
        for axis, a, b in zip(axes, before, after, strict=True):
            v = _padded(v, axis, a, b, mode)
        return v

    if d.opset >= 18 and d.choice(False, True):
        inputs = [x, [*before, *after], None, axes]
    else:
        whole = np.zeros((2, x.rank), np.int64)
        whole[0, axes], whole[1, axes] = before, after
        inputs = [x, whole.ravel()]
        if mode == "constant" and d.choice(False, True):
            return d.add("Pad", [*inputs, d.constant(0.7)], lambda v: compute(v - 0.7) + 0.7, [x])
    d.add("Pad", inputs, compute, mode=mode)


def _padded(v, axis, before, after, mode):
    size = v.shape[axis]
    fit(before + size + after > 0)
    places = torch.arange(-before, size + after)
    inside = (places >= 0) & (places < size)
    if mode == "reflect" and size > 1:
        places = (places.abs() - (size - 1)).abs().neg() + size - 1
    elif mode == "wrap":
        places = places % size
    picked = v.index_select(axis, places.clamp(0, size - 1))
    if mode != "constant":
        return picked
    shape = [-1 if a == axis else 1 for a in range(v.ndim)]
    return torch.where(inside.reshape(shape), picked, 0.0)


def expand(d):
    x = d.tensor()
    shape = [d.number(1, 3) if s == 1 else d.choice(s, 1) for s in x.shape]
    shape = [d.number(1, 2), *shape] if d.choice(False, True) else shape
    fit(len(shape) <= 5)
    result = np.broadcast_shapes(x.shape, shape)
    d.add("Expand", [x, shape], lambda v: v.expand(result))


def tile(d):
    x = d.tensor(ranked)
    repeats = [d.choice(1, 2, 3) for _ in x.shape]
    d.add("Tile", [x, repeats], lambda v: v.tile(repeats))


def dropout(d):
    d.add("Dropout", [d.tensor()], torch.clone)


def center_crop_pad(d):
    fit(d.opset >= 18)
    x = d.tensor(ranked)
    sizes = [max(1, s + d.number(-2, 2)) for s in x.shape]

    def compute(v):
        for axis, size in enumerate(sizes):
            now = v.shape[axis]
            if size < now:
                v = v.narrow(axis, (now - size) // 2, size)
            else:
                v = _padded(v, axis, (size - now) // 2, size - now - (size - now) // 2, "constant")
        return v

    d.add("CenterCropPad", [x, sizes], compute)


OPERATORS = {
    "CenterCropPad": center_crop_pad,
    "Concat": concat,
    "Dropout": dropout,
    "Expand": expand,
    "Flatten": flatten,
    "Pad": pad,
    "Reshape": reshape,
    "Slice": slice_,
    "Split": split,
    "Squeeze": squeeze,
    "Tile": tile,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
