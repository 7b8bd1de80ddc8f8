"""Keeps a network's rectifiers off their kinks, where float32 cannot resolve the derivative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

__all__ = ["MARGIN", "leave_kinks"]

# In standard deviations of a rectifier's input. After 100 layers, float32 errs by 2e-6.
MARGIN = 2e-5
STEPS = 200

KINKS: dict[Callable[..., Any], tuple[float, ...]] = {
    F.relu: (0,),
    torch.relu: (0,),
    F.hardswish: (-3, 3),
    F.hardsigmoid: (-3, 3),
}


def leave_kinks(module: nn.Module, x: torch.Tensor) -> None:
    """Nudge biases until, for the images `x` in float64, no unit is within MARGIN of a kink.

    A unit nearer than that can flip in float32, here or in PyTorch, which changes the gradient by
    1e-3. With millions of units, this happens in about every other image: the median of the errors
    would be chance, and a bound from PyTorch's own errors would hide others. Ties in max-pools are
    not avoided.
    """
    module.double()
    mode = _Nudging()
    hooks = [
        part.register_forward_pre_hook(mode.remember)
        for part in module.modules()
        if isinstance(part, nn.BatchNorm2d | nn.Conv2d | nn.Linear) and part.bias is not None
    ]
    with torch.no_grad(), mode:
        module(x.double())
    for hook in hooks:
        hook.remove()
    module.float()


class _Nudging(TorchFunctionMode):
    """While active, shifts a rectifier's input through the last bias added before it."""

    last: nn.BatchNorm2d | nn.Conv2d | nn.Linear

    def remember(self, part: Any, given: Any) -> None:
        self.last = part

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        kinks: Sequence[float] = KINKS.get(func, ())
        if func is F.hardtanh:  # ReLU6 too
            kinks = (kwargs["min_val"], kwargs["max_val"])
        if kinks:
            z = args[0]
            axis = z.ndim - 1 if isinstance(self.last, nn.Linear) else 1
            shift = _shift(z.movedim(axis, 0), kinks)
            if self.last.bias is None or self.last.bias.shape != shift.shape:
                raise ValueError(f"{self.last} is not what {func} is given")
            self.last.bias += shift
            args = (z + shift.reshape(-1, *[1] * (z.ndim - 1 - axis)), *args[1:])
        return func(*args, **kwargs)


def _shift(z: torch.Tensor, kinks: Sequence[float]) -> torch.Tensor:
    """Return, per channel of `z` [C, ...], the smallest shift off every kink."""
    margin = MARGIN * float(z.std())
    offsets = torch.cat([z.flatten(1) - kink for kink in kinks], 1)
    shift = torch.zeros(len(z), dtype=z.dtype)
    for channel in (offsets.abs() < margin).any(1).nonzero().flatten().tolist():
        near = offsets[channel][offsets[channel].abs() < (STEPS + 1) * margin]
        tried = (sign * step * margin for step in range(1, STEPS) for sign in (1, -1))
        shift[channel] = next(t for t in tried if not ((near + t).abs() < margin).any())
    return shift
