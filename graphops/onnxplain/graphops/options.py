"""What a caller may choose about a rewritten graph, checked once, in one place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal, get_args

from onnxplain.graphops.errors import OptionError, nearest

__all__ = ["BACKWARDS", "POSITIONS", "SEED_VALUES", "SELECTS", "TARGETS", "UNPOOLS", "Options"]

Select = Literal["channel", "pairs", "fixed", "predicted", "seed", "whole"]
Position = Literal["all", "max", "given"]
SeedValue = Literal["activation", "one"]
Unpool = Literal["auto", "maxunpool", "scatter", "portable", "window"]
Target = Literal["cpu", "cuda", "openvino", "web", "tensorrt"]
Backward = Literal["same", "float32"]

SELECTS: tuple[str, ...] = get_args(Select)
POSITIONS: tuple[str, ...] = get_args(Position)
SEED_VALUES: tuple[str, ...] = get_args(SeedValue)
UNPOOLS: tuple[str, ...] = get_args(Unpool)
TARGETS: tuple[str, ...] = get_args(Target)
BACKWARDS: tuple[str, ...] = get_args(Backward)


@dataclass(frozen=True)
class Options:
    """The choices of one rewrite. `None` means the default of the method or of the model.

    select: which inputs name the unit to explain, see the contract in docs/contract.md; default
    `whole` for inverse, else `channel`.
    channels: the channels that select `fixed` bakes in.
    position: `all`, `max` or `given`; default `max` for deconvnet, else `all`.
    seed_value: `activation` or `one`; default `activation` for deconvnet, else `one`.
    to: the tensor projected back to; default the first float input of rank 3 or more.
    unpool: how the signal passes a max-pool; `auto` chooses the exact and fast form per pool, of
    those that the target has.
    target: the runtime that the artefact is made for: `cpu` and `cuda` are ONNX Runtime's, `web` is
    onnxruntime-web; `openvino`, `tensorrt`.
    backward: the precision of the backward part of a network in half precision: the `same`, or
    `float32`, whose range small signals do not leave; the attribution has it too.
    channel_axis: the layer's channel axis; default 1, or the last for rank 3 and NHWC.
    keep_outputs: whether the network's own outputs stay outputs of the artefact.
    keep_shape: leave a fixed batch as it is.

    Of single methods:

    score_layer: of class activation maps, the layer whose unit is explained; default the class
    score. The layer given beside the method is there the one that the map lies over.
    upsample: whether class activation maps are brought to the picture's height and width.
    samples, noise_level, noise_seed: of smoothgrad, smoothgrad_sq and vargrad: how many noisy
    copies, their noise's standard deviation as a part of the input's range, the noise itself.
    steps: of integrated_gradients: how many points between baseline and input.
    low, high: of lrp_epsilon_gamma_box: the lowest and the highest value that the input can have,
    one number or one for each channel.
    """

    select: Select | None = None
    channels: tuple[int, ...] = ()
    position: Position | None = None
    seed_value: SeedValue | None = None
    to: str | None = None
    unpool: Unpool = "auto"
    target: Target = "cpu"
    backward: Backward = "same"
    channel_axis: int | None = None
    keep_outputs: bool = True
    keep_shape: bool = False
    score_layer: str | None = None
    upsample: bool = True
    samples: int = 50
    noise_level: float = 0.15
    noise_seed: int = 0
    steps: int = 50
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Raise OptionError where a value is not one of its kind."""
        object.__setattr__(self, "channels", tuple(int(c) for c in self.channels))
        if self.select is not None:
            _one_of("select", self.select, SELECTS)
        _one_of("unpool", self.unpool, UNPOOLS)
        _one_of("target", self.target, TARGETS)
        _one_of("backward", self.backward, BACKWARDS)
        if self.position is not None:
            _one_of("position", self.position, POSITIONS)
        if self.seed_value is not None:
            _one_of("seed value", self.seed_value, SEED_VALUES)
        if self.select == "fixed" and not self.channels:
            raise OptionError("select 'fixed' bakes channels in: name at least one channel")
        if self.select != "fixed" and self.channels:
            raise OptionError(
                f"channels are baked in by select 'fixed' only, not by "
                f"'{self.select or 'channel'}': leave the channels out, or choose select 'fixed'"
            )
        if self.select == "seed" and (self.position or self.seed_value):
            raise OptionError(
                "select 'seed' takes the whole cotangent as an input: "
                "position and seed value have no meaning there, leave them out"
            )
        if self.select == "whole" and self.position not in (None, "all"):
            raise OptionError(
                "select 'whole' starts from the whole layer: leave the position out, or choose "
                "another select"
            )
        for name in ("samples", "steps"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} {getattr(self, name)}: give 1 or more")
        if not 0 <= self.noise_level < math.inf:
            raise OptionError(f"noise level {self.noise_level}: give 0 or more, such as 0.15")

    def changed(self) -> list[str]:
        """Return the names of the options that are not what they are by default."""
        return [f.name for f in fields(self) if getattr(self, f.name) != f.default]


def _one_of(what: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise OptionError(f"no {what} '{value}' ({nearest(value, known)})")
