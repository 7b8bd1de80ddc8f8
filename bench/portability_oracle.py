"""The oracle of `portability.py`: an artefact's outputs by PyTorch's autograd."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from parity_oracle import Rectified
from torch import nn

__all__ = ["Answer", "Asked", "activation", "answer"]

Answer = dict[str, np.ndarray]


@dataclass(frozen=True)
class Asked:
    """The units to explain in one run: one unit per image.

    `position` and `seed_value` are as in the artefact's contract; `places` holds the positions for
    position "given", and `seed` the cotangent for select "seed".
    """

    images: np.ndarray
    channels: np.ndarray
    position: str
    seed_value: str
    places: np.ndarray | None = None
    seed: np.ndarray | None = None


def activation(module: nn.Module, layer: str, images: np.ndarray) -> np.ndarray:
    """Return the output of the submodule `layer`, or with "" that of the whole module."""
    seen: list[torch.Tensor] = []
    handle = module.get_submodule(layer).register_forward_hook(lambda m, i, y: seen.append(y))
    with torch.no_grad():
        module(torch.from_numpy(images))
    handle.remove()
    return seen[0].numpy()


def answer(
    module: nn.Module, layer: str, method: str, asked: Asked, dtype: torch.dtype, windows: bool
) -> Answer:
    """Return `attribution`, `score` and, if there is one, `position`, computed in `dtype`.

    With `windows`, max-pools send their signal to the whole window, without switches.
    """
    module = copy.deepcopy(module).to(dtype)
    if windows:
        _without_switches(module)
    x = torch.from_numpy(asked.images).to(dtype).requires_grad_()
    seen: list[torch.Tensor] = []
    module.get_submodule(layer).register_forward_hook(lambda m, i, y: seen.append(y))
    with Rectified() as mode:
        mode.method = method
        module(x)
        values = seen[0].detach()
        cotangent, places = _cotangent(values, asked)
        (signal,) = torch.autograd.grad(seen[0], x, cotangent)
    score = (cotangent * values).flatten(1).sum(1)
    found = {"attribution": signal.numpy(), "score": score.numpy()}
    return found if places is None else found | {"position": places.numpy()}


def _cotangent(layer: torch.Tensor, asked: Asked) -> tuple[torch.Tensor, torch.Tensor | None]:
    if asked.seed is not None:
        return torch.from_numpy(asked.seed).to(layer.dtype), None
    values = layer if asked.seed_value == "activation" else torch.ones_like(layer)
    rows, channels = torch.arange(len(layer)), torch.from_numpy(asked.channels)
    cotangent = torch.zeros_like(layer)
    if asked.position == "all":
        cotangent[rows, channels] = values[rows, channels]
        return cotangent, None
    if asked.places is None:
        strongest = layer[rows, channels].flatten(1).argmax(1)
        places = torch.stack(torch.unravel_index(strongest, layer.shape[2:]), 1)
    else:
        places = torch.from_numpy(asked.places)
    at = (rows, channels, *places.T)
    cotangent[at] = values[at]
    return cotangent, places


def _without_switches(module: nn.Module) -> None:
    for name, child in list(module.named_modules()):
        if isinstance(child, nn.MaxPool2d):
            parent, _, last = name.rpartition(".")
            setattr(module.get_submodule(parent), last, _Switchless(child))


class _Switchless(nn.Module):
    """A max-pool that spreads its signal over the whole window."""

    def __init__(self, pool: nn.MaxPool2d) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maxima, with the gradient of the sums."""
        pool = self.pool
        window = (pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode)
        sums = F.avg_pool2d(x, *window, divisor_override=1)
        return pool(x).detach() + (sums - sums.detach())
