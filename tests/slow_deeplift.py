"""DeepLIFT's rescale rule written out slowly, in PyTorch: the oracle where Captum is none.

Each activation is a module; pools go through their windows one after the other, and add.
"""

import copy

import torch
from torch import nn

NOTHING = 1e-10
ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.Sigmoid)
POOLS = (nn.MaxPool2d, nn.AdaptiveMaxPool2d)


def slow_deeplift(net, x, baseline, cotangent):
    """Return multiplier · (x − baseline) of Σ cotangent·net(x)."""
    net = copy.deepcopy(net).to(x.dtype)
    watched = []
    for name, module in list(net.named_modules()):
        kind = {_Activation: ACTIVATIONS, _Pool: POOLS}
        wrapper = next((w for w, kinds in kind.items() if isinstance(module, kinds)), None)
        if wrapper is not None:
            parent, _, own = name.rpartition(".")
            watched.append(wrapper(module))
            setattr(net.get_submodule(parent), own, watched[-1])
    with torch.no_grad():
        net(baseline)
    for wrapper in watched:
        wrapper.is_baseline = False
    x = x.clone().requires_grad_()
    (multiplier,) = torch.autograd.grad(net(x), x, cotangent)
    return multiplier * (x.detach() - baseline)


class _Watched(nn.Module):
    """Remembers what the module makes of the baseline; then passes multipliers back."""

    is_baseline = True

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        if self.is_baseline:
            self.x0, self.y0 = x, self.module(x)
            return self.y0
        return _Multiply.apply(x, self)


class _Multiply(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, watched):
        ctx.watched = watched
        ctx.save_for_backward(x)
        return watched.module(x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        with torch.enable_grad():
            again = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(ctx.watched.module(again), again, g)
        difference = x - ctx.watched.x0
        rise = ctx.watched.rise(x, g)
        return torch.where(difference.abs() < NOTHING, gradient, rise / difference), None


class _Activation(_Watched):
    def rise(self, x, g):
        return g * (self.module(x) - self.y0)


class _Pool(_Watched):
    def rise(self, x, g):
        """Give each window's rise to the picture's first maximum, its fall to the baseline's."""
        given = torch.zeros_like(x).flatten(2)
        for row in range(g.shape[2]):
            for column in range(g.shape[3]):
                places = self._window(row, column, *x.shape[2:])
                now, before = (t.flatten(2)[:, :, places] for t in (x, self.x0))
                change = now.amax(2) - before.amax(2)
                for values, part in ((now, change.clamp(min=0)), (before, change.clamp(max=0))):
                    switch = places[values.argmax(2, keepdim=True)]
                    given.scatter_add_(2, switch, (g[:, :, row, column] * part)[..., None])
        return given.view_as(x)

    def _window(self, row, column, height, width):
        """Return the flat places of a window's elements, of those that are in the picture."""
        pool = self.module
        if isinstance(pool, nn.AdaptiveMaxPool2d):
            lines, files = range(height), range(width)
        else:
            k, s, p, d = (_first(v) for v in (pool.kernel_size, pool.stride, pool.padding,
                                              pool.dilation))  # fmt: skip
            lines = [i for i in range(row * s - p, row * s - p + k * d, d) if 0 <= i < height]
            files = [j for j in range(column * s - p, column * s - p + k * d, d) if 0 <= j < width]
        return torch.tensor([i * width + j for i in lines for j in files])


def _first(value):
    return value[0] if isinstance(value, tuple) else value
