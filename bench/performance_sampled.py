"""Methods of many runs by the engine, against Captum with the batch size that suits it best."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import captum.attr
import numpy as np
import torch
from performance_nets import CLASS, file_of, module_of
from performance_one import require_same
from performance_table import Table
from performance_timing import SIDE, THREADS, picture, seconds_of, seconds_of_each
from torch import nn

from onnxplain.engine import Engine

__all__ = ["sampled_methods"]

NET = "resnet50"
COUNT, WINDOW, STRIDE = 32, 56, 28
WINDOWS = ((SIDE - WINDOW) // STRIDE + 1) ** 2
CELLS, KEEP = 8, 0.5  # of RISE's masks
BATCHES = (1, 2, 4, 8, 16)
ROUNDS = 3
Theirs = Callable[[int], torch.Tensor]  # takes the batch size


def sampled_methods(table: Table, nets: Sequence[str]) -> None:
    """Time each method with as many runs of the network on both sides."""
    module, engine, file = module_of(NET), Engine("cpu", threads=THREADS), file_of(NET)

    def ours(method: str, **options: Any) -> Callable[[], np.ndarray]:
        return lambda: engine.explain(
            file, picture(), method=method, units=[CLASS], **options
        ).attribution[0]

    methods: dict[str, tuple[int, Callable[[], np.ndarray], Theirs]] = {
        "smoothgrad": (COUNT, ours("smoothgrad", samples=COUNT), _smoothgrad(module)),
        "integrated_gradients": (
            COUNT,
            ours("integrated_gradients", steps=COUNT),
            _integrated_gradients(module),
        ),
        "rise": (COUNT, ours("rise", masks=COUNT, resolution=CELLS, keep=KEEP), _rise(module)),
        "occlusion": (WINDOWS, ours("occlusion", window=WINDOW, stride=STRIDE), _occlusion(module)),
    }
    table.head("method", "runs", "ours", "theirs", "at a batch of", "theirs / ours")
    for method, (runs, own, theirs) in methods.items():
        if method in ("integrated_gradients", "occlusion"):  # the others are random
            found = theirs(max(BATCHES))
            require_same(own(), found[:, : len(own()[0])], method)
        batch, captums = _best(theirs)
        seconds = seconds_of_each({"ours": own, "theirs": captums}, ROUNDS)
        gain = seconds["theirs"] / seconds["ours"]
        who = "PyTorch" if method == "rise" else "Captum"
        times = (f"{seconds['ours']:.2f} s", f"{seconds['theirs']:.2f} s ({who})")
        table.row(method, str(runs), *times, str(batch), f"{gain:.2f}")
        table.at_least(2, gain, f"{who}'s time / ours, {method}", " ×")


def _best(theirs: Theirs) -> tuple[int, Callable[[], torch.Tensor]]:
    """Return the batch size that is fastest, and the method with it."""
    ways = {batch: functools.partial(theirs, batch) for batch in BATCHES}
    best = min(ways, key=lambda batch: seconds_of(ways[batch]))
    return best, ways[best]


def _smoothgrad(module: nn.Module) -> Theirs:
    x = torch.from_numpy(picture())
    explainer = captum.attr.NoiseTunnel(captum.attr.Saliency(module))
    deviation = 0.15 * float(x.max() - x.min())
    return lambda batch: explainer.attribute(
        x,
        nt_samples=COUNT,
        nt_samples_batch_size=batch,
        stdevs=deviation,
        target=CLASS,
        abs=False,
    )


def _integrated_gradients(module: nn.Module) -> Theirs:
    x = torch.from_numpy(picture())
    explainer = captum.attr.IntegratedGradients(module)
    return lambda batch: explainer.attribute(
        x, target=CLASS, n_steps=COUNT, internal_batch_size=batch
    )


def _occlusion(module: nn.Module) -> Theirs:
    x = torch.from_numpy(picture())
    explainer = captum.attr.Occlusion(module)

    @torch.no_grad()
    def explain(batch: int) -> torch.Tensor:
        return explainer.attribute(
            x,
            (3, WINDOW, WINDOW),
            (3, STRIDE, STRIDE),
            target=CLASS,
            perturbations_per_eval=batch,
        )

    return explain


def _rise(module: nn.Module) -> Theirs:
    """Return RISE as one would write it in PyTorch: Captum has none."""
    x = torch.from_numpy(picture())
    cell = -(-SIDE // CELLS)

    @torch.inference_mode()
    def explain(batch: int) -> torch.Tensor:
        total, shown, mean = torch.zeros(SIDE, SIDE), torch.zeros(SIDE, SIDE), torch.zeros(())
        for first in range(0, COUNT, batch):
            count = min(batch, COUNT - first)
            grids = (torch.rand(count, 1, CELLS, CELLS) < KEEP).float()
            wide = nn.functional.interpolate(
                grids, size=(CELLS + 1) * cell, mode="bilinear", align_corners=False
            )
            shifts = torch.randint(cell, (count, 2)).tolist()
            masks = torch.stack(
                [m[:, a : a + SIDE, b : b + SIDE] for m, (a, b) in zip(wide, shifts, strict=True)]
            )
            scores = module(x * masks)[:, CLASS]
            total += (scores.view(-1, 1, 1, 1) * masks).sum((0, 1))
            shown += masks.sum((0, 1))
            mean += scores.sum() / COUNT
        return total / shown.clamp_min(1e-12) - mean

    return explain
