"""Operators for random networks that look at each element alone, or pair them by broadcasting."""

import numpy as np
import torch
import torch.nn.functional as F

from random_networks.drawing import OPSETS, far, fit, ranked, winner

__all__ = ["OPERATORS"]


# Activations.


def curve(operator, compute, *kinks, inside=None, opsets=OPSETS, **options):
    """y = f(x): x inside an interval and away from the kinks, the attributes among the options.

    A kink may be a function of the attributes; opsets are those that the runtime has it in.
    """

    def draw(d):
        fit(d.opset in opsets)
        attrs = {name: d.choice(*values) for name, values in options.items()}
        x = d.tensor()
        if inside is not None:
            x = d.inside(x, *inside)
        x = d.away(x, *(k(**attrs) if callable(k) else k for k in kinks))
        d.add(operator, [x], lambda v: compute(v, **attrs), **attrs)

    return draw


def _selu(x, alpha, gamma):
    return gamma * torch.where(x > 0, x, alpha * (x.clamp(max=0).exp() - 1))


def _hard_sigmoid(x, alpha, beta):
    return (alpha * x + beta).clamp(0, 1)


def _shrink(x, lambd, bias):
    return torch.where(x > lambd, x - bias, torch.where(x < -lambd, x + bias, 0.0))


def clip(d):
    low, high = d.choice((0.0, None), (0.0, 1.5), (-0.7, 0.9), (None, 0.4))
    x = d.away(d.tensor(), *(b for b in (low, high) if b is not None))
    bounds = [None if b is None else d.constant(b) for b in (low, high)]
    bounds = bounds[:1] if high is None else bounds
    d.add("Clip", [x, *bounds], lambda v, *_: v.clamp(low, high))


def prelu(d):
    x = d.away(d.tensor(), 0.0)
    slope = d.weight(*(s if d.choice(True, False) else 1 for s in x.shape[d.number(0, x.rank) :]))
    d.add("PRelu", [x, slope], lambda v, s: torch.where(v > 0, v, s * v))


# Element-wise.


def pair(operator, compute, left=None, right=None):
    """Two tensors that broadcast, each inside of an interval."""

    def draw(d):
        a = d.tensor()
        b = partner(d, a)
        if d.choice(False, True):
            a, b = b, a
        a = d.inside(a, *left) if left else a
        b = d.inside(b, *right) if right else b
        d.add(operator, [a, b], compute)

    return draw


def several(operator, compute):
    def draw(d):
        a = d.tensor()
        rest = [partner(d, a) for _ in range(d.number(0, 2))]
        fit(all(_broadcast(v.shape, w.shape) for v in rest for w in rest))
        if operator in ("Max", "Min"):
            sign = 1 if operator == "Max" else -1
            fit(len({*rest, a}) == 1 + len(rest))
            winner(sign * torch.stack(torch.broadcast_tensors(*(v.value for v in (a, *rest)))), 0)
        d.add(operator, [a, *rest], lambda *v: compute(torch.stack(torch.broadcast_tensors(*v))))

    return draw


def mod(d):
    a = d.tensor()
    b = d.inside(partner(d, a), 0.5, 2.0)
    ratio = a.value / b.value
    fit(far(ratio - ratio.round(), 0.0))
    d.add("Mod", [a, b], lambda u, v: u - v * (u / v).detach().trunc(), fmod=1)


def where(d):
    a = d.tensor()
    b = partner(d, a)
    if d.choice(True, False):
        condition = d.random.random(np.broadcast_shapes(a.shape, b.shape)[d.number(0, 1) :]) < 0.5
        mask = torch.tensor(condition)
        d.add("Where", [condition, a, b], lambda u, v: torch.where(mask, u, v))
    else:
        fit(far(a.value, 0.3))
        above = d.integer_node("Greater", a, d.constant(0.3))
        d.add("Where", [above, a, b], lambda u, v: torch.where(u > 0.3, u, v))


def mask_by_relu(d):
    """x·[x > 0], as some exporters write Relu."""
    x = d.away(d.tensor(), 0.0)
    above = d.integer_node("Greater", x, d.constant(0.0))
    mask = d.integer_node("Cast", above, to=1)
    d.add("Mul", [x, mask], torch.relu, reads=[x])


def cast(d):
    x = d.tensor()
    double = d.integer_node("Cast", x, to=11)
    d.add("Cast", [double], torch.clone, reads=[x], to=1)


def cast_like(d):
    x = d.tensor()
    double = d.integer_node("Cast", d.constant(0.0), to=11)
    wide = d.integer_node("CastLike", x, double)
    d.add("CastLike", [wide, d.tensor()], torch.clone, reads=[x])


def quantized(d):
    """To integers and back, with one scale or one for each slice; straight through the rounding."""
    x = d.tensor(ranked)
    kind = d.choice(np.uint8, np.int8)
    low, high = np.iinfo(kind).min, np.iinfo(kind).max
    axis = d.choice(None, d.number(-x.rank, x.rank - 1))
    count = () if axis is None else (x.shape[axis],)
    scale = d.constant(d.random.choice([1.0, 0.5, 0.3], count))
    zero = d.random.choice([low, low + 2, (low + high) // 2, high - 3, high], count).astype(kind)
    along = [1] * x.rank
    if axis is not None:
        along[axis] = -1
    point = torch.tensor(zero.astype(np.float64)).reshape(along if count else ())

    def compute(v, s):
        s = s.reshape(along) if count else s
        steps = v / s
        rounded = steps + (steps.round() - steps).detach()
        offset = point.to(v.dtype)
        return ((rounded + offset).clamp(low, high) - offset) * s

    steps = x.value / (scale.value.reshape(along) if count else scale.value)
    fit(far(steps - steps.floor() - 0.5, 0.0))
    attrs = {} if axis is None else {"axis": axis}
    whole = d.integer_node("QuantizeLinear", x, scale, zero, **attrs)
    d.add("DequantizeLinear", [whole, scale, zero], compute, reads=[x, scale], **attrs)


def trilu(d):
    x = d.tensor(lambda v: v.rank > 1)
    k, upper = d.number(-2, 2), d.number(0, 1)
    d.add("Trilu", [x, k], lambda v: (torch.triu if upper else torch.tril)(v, k), upper=upper)


def partner(d, x):
    """Return what may stand beside `x`: a weight or a tensor that broadcasts with it, or itself."""
    kind = d.choice("weight", "tensor", "tensor", "itself")
    if kind == "itself":
        return x
    others = [v for v in reversed(d.values) if v is not x and _broadcast(v.shape, x.shape)]
    if kind == "tensor" and others:
        return d.choice(*others)
    longer = (d.number(1, 2), *x.shape)
    shape = [size if d.choice(True, False) else 1 for size in longer]
    return d.weight(*shape[d.number(1, len(longer)) if d.number(0, 7) < 7 else 0 :])


def _broadcast(a, b):
    return all(m == n or 1 in (m, n) for m, n in zip(reversed(a), reversed(b), strict=False))


OPERATORS = {
    "Abs": curve("Abs", torch.abs, 0.0),
    "Acos": curve("Acos", torch.acos, inside=(-0.9, 0.9)),
    "Acosh": curve("Acosh", torch.acosh, inside=(1.1, 3.0)),
    "Add": pair("Add", torch.add),
    "Asin": curve("Asin", torch.asin, inside=(-0.9, 0.9)),
    "Asinh": curve("Asinh", torch.asinh),
    "Atan": curve("Atan", torch.atan),
    "Atanh": curve("Atanh", torch.atanh, inside=(-0.9, 0.9)),
    "Cast": cast,
    "CastLike": cast_like,
    "Celu": curve("Celu", lambda x, alpha: F.celu(x, alpha), 0.0, alpha=(1.0, 0.6)),
    "Clip": clip,
    "Cos": curve("Cos", torch.cos),
    "Cosh": curve("Cosh", torch.cosh, inside=(-3.0, 3.0)),
    "Div": pair("Div", torch.div, right=(0.3, 3.0)),
    "Elu": curve("Elu", lambda x, alpha: F.elu(x, alpha), 0.0, alpha=(1.0, 0.6)),
    "Erf": curve("Erf", torch.erf),
    "Exp": curve("Exp", torch.exp, inside=(-4.0, 3.0)),
    "Gelu": curve(
        "Gelu", lambda x, approximate: F.gelu(x, approximate=approximate),
        opsets=(21, 24, 26), approximate=("none", "tanh"),
    ),
    "HardSigmoid": curve(
        "HardSigmoid", _hard_sigmoid, lambda alpha, beta: -beta / alpha,
        lambda alpha, beta: (1 - beta) / alpha, alpha=(0.2, 0.5), beta=(0.5, 0.3),
    ),
    "HardSwish": curve("HardSwish", F.hardswish, -3.0, 3.0),
    "Identity": curve("Identity", torch.clone),
    "LeakyRelu": curve("LeakyRelu", lambda x, alpha: F.leaky_relu(x, alpha), 0.0, alpha=(0.1, 2.0)),
    "Log": curve("Log", torch.log, inside=(0.2, 50.0)),
    "Max": several("Max", lambda v: v.amax(0)),
    "Mean": several("Mean", lambda v: v.mean(0)),
    "Min": several("Min", lambda v: v.amin(0)),
    "Mish": curve("Mish", F.mish, opsets=(18, 21, 24, 26)),
    "Mod": mod,
    "Mul": pair("Mul", torch.mul),
    "Mul by its sign": mask_by_relu,
    "Neg": curve("Neg", torch.neg),
    "PRelu": prelu,
    "Pow": pair("Pow", torch.pow, left=(0.3, 2.0), right=(-2.0, 3.0)),
    "QuantizeLinear DequantizeLinear": quantized,
    "Reciprocal": curve("Reciprocal", torch.reciprocal, inside=(0.3, 5.0)),
    "Relu": curve("Relu", torch.relu, 0.0),
    "Selu": curve("Selu", _selu, 0.0, alpha=(1.67326319, 1.2), gamma=(1.05070098, 0.7)),
    "Shrink": curve(
        "Shrink", _shrink, lambda lambd, bias: lambd, lambda lambd, bias: -lambd,
        lambd=(0.5, 0.2), bias=(0.0, 0.3),
    ),
    "Sigmoid": curve("Sigmoid", torch.sigmoid),
    "Sin": curve("Sin", torch.sin),
    "Sinh": curve("Sinh", torch.sinh, inside=(-3.0, 3.0)),
    "Softplus": curve("Softplus", lambda x: torch.logaddexp(x, torch.zeros_like(x))),
    "Softsign": curve("Softsign", F.softsign),
    "Sqrt": curve("Sqrt", torch.sqrt, inside=(0.1, 50.0)),
    "Sub": pair("Sub", torch.sub),
    "Sum": several("Sum", lambda v: v.sum(0)),
    "Swish": curve(
        "Swish", lambda x, alpha: x * torch.sigmoid(alpha * x), opsets=(24,), alpha=(1.0, 0.5)
    ),
    "Tan": curve("Tan", torch.tan, inside=(-1.1, 1.1)),
    "Tanh": curve("Tanh", torch.tanh),
    "ThresholdedRelu": curve(
        "ThresholdedRelu", lambda x, alpha: torch.where(x > alpha, x, 0.0), lambda alpha: alpha,
        alpha=(1.0, 0.3),
    ),
    "Trilu": trilu,
    "Where": where,
}  # fmt: skip
