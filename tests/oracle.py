"""PyTorch's answer to what a rewritten graph computes, and how far a result is from it."""

import copy

import numpy as np
import torch
from torch import nn


def project(net, layer, x, cotangent, method):
    """Return what PyTorch's autograd sends from a module's output back to x, in x's precision.

    `cotangent` takes the module's output and returns the signal placed there. The rectifiers'
    backward pass is the method's.
    """
    net = _with_rectifiers_of(method, copy.deepcopy(net)).to(x.dtype)
    seen = []
    net.get_submodule(layer).register_forward_hook(lambda module, inputs, y: seen.append(y))
    x = x.clone().requires_grad_()
    net(x)
    (signal,) = torch.autograd.grad(seen[0], x, cotangent(seen[0].detach()))
    return signal


def relative_error(found, exact):
    """Return ‖found − exact‖ / ‖exact‖."""
    found, exact = np.asarray(found, np.float64), np.asarray(exact, np.float64)
    assert found.shape == exact.shape
    norm = np.sqrt((exact**2).sum())
    assert norm > 0, "an oracle that is zero shows nothing"
    return float(np.sqrt(((found - exact) ** 2).sum()) / norm)


def check_error(found, exact, single):
    """Fail where the images' median error is above 1e-4 and three times that of `single`.

    found: the artefact's results, one for each image; exact: the oracle's in float64, single: in
    float32. Five images make the design's bound.
    """
    errors, bounds = (
        np.median([relative_error(*pair) for pair in zip(some, exact, strict=True)])
        for some in (found, single)
    )
    assert errors <= max(1e-4, 3 * bounds)


class _Rectify(torch.autograd.Function):
    """min(max(x, 0), upper); backward by the table: max(R, 0), and gated by 0 < x < upper."""

    @staticmethod
    def forward(ctx, x, upper, gated):
        ctx.save_for_backward((x > 0) & (x < upper))
        ctx.gated = gated
        return x.clamp(0, upper)

    @staticmethod
    def backward(ctx, signal):
        (passed,) = ctx.saved_tensors
        positive = signal.clamp(min=0)
        return (positive * passed if ctx.gated else positive), None, None


class _Rectifier(nn.Module):
    def __init__(self, upper, gated):
        super().__init__()
        self.upper, self.gated = upper, gated

    def forward(self, x):
        return _Rectify.apply(x, self.upper, self.gated)


def _with_rectifiers_of(method, net):
    if method == "gradient":
        return net
    for name, module in list(net.named_modules()):
        if isinstance(module, nn.ReLU | nn.ReLU6):
            upper = 6.0 if isinstance(module, nn.ReLU6) else float("inf")
            parent = net.get_submodule(name.rpartition(".")[0])
            rectifier = _Rectifier(upper, gated=method == "guided_backprop")
            setattr(parent, name.rpartition(".")[2], rectifier)
    return net
