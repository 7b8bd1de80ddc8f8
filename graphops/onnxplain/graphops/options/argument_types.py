"""The arguments and attributes of `Options`, for type checkers.

Written by `make generate` from the declarations of the options; do not edit it. Imports only the
standard library.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

__all__ = ["OptionArguments", "OwnOptions"]


class OptionArguments(TypedDict, total=False):
    """The keyword arguments of `Options`; None means the default."""

    select: Literal["channel", "pairs", "fixed", "predicted", "seed", "whole"] | None
    channels: Sequence[int] | None
    position: Literal["all", "max", "given", "region"] | None
    seed_value: Literal["activation", "one"] | None
    negate: bool | None
    to: str | None
    unpool: Literal["auto", "maxunpool", "scatter", "portable", "window"] | None
    target: Literal["cpu", "cuda", "openvino", "web", "tensorrt"] | None
    lowering: Literal["plain", "fast"] | None
    backward: Literal["same", "float32"] | None
    channel_axis: int | None
    keep_outputs: bool | None
    keep_shape: bool | None
    score_layer: str | None
    score_channel_axis: int | None
    upsample: bool | None
    samples: int | None
    noise_level: float | None
    noise: Literal["input", "drawn"] | None
    noise_seed: int | None
    steps: int | None
    low: float | Sequence[float] | None
    high: float | Sequence[float] | None


class OwnOptions:
    """The attributes of `Options` that are options of single methods."""

    score_layer: str | None
    score_channel_axis: int | None
    upsample: bool
    samples: int
    noise_level: float
    noise: Literal["input", "drawn"]
    noise_seed: int
    steps: int
    low: tuple[float, ...]
    high: tuple[float, ...]
