"""Operators for random networks that pick, put or reorder values by indices."""

import math

import numpy as np
import torch
from random_graphs import far
from random_pointwise import fit

__all__ = ["OPERATORS"]


def ranked(v):
    return v.rank > 0


def gather(d):
    x = d.tensor(ranked)
    axis = d.number(-x.rank, x.rank - 1)
    size = x.shape[axis]
    shape = d.choice((), (2,), (3,), (2, 2))
    index = np.array(d.numbers(-size, size - 1, math.prod(shape))).reshape(shape)
    flat = torch.tensor(index % size).flatten()
    result = [*x.shape[: axis % x.rank], *shape, *x.shape[axis % x.rank + 1 :]]
    d.add("Gather", [x, index], lambda v: v.index_select(axis, flat).reshape(result), axis=axis)


def gather_elements(d):
    x = d.tensor(ranked)
    axis = d.number(-x.rank, x.rank - 1)
    shape = [d.number(1, min(s, 3)) for s in x.shape]
    shape[axis] = d.number(1, 3)
    index = d.random.integers(-x.shape[axis], x.shape[axis], shape)
    places = torch.tensor(index % x.shape[axis])
    d.add("GatherElements", [x, index], lambda v: v.gather(axis, places), axis=axis)


def gather_nd(d):
    x = d.tensor(ranked)
    batch = d.number(0, x.rank - 1)
    depth = d.number(1, x.rank - batch)
    count = d.number(1, 3)
    sizes = x.shape[batch : batch + depth]
    leading = x.shape[:batch]
    index = np.stack([d.random.integers(0, s, (*leading, count)) for s in sizes], -1)
    grid = [torch.tensor(g)[..., None] for g in np.indices(leading)] if batch else []
    places = [torch.tensor(index[..., i]) for i in range(depth)]
    d.add("GatherND", [x, index], lambda v: v[(*grid, *places)], batch_dims=batch)


def scatter_elements(d):
    """Without a reduction no place twice: which one stays is not said."""
    x = d.tensor(ranked)
    axis = d.number(-x.rank, x.rank - 1)
    shape = [d.number(1, min(s, 3)) for s in x.shape]
    add = d.choice(False, True)
    if add:
        index = d.random.integers(0, x.shape[axis], shape)
    else:
        order = d.random.permutation(x.shape[axis])[: shape[axis]]
        along = [-1 if a == axis % x.rank else 1 for a in range(x.rank)]
        index = np.broadcast_to(order.reshape(along), shape).copy()
    updates = _updates(d, shape)
    places = torch.tensor(index)

    def compute(v, u):
        return v.scatter_add(axis, places, u) if add else v.scatter(axis, places, u)

    attrs = {"reduction": "add"} if add else {}
    d.add("ScatterElements", [x, index, updates], compute, axis=axis, **attrs)


def scatter_nd(d):
    x = d.tensor(ranked)
    depth, add = d.number(1, x.rank), d.choice(False, True)
    cells = list(np.ndindex(*x.shape[:depth]))
    chosen = [cells[i] for i in d.random.permutation(len(cells))[: d.number(1, 3)]]
    chosen = [*chosen, chosen[0]] if add else chosen
    updates = _updates(d, (len(chosen), *x.shape[depth:]))
    places = tuple(torch.tensor([c[i] for c in chosen]) for i in range(depth))
    attrs = {"reduction": "add"} if add else {}
    d.add("ScatterND", [x, chosen, updates], lambda v, u: v.index_put(places, u, add), **attrs)


def _updates(d, shape):
    """Return a tensor drawn so far that can be cut to the shape, or a weight."""
    flat = math.prod(shape)
    if d.choice(True, False):
        return d.weight(*shape)
    source = d.tensor(lambda v: v.value.numel() >= flat)
    line = d.add("Reshape", [source, [-1]], torch.flatten)
    cut = d.add("Slice", [line, [0], [flat]], lambda v: v[:flat])
    return d.add("Reshape", [cut, list(shape)], lambda v: v.reshape(tuple(shape)))


def compress(d):
    x = d.tensor(ranked)
    if d.choice(True, False):
        axis = d.number(-x.rank, x.rank - 1)
        kept = [i for i in range(x.shape[axis]) if d.choice(True, False)]
        fit(kept)
        places, count = torch.tensor(kept), x.shape[axis]
        condition = np.isin(np.arange(count), kept)
        return d.add("Compress", [x, condition], lambda v: v.index_select(axis, places), axis=axis)
    condition = d.random.random(x.value.numel()) < 0.5
    fit(condition.any())
    d.add("Compress", [x, condition], lambda v: v.flatten()[torch.tensor(condition)])


def reverse_sequence(d):
    x = d.tensor(lambda v: v.rank > 1)
    time = d.choice(0, 1)
    lengths = d.numbers(1, x.shape[time], x.shape[1 - time])
    order = np.tile(np.arange(x.shape[time]), (len(lengths), 1))
    for row, length in zip(order, lengths, strict=True):
        row[:length] = row[:length][::-1]
    places = torch.tensor(order if time == 1 else order.T.copy())
    places = places.reshape(*places.shape, *[1] * (x.rank - 2)).expand(x.shape)
    attrs = {"time_axis": time, "batch_axis": 1 - time}
    d.add("ReverseSequence", [x, lengths], lambda v: v.gather(time, places), **attrs)


def top_k(d):
    """Only where no two values are so near that float32 might rank them otherwise."""
    x = d.tensor(ranked)
    axis = d.number(-x.rank, x.rank - 1)
    steps = x.value.sort(axis).values.diff(dim=axis)
    fit(steps.numel() and far(steps, 0.0))
    count, largest = d.number(1, x.shape[axis]), d.choice(1, 0)
    d.add(
        "TopK",
        [x, [count]],
        lambda v: v.topk(count, axis, bool(largest)).values,
        spare=1,
        axis=axis,
        largest=largest,
    )


def grid_sample(d):
    x = d.tensor(lambda v: v.rank == 4)
    modes = {"linear": "bilinear", "nearest": "nearest", "cubic": "bicubic"}
    mode, padding = d.choice("linear", "nearest", "cubic"), d.choice("zeros", "border")
    align = d.choice(0, 1)
    grid = d.random.uniform(-1.1, 1.1, (x.shape[0], 2, 3, 2)).astype(np.float32)
    places = torch.tensor(grid).double()

    def compute(v):
        how = {"mode": modes[mode], "padding_mode": padding, "align_corners": bool(align)}
        return torch.nn.functional.grid_sample(v, places.to(v.dtype), **how)

    said = mode if d.opset >= 20 else modes[mode]
    attrs = {"mode": said, "padding_mode": padding, "align_corners": align}
    d.add("GridSample", [x, d.constant(grid)], compute, reads=[x], **attrs)


def cast_like(d):
    x, like = d.tensor(), d.tensor()
    d.add("CastLike", [x, like], torch.clone, reads=[x])


OPERATORS = {
    "CastLike": cast_like,
    "Compress": compress,
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "GridSample": grid_sample,
    "ReverseSequence": reverse_sequence,
    "ScatterElements": scatter_elements,
    "ScatterND": scatter_nd,
    "TopK": top_k,
}
