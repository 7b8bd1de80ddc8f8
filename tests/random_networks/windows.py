"""Operators for random networks that look at windows of an image, or at all of it."""

import itertools
import math

import torch
import torch.nn.functional as F

from random_networks.drawing import far, fit, image, winner

__all__ = ["OPERATORS"]


class Window:
    """The geometry of one convolution or pooling, drawn to fit a tensor of rank 3 to 5."""

    def __init__(self, d, x, *, dilated=True, ceil=False):
        self.rank, self.sizes = x.rank - 2, x.shape[2:]
        self.kernel = d.numbers(1, 3, self.rank)
        self.strides = d.numbers(1, 3, self.rank)
        self.dilations = d.numbers(1, 2, self.rank) if dilated else [1] * self.rank
        self.extent = [n * (k - 1) + 1 for n, k in zip(self.dilations, self.kernel, strict=True)]
        same = ["SAME_UPPER", "SAME_LOWER"] if max(self.dilations) == 1 else []  # else runtimes err
        self.auto_pad = d.choice("NOTSET", "NOTSET", "NOTSET", "VALID", *same)
        self.ceil = ceil and self.auto_pad == "NOTSET" and d.choice(False, True)
        self.before, self.after = [0] * self.rank, [0] * self.rank
        if self.auto_pad == "NOTSET":
            highest = [min(2, k - 1) for k in self.kernel]
            self.before = [d.number(0, h) for h in highest]
            self.after = [d.number(0, h) for h in highest] if d.choice(False, True) else self.before
        elif self.auto_pad != "VALID":
            for i, (size, stride) in enumerate(zip(self.sizes, self.strides, strict=True)):
                total = (-(-size // stride) - 1) * stride + self.extent[i] - size
                fit(total >= 0)  # else runtimes do not agree
                sides = [total // 2, total - total // 2]
                lower = self.auto_pad == "SAME_LOWER"
                self.before[i], self.after[i] = sides[::-1] if lower else sides

    @property
    def attrs(self):
        """Return the attributes of the node; defaults are left out where that says the same."""
        attrs = {"kernel_shape": self.kernel, "strides": self.strides}
        if max(self.dilations) > 1:
            attrs["dilations"] = self.dilations
        if self.auto_pad != "NOTSET":
            attrs["auto_pad"] = self.auto_pad
        elif any(self.before + self.after):
            attrs["pads"] = [*self.before, *self.after]
        return attrs | ({"ceil_mode": 1} if self.ceil else {})

    def counts(self):
        """Return how many windows each axis has; ceil_mode drops one that begins behind all."""
        counts = []
        for i, (size, stride) in enumerate(zip(self.sizes, self.strides, strict=True)):
            room = size + self.before[i] + self.after[i] - self.extent[i]
            fit(room >= 0)
            count = (-(-room // stride) if self.ceil else room // stride) + 1
            counts.append(count - (self.ceil and (count - 1) * stride >= size + self.before[i]))
        return counts

    def pad(self, x, value=0.0):
        """Return `x` with its padding, and zeros behind that for what ceil_mode adds."""
        sides = list(zip(self.before, self.after, strict=True))
        return F.pad(x, [s for side in reversed(sides) for s in side], value=value)

    def elements(self, x, counts):
        """Return [..., k]: the elements of each window of the padded `x`, in row-major order."""
        x = F.pad(x, [s for e in reversed(self.extent) for s in (0, e + 3)], value=-math.inf)
        parts = []
        for offset in itertools.product(*(range(k) for k in self.kernel)):
            at = [slice(None)] * 2
            for i, o in enumerate(offset):
                first, stride = o * self.dilations[i], self.strides[i]
                at.append(slice(first, first + (counts[i] - 1) * stride + 1, stride))
            parts.append(x[tuple(at)])
        return torch.stack(parts, -1)


def _kernel(d, *shape):
    """Return a weight; now and then one that the network computes."""
    return d.cut(*shape) if d.number(0, 4) == 0 else d.weight(*shape, low=-1, high=1)


def conv(d):
    x = d.tensor(image)
    window = Window(d, x)
    window.counts()
    group = d.choice(*divisors(x.shape[1]))
    out = group * d.number(1, 3)
    weight = _kernel(d, out, x.shape[1] // group, *window.kernel)
    bias = [d.weight_or_cut(out)] if d.choice(False, True) else []
    f = (F.conv1d, F.conv2d, F.conv3d)[window.rank - 1]

    def compute(v, w, b=None):
        return f(window.pad(v), w, b, window.strides, 0, window.dilations, group)

    attrs = window.attrs | ({"group": group} if group > 1 else {})
    if d.choice(False, True):
        del attrs["kernel_shape"]
    d.add("Conv", [x, weight, *bias], compute, **attrs)


def conv_transpose(d):
    x = d.tensor(image)
    window = Window(d, x)
    fit(window.auto_pad == "NOTSET")
    group = d.choice(*divisors(x.shape[1]))
    out = d.number(1, 3)
    weight = _kernel(d, x.shape[1], out, *window.kernel)
    bias = [d.weight_or_cut(out * group)] if d.choice(False, True) else []
    spare = [d.number(0, s - 1) for s in window.strides]
    f = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[window.rank - 1]

    def compute(v, w, b=None):
        whole = f(v, w, b, window.strides, 0, spare, group, window.dilations)
        for i, (before, after) in enumerate(zip(window.before, window.after, strict=True)):
            size = whole.shape[2 + i] - before - after
            fit(size > 0)
            whole = whole.narrow(2 + i, before, size)
        return whole

    attrs = window.attrs | {"group": group, "output_padding": spare}
    d.add("ConvTranspose", [x, weight, *bias], compute, **attrs)


def max_pool(d):
    x = d.tensor(image)
    window = Window(d, x, ceil=True)
    counts = window.counts()

    def compute(v):
        elements = window.elements(window.pad(v, -math.inf), counts)
        best = elements.detach().amax(-1, keepdim=True)
        places = torch.arange(elements.shape[-1]).expand_as(elements)
        first = torch.where(elements.detach() == best, places, elements.shape[-1])
        return elements.gather(-1, first.amin(-1, keepdim=True)).squeeze(-1)

    elements = window.elements(window.pad(x.value, -math.inf), counts)
    fit(torch.isfinite(elements.amax(-1)).all())
    winner(elements, -1)
    d.add("MaxPool", [x], compute, **window.attrs)


def max_unpool(d):
    """A pool, perhaps a curve, and back to where the maxima were."""
    x = d.tensor(image)
    kernel = [d.number(1, min(3, s)) for s in x.shape[2:]]
    apart = x.value
    for axis, k in enumerate(kernel, 2):
        apart = apart.unfold(axis, k, k)
    winner(apart.flatten(x.rank), -1)
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[x.rank - 3]
    unpool = (F.max_unpool1d, F.max_unpool2d, F.max_unpool3d)[x.rank - 3]
    index = pool(x.value, kernel, return_indices=True)[1]

    def gathered(v):
        return v.flatten(2).gather(2, index.flatten(2)).reshape(index.shape)

    attrs = {"kernel_shape": kernel, "strides": kernel}
    places = f"i{len(d.nodes)}"
    y = d.add("MaxPool", [x], gathered, places=places, **attrs)
    y = d.add("Tanh", [y], torch.tanh) if d.choice(False, True) else y
    whole = all(s % k == 0 for s, k in zip(x.shape[2:], kernel, strict=True))
    shape = [] if whole and d.choice(True, False) else [list(x.shape)]

    def compute(v):
        return unpool(v, index, kernel, output_size=x.shape[2:])

    d.add("MaxUnpool", [y, places, *shape], compute, **attrs)


def average_pool(d):
    x = d.tensor(image)
    window = Window(d, x, ceil=True, dilated=d.opset >= 19)
    counts, padding = window.counts(), d.number(0, 1)

    def sums(v, padded_with):
        elements = window.elements(window.pad(v, padded_with), counts)
        return torch.where(torch.isinf(elements), 0.0, elements).sum(-1)

    def compute(v):
        return sums(v, 0.0) / sums(torch.ones_like(v), float(padding))

    attrs = window.attrs | ({"count_include_pad": 1} if padding else {})
    d.add("AveragePool", [x], compute, **attrs)


def lp_pool(d):
    x = d.tensor(image)
    window = Window(d, x, ceil=d.opset >= 18, dilated=d.opset >= 18)
    counts, p = window.counts(), d.choice(2, 1, 3)

    def compute(v):
        elements = window.elements(window.pad(v), counts)
        powers = torch.where(torch.isinf(elements), 0.0, elements).abs() ** p
        return powers.sum(-1) ** (1 / p)

    x = d.away(x, 0.0)
    fit(far(compute(x.value), 0.0))
    d.add("LpPool", [x], compute, **window.attrs, p=p)


def over_space(operator, compute):
    def draw(d):
        x = d.tensor(image)
        dims = list(range(2, x.rank))
        if operator == "GlobalMaxPool":
            winner(x.value.flatten(2), -1)
        if operator == "GlobalLpPool":
            fit(d.opset < 22)  # ONNX Runtime has no kernel for the newer one
            x = d.away(x, 0.0)
        d.add(operator, [x], lambda v: compute(v, dims))

    return draw


def global_max(v, dims):
    flat = v.flatten(2)
    best = flat.detach().amax(-1, keepdim=True)
    places = torch.arange(flat.shape[-1]).expand_as(flat)
    first = torch.where(flat.detach() == best, places, flat.shape[-1]).amin(-1, keepdim=True)
    return flat.gather(-1, first).reshape(*v.shape[:2], *(1 for _ in dims))


OPERATORS = {
    "AveragePool": average_pool,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "GlobalAveragePool": over_space("GlobalAveragePool", lambda v, dims: v.mean(dims, True)),
    "GlobalLpPool": over_space("GlobalLpPool", lambda v, dims: v.square().sum(dims, True).sqrt()),
    "GlobalMaxPool": over_space("GlobalMaxPool", global_max),
    "LpPool": lp_pool,
    "MaxPool": max_pool,
    "MaxUnpool": max_unpool,
}


def divisors(n):
    return [g for g in range(1, n + 1) if n % g == 0]
