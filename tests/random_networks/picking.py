"""Operators for random networks that pick elements by their place, or put them there."""

import math

import numpy as np
import torch

from random_networks.drawing import far, fit, ranked

__all__ = ["OPERATORS"]


def gather(d):
    x = d.tensor(ranked)
    axis = d.number(-x.rank, x.rank - 1)
    size = x.shape[axis]
    shape = d.choice((), (2,), (3,), (2, 2), (0,))
    index = np.array(d.numbers(-size, size - 1, math.prod(shape)), np.int64).reshape(shape)
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
    reduction = d.choice("none", "add", "mul")
    if reduction != "none":
        index = d.random.integers(0, x.shape[axis], shape)
    else:
        order = d.random.permutation(x.shape[axis])[: shape[axis]]
        along = [-1 if a == axis % x.rank else 1 for a in range(x.rank)]
        index = np.broadcast_to(order.reshape(along), shape).copy()
    updates = d.weight_or_cut(*shape)
    places = torch.tensor(index)

    def compute(v, u):
        if reduction == "none":
            return v.scatter(axis, places, u)
        return v.scatter_reduce(axis, places, u, {"add": "sum", "mul": "prod"}[reduction])

    attrs = {} if reduction == "none" else {"reduction": reduction}
    d.add("ScatterElements", [x, index, updates], compute, axis=axis, **attrs)


def scatter_nd(d):
    x = d.tensor(ranked)
    depth, add = d.number(1, x.rank), d.choice(False, True)
    cells = list(np.ndindex(*x.shape[:depth]))
    chosen = [cells[i] for i in d.random.permutation(len(cells))[: d.number(1, 3)]]
    chosen = [*chosen, chosen[0]] if add else chosen
    updates = d.weight_or_cut(len(chosen), *x.shape[depth:])
    places = tuple(torch.tensor([c[i] for c in chosen]) for i in range(depth))
    attrs = {"reduction": "add"} if add else {}
    d.add("ScatterND", [x, chosen, updates], lambda v, u: v.index_put(places, u, add), **attrs)


def top_k(d):
    """The greatest or the least along an axis; no two that float32 could take for each other."""
    x = d.tensor(ranked)
    axis, largest = d.number(-x.rank, x.rank - 1), d.number(0, 1)
    k = d.number(1, x.shape[axis])
    ordered = x.value.sort(axis).values
    fit(far(ordered.diff(dim=axis), 0.0) if x.shape[axis] > 1 else True)

    def compute(v):
        return v.topk(k, axis, bool(largest)).values

    d.add("TopK", [x, [k]], compute, places=f"i{len(d.nodes)}", axis=axis, largest=largest)


def compress(d):
    """By a constant, which may stop before the axis ends, or by a comparison."""
    x = d.tensor(ranked)
    kind = d.choice("axis", "flat", "computed")
    if kind == "computed":  # how many there are is not known before
        fit(far(x.value, 0.3))
        above = d.integer_node("Greater", x, d.constant(0.3))
        mask = d.integer_node("Reshape", above, [-1])
        return d.add("Compress", [x, mask], lambda v: v[v > 0.3], reads=[x])
    axis = d.number(-x.rank, x.rank - 1)
    size = x.value.numel() if kind == "flat" else x.shape[axis]
    condition = d.random.random(d.number(1, size)) < 0.5
    chosen = torch.tensor(np.flatnonzero(condition))
    if kind == "flat":
        return d.add("Compress", [x, condition], lambda v: v.flatten()[chosen])
    d.add("Compress", [x, condition], lambda v: v.index_select(axis, chosen), axis=axis)


def reverse_sequence(d):
    """The first elements of each row in the opposite order."""
    x = d.tensor(lambda v: v.rank > 1)
    batch = d.number(0, 1)
    time = 1 - batch
    lengths = d.numbers(1, x.shape[time], x.shape[batch])
    count = x.shape[time]
    rows = [[*reversed(range(n)), *range(n, count)] for n in lengths]
    order = torch.tensor(rows, dtype=torch.int64).reshape(len(rows), count)
    index = (order if batch == 0 else order.T).reshape(*x.shape[:2], *(1 for _ in x.shape[2:]))

    def compute(v):
        return v.gather(time, index.expand_as(v))

    d.add("ReverseSequence", [x, lengths], compute, batch_axis=batch, time_axis=time)


OPERATORS = {
    "Compress": compress,
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "ReverseSequence": reverse_sequence,
    "ScatterElements": scatter_elements,
    "ScatterND": scatter_nd,
    "TopK": top_k,
}
