"""The oracle: PyTorch's autograd, with each method's backward pass at the rectifiers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

__all__ = ["METHODS", "Rectified", "outputs", "project"]

METHODS = ("gradient", "deconvnet", "guided_backprop")


class Rectified(TorchFunctionMode):
    """While active, gives rectifiers, as modules and functions, the backward pass of `method`.

    The method is read in the backward pass, so one forward pass serves all methods. Hardswish,
    Hardsigmoid, SiLU and GELU are not rectifiers.
    """

    method = "gradient"

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in RELU:
            return _Rectify.apply(args[0], float("inf"), self)
        if func is F.hardtanh and kwargs["min_val"] == 0:  # ReLU6 too
            return _Rectify.apply(args[0], kwargs["max_val"], self)
        if func in DOUBTFUL:
            raise NotImplementedError(f"{func} may be a rectifier: give it an oracle")
        return func(*args, **kwargs)


RELU = {F.relu, F.relu_, torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_}
DOUBTFUL = {F.hardtanh, F.hardtanh_, F.relu6, F.threshold}


class _Rectify(torch.autograd.Function):
    """min(max(x, 0), a); backward R*[0<x<a], max(R,0) or max(R,0)*[0<x<a]."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, a: float, mode: Rectified) -> torch.Tensor:
        ctx.save_for_backward((x > 0) & (x < a))
        ctx.mode = mode
        return x.clamp(0, a)

    @staticmethod
    def backward(ctx: Any, signal: torch.Tensor) -> Any:
        (passed,) = ctx.saved_tensors
        if ctx.mode.method != "gradient":
            signal = signal.clamp(min=0)
        if ctx.mode.method != "deconvnet":
            signal = signal * passed
        return signal, None, None


def outputs(net: nn.Module, middle: str, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the network's first output and the output of its module `middle`."""
    seen: list[torch.Tensor] = []
    hook = net.get_submodule(middle).register_forward_hook(lambda m, i, y: seen.append(y))
    try:
        result = net(x)
    finally:
        hook.remove()
    score = next(iter(result.values())) if isinstance(result, dict) else result
    return {"score": score, "middle": seen[0]}


def project(
    net: nn.Module, middle: str, x: torch.Tensor, cotangents: dict[str, torch.Tensor]
) -> dict[tuple[str, str], torch.Tensor]:
    """Return the signals at `x`, by layer and method, in the precision of `x`."""
    x = x.clone().requires_grad_()
    found = {}
    with Rectified() as mode:
        ends = outputs(net, middle, x)
        for place, end in ends.items():
            for method in METHODS:
                mode.method = method
                cotangent = cotangents[place].to(x.dtype)
                (signal,) = torch.autograd.grad(end, x, cotangent, retain_graph=True)
                found[place, method] = signal
    return found
