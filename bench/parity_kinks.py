"""Keeping a network's rectifiers off their kinks, where float32 cannot tell the derivative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

__all__ = ["MARGIN", "leave_kinks"]

MARGIN = 2e-5  # in standard deviations of what a rectifier is given; float32 is at 2e-6 after 100
STEPS = 200

KINKS: dict[Callable[..., Any], tuple[float, ...]] = {
    F.relu: (0,),
    torch.relu: (0,),
    F.hardswish: (-3, 3),
    F.hardsigmoid: (-3, 3),
}


def leave_kinks(module: nn.Module, x: torch.Tensor) -> None:
    """Nudge biases until, for the images `x` in float64, no unit is within MARGIN of a kink.

    A unit that is nearer may flip in float32, here or in PyTorch, which moves the gradient by 1e-3.
    With some million units that befalls about every other image, so a median of errors is chance,
    and a bound by PyTorch's own such errors hides others. Max-pools are left to their chances.
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
    """While it is on, what a rectifier is given moves with the bias added last before it."""

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
    """Return for each channel of `z` [C, ...] the smallest shift that leaves every kink."""
    margin = MARGIN * float(z.std())
    offsets = torch.cat([z.flatten(1) - kink for kink in kinks], 1)
    shift = torch.zeros(len(z), dtype=z.dtype)
    for channel in (offsets.abs() < margin).any(1).nonzero().flatten().tolist():
        near = offsets[channel][offsets[channel].abs() < (STEPS + 1) * margin]
        tried = (sign * step * margin for step in range(1, STEPS) for sign in (1, -1))
        shift[channel] = next(t for t in tried if not ((near + t).abs() < margin).any())
    return shift
