"""Operators for random networks that reduce, accumulate or normalise along axes."""

import torch.nn.functional as F

from random_networks.drawing import far, fit, winner

__all__ = ["OPERATORS"]


def along_axis(operator, compute):
    def draw(d):
        x = d.tensor(lambda v: v.rank > 0)
        axis = d.number(-x.rank, x.rank - 1)
        d.add(operator, [x], lambda v: compute(v, axis), axis=axis)

    return draw


def cumsum(d):
    x = d.tensor(lambda v: v.rank > 0)
    axis = d.number(-x.rank, x.rank - 1)
    exclusive, reverse = d.number(0, 1), d.number(0, 1)

    def compute(v):
        v = v.flip(axis) if reverse else v
        total = v.cumsum(axis) - (v if exclusive else 0)
        return total.flip(axis) if reverse else total

    d.add("CumSum", [x, axis], compute, exclusive=exclusive, reverse=reverse)


# Reductions.


def reduction(operator, compute, inside=None, away=()):
    def draw(d):
        x = d.tensor(lambda v: v.rank > 0)
        x = d.inside(x, *inside) if inside else x
        x = d.away(x, *away)
        axes = d.some(range(x.rank)) if d.number(0, 3) else []
        keepdims = d.choice(1, 0)
        dims = axes or list(range(x.rank))
        attrs, inputs = {"keepdims": keepdims}, [x]
        given = [a - x.rank if d.choice(False, True) else a for a in axes]
        if d.opset >= 18 or operator == "ReduceSum":
            noop = d.number(0, 1)
            if noop:
                attrs["noop_with_empty_axes"] = 1
                fit(axes or operator not in UNREDUCED)
                dims = axes
            inputs += [given] if axes else []
        elif axes:
            attrs["axes"] = given
        if operator in ("ReduceMax", "ReduceMin") and dims:
            winner(x.value if operator == "ReduceMax" else -x.value, dims)
        if operator in ("ReduceL2", "ReduceProd"):
            fit(far(compute(x.value, dims, True), 0.0) if dims else True)
        d.add(operator, inputs, lambda v: compute(v, dims, bool(keepdims)) if dims else v, **attrs)

    return draw


UNREDUCED = ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare")


def product(v, dims, keep):
    for dim in sorted(dims, reverse=True):
        v = v.prod(dim, keepdim=keep)
    return v


# Normalisations.


def batch_normalization(d):
    """Written out: PyTorch 2.13's own sends a wrong signal back where an einsum follows it."""
    x = d.tensor(lambda v: v.rank > 1)
    count = x.shape[1]
    scale, bias, mean = (d.weight(count) for _ in range(3))
    variance, eps = d.weight(count, low=0.3), d.choice(1e-5, 1e-2)
    shape = (-1, *(1 for _ in x.shape[2:]))

    def compute(v, *parameters):
        s, b, m, var = (p.reshape(shape) for p in parameters)
        return (v - m) / (var + eps).sqrt() * s + b

    inputs = [x, scale, bias, mean, variance]
    d.add("BatchNormalization", inputs, compute, epsilon=eps)


def instance_normalization(d):
    x = d.tensor(lambda v: v.rank > 2)
    scale, bias = d.weight(x.shape[1]), d.weight(x.shape[1])
    d.add(
        "InstanceNormalization",
        [x, scale, bias],
        lambda v, s, b: _grouped(v, v.shape[1], s, b),
        epsilon=1e-2,
    )


def layer_normalization(d):
    x = d.tensor(lambda v: v.rank > 0)
    axis = d.number(-x.rank, x.rank - 1)
    sizes = x.shape[axis:] if axis < 0 else x.shape[axis:]
    parameters = [d.weight(*sizes) for _ in range(d.number(1, 2))]

    def compute(v, scale, bias=None):
        return F.layer_norm(v, sizes, scale, bias, eps=1e-2)

    d.add("LayerNormalization", [x, *parameters], compute, axis=axis, epsilon=1e-2)


def group_normalization(d):
    fit(d.opset >= 21)
    x = d.tensor(lambda v: v.rank > 2)
    groups = d.choice(*(g for g in range(1, x.shape[1] + 1) if x.shape[1] % g == 0))
    scale, bias = d.weight(x.shape[1]), d.weight(x.shape[1])
    d.add(
        "GroupNormalization",
        [x, scale, bias],
        lambda v, s, b: _grouped(v, groups, s, b),
        num_groups=groups,
        epsilon=1e-2,
    )


def _grouped(x, groups, scale, bias):
    """PyTorch's own refuses groups of one element."""
    apart = F.layer_norm(x.reshape(*x.shape[:1], groups, -1), (x[0].numel() // groups,), eps=1e-2)
    shape = (-1, *(1 for _ in x.shape[2:]))
    return apart.reshape(x.shape) * scale.reshape(shape) + bias.reshape(shape)


def rms_normalization(d):
    fit(d.opset >= 23)
    x = d.tensor(lambda v: v.rank > 0)
    axis = d.number(-x.rank, x.rank - 1)
    scale = d.weight(*x.shape[axis:])
    d.add(
        "RMSNormalization",
        [x, scale],
        lambda v, s: F.rms_norm(v, x.shape[axis:], s, eps=1e-2),
        axis=axis,
        epsilon=1e-2,
    )


def lrn(d):
    x = d.tensor(lambda v: v.rank == 4)
    size, alpha, beta, bias = d.choice(3, 5, 1), d.choice(0.5, 1e-2), d.choice(0.75, 0.5), 1.5

    def compute(v):
        squares = F.pad(v * v, (0, 0, 0, 0, (size - 1) // 2, size // 2))
        total = sum(squares[:, i : i + v.shape[1]] for i in range(size))
        return v / (bias + alpha / size * total) ** beta

    d.add("LRN", [x], compute, size=size, alpha=alpha, beta=beta, bias=bias)


def lp_normalization(d):
    x = d.away(d.tensor(lambda v: v.rank > 0), 0.0)
    p, axis = d.choice(2, 1), d.number(-x.rank, x.rank - 1)
    fit((x.value.norm(p, axis) > 0.05).all())
    d.add("LpNormalization", [x], lambda v: v / v.norm(p, axis, keepdim=True), p=p, axis=axis)


def mean_variance_normalization(d):
    x = d.tensor(lambda v: v.rank == 4)
    fit(x.value.numel())
    axes = d.choice((0, 2, 3), (2, 3), (1, 2, 3))
    fit((x.value.std(axes, correction=0) > 0.05).all())

    def compute(v):
        centred = v - v.mean(axes, keepdim=True)
        return centred / ((centred * centred).mean(axes, keepdim=True).sqrt() + 1e-9)

    d.add("MeanVarianceNormalization", [x], compute, axes=axes)


OPERATORS = {
    "BatchNormalization": batch_normalization,
    "CumSum": cumsum,
    "GroupNormalization": group_normalization,
    "InstanceNormalization": instance_normalization,
    "LRN": lrn,
    "LayerNormalization": layer_normalization,
    "LogSoftmax": along_axis("LogSoftmax", F.log_softmax),
    "LpNormalization": lp_normalization,
    "MeanVarianceNormalization": mean_variance_normalization,
    "RMSNormalization": rms_normalization,
    "ReduceL1": reduction("ReduceL1", lambda v, a, k: v.abs().sum(a, k), away=(0.0,)),
    "ReduceL2": reduction("ReduceL2", lambda v, a, k: v.square().sum(a, k).sqrt()),
    "ReduceLogSum": reduction("ReduceLogSum", lambda v, a, k: v.sum(a, k).log(), (0.2, 5.0)),
    "ReduceLogSumExp": reduction("ReduceLogSumExp", lambda v, a, k: v.logsumexp(a, k)),
    "ReduceMax": reduction("ReduceMax", lambda v, a, k: v.amax(a, k)),
    "ReduceMean": reduction("ReduceMean", lambda v, a, k: v.mean(a, k)),
    "ReduceMin": reduction("ReduceMin", lambda v, a, k: v.amin(a, k)),
    "ReduceProd": reduction("ReduceProd", product),
    "ReduceSum": reduction("ReduceSum", lambda v, a, k: v.sum(a, k)),
    "ReduceSumSquare": reduction("ReduceSumSquare", lambda v, a, k: v.square().sum(a, k)),
    "Softmax": along_axis("Softmax", F.softmax),
}
