"""One explanation: an artefact's time against the network's forward pass, and against Captum's."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from tempfile import TemporaryDirectory

import captum.attr
import numpy as np
import torch
from performance_nets import CLASS, METHODS, artefact, file_of, module_of
from performance_table import Table
from performance_timing import geometric_mean, opened, picture, seconds_of_each
from torch import nn

__all__ = ["captum_map", "one_explanation", "require_same"]

ROUNDS = 9
TITLES = ("gradient", "deconvnet", "guided backpropagation")
Times = dict[str, float]


def one_explanation(table: Table, nets: Sequence[str]) -> None:
    """Time the artefacts of the class score, in both forms."""
    ratios = (f"{title}, fast (plain)" for title in TITLES)
    table.head("network", "forward", *ratios, *(f"Captum: {title}" for title in TITLES))
    found: dict[tuple[str, str], Times] = {}
    for net in nets:
        for method in METHODS:
            found[net, method] = _times(net, method)
            gc.collect()
        times = [found[net, method] for method in METHODS]
        table.row(
            net,
            f"{1000 * times[0]['forward']:.1f} ms",
            *(_both_forms(t) for t in times),
            *(f"{_gain(t):.2f}" for t in times),
        )
    _judge(table, found)


def _judge(table: Table, found: dict[tuple[str, str], Times]) -> None:
    by_forward = {key: times["fast"] / times["forward"] for key, times in found.items()}
    plain = geometric_mean(times["plain"] / times["forward"] for times in found.values())
    gains = {key: _gain(times) for key, times in found.items()}
    slowest = max(by_forward, key=by_forward.__getitem__)
    least = min(gains, key=gains.__getitem__)
    mean, gain = geometric_mean(by_forward.values()), geometric_mean(gains.values())
    table.say(
        "",
        f"Geometric means over networks and methods: {mean:.2f} times the forward pass, "
        f"{plain:.2f} in the plain form; Captum takes {gain:.2f} times as long as the fast form.",
    )
    table.at_most(2.2, mean, "time / forward pass, geometric mean", " ×")
    table.at_most(3, by_forward[slowest], f"time / forward pass, at worst ({_name(slowest)})", " ×")
    table.at_least(2, gain, "Captum's time / ours, geometric mean", " ×")
    table.at_least(1, gains[least], f"Captum's time / ours, at worst ({_name(least)})", " ×")


def captum_map(module: nn.Module, method: str) -> Callable[[], torch.Tensor]:
    """Return a function that explains the class score of the picture with Captum."""
    x = torch.from_numpy(picture())
    if method == "gradient":
        saliency = captum.attr.Saliency(module)
        return lambda: saliency.attribute(x, target=CLASS, abs=False)
    kinds = {"deconvnet": "Deconvolution", "guided_backprop": "GuidedBackprop"}
    explainer = getattr(captum.attr, kinds[method])(module)
    return lambda: explainer.attribute(x, target=CLASS)


def require_same(ours: np.ndarray, theirs: torch.Tensor, what: str, bound: float = 1e-2) -> None:
    """Exit unless two results are the same but for rounding, of which a unit may flip."""
    exact = theirs.detach().numpy()
    apart = np.linalg.norm(ours - exact) / np.linalg.norm(exact)
    if not apart <= bound:
        raise SystemExit(f"{what}: the result differs from Captum's by {apart:.0e}")


def _times(net: str, method: str) -> Times:
    """Return the seconds of the forward pass, of both forms and of Captum, taken in turn."""
    with TemporaryDirectory() as folder:
        forward = opened(file_of(net))
        forms = {
            lowering: opened(artefact(net, method, folder, lowering))
            for lowering in ("fast", "plain")
        }
    image = {forward.get_inputs()[0].name: picture()}
    feeds = image | {"channel": np.array([CLASS])}
    captums = captum_map(module_of(net), method)
    if method == "gradient":  # Captum's other two leave out rectifiers that are not modules
        for lowering, form in forms.items():
            (ours,) = form.run(["attribution"], feeds)
            require_same(ours, captums(), f"{net}, {method}, {lowering}")
    return seconds_of_each(
        {
            "forward": lambda: forward.run(None, image),
            "fast": lambda: forms["fast"].run(None, feeds),
            "Captum": captums,
            "plain": lambda: forms["plain"].run(None, feeds),
        },
        ROUNDS,
    )


def _both_forms(times: Times) -> str:
    fast, plain = (times[form] / times["forward"] for form in ("fast", "plain"))
    return f"{fast:.2f} ({plain:.2f})"


def _gain(times: Times) -> float:
    return times["Captum"] / times["fast"]


def _name(key: tuple[str, str]) -> str:
    return f"{key[1]} of {key[0]}"
