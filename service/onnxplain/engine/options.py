"""What may be chosen about an explanation, and what of it the rewriter is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict, cast

import numpy as np
import numpy.typing as npt

from onnxplain.engine.pictures import Input, Prepared, Preprocess
from onnxplain.graphops import METHODS, Options
from onnxplain.graphops.errors import OptionError
from onnxplain.graphops.methods import require_taken
from onnxplain.graphops.options import Position, SeedValue, Unpool

__all__ = [
    "Choices",
    "baseline_row",
    "channel_axis_of",
    "require_bounded",
    "require_known",
    "to_options",
]


# The points and weights of so many steps, masks of so many cells and the like are made at once.
BOUNDS = {
    "steps": (1, 1000),
    "resolution": (1, 1000),
    "jitter": (0, 10_000),
    "blur": (0, 1000),
    "noise_seed": (0, 2**63 - 1),
}


class Choices(TypedDict, total=False):
    """What may be chosen about an explanation besides model, images, layer, method and units.

    position: "all", "max", or coordinates: a sequence for all units, or [images, units, rank].
    seed_value: "activation" or "one". Both default to the method's own.
    to: the tensor projected back to. unpool, channel_axis: see `onnxplain.graphops.Options`.
    preprocess: a Preprocess, or as the command line has it, "unit" or "raw_bgr,size=224x224";
        default the model's own, or a guess.
    labels: class names by channel, for the drawing of class scores.
    names: what to call the pictures where several are drawn; default their files' names.
    timeout: seconds after which Cancelled is raised. cancel: an event that does so when set.
    progress: called with the projections done and their total.
    passes: called with the runs done of the projections under way, and their total, by methods
        that take many.

    Of single methods (the numbers in brackets are defaults):

    score_layer, upsample: of class activation maps, see `Options`.
    samples (50), noise_level (0.15), noise_seed (0): of smoothgrad, smoothgrad_sq, vargrad; the
        seed also of rise and activation_maximisation.
    steps (50): of integrated_gradients.
    baseline: of integrated_gradients, deeplift, occlusion and rise: what stands for nothing, in the
        network's values: a number, one for each channel, or [C, H, W]; None is zeros.
    low, high: of lrp_epsilon_gamma_box, the lowest and highest value of each channel; default what
        pixels of 0 and 255 become.
    window (an eighth of each side), stride (half the window): of occlusion, in pixels, one number
        or one for each side.
    masks (1000), resolution (8), keep (0.5): of rise: how many masks, their cells along a side, and
        the part of these that is kept.
    start ("noise"), iterations (128), step_size (0.02), jitter (4), blur (0.5), decay (0.01): of
        activation_maximisation: "noise" or "picture"; how far a step goes, root mean square, as a
        part of the range of values that pixels can have; pixels that the picture is shifted at most
        before a step; the Gaussian's deviation in pixels, and the part of the way to grey,
        after it.
    """

    position: str | Sequence[int] | npt.NDArray[np.int64] | None
    seed_value: str | None
    to: str | None
    unpool: str
    channel_axis: int | None
    preprocess: Preprocess | str | None
    labels: Sequence[str] | None
    names: Sequence[str] | None
    timeout: float | None
    cancel: threading.Event | None
    progress: Callable[[int, int], None] | None
    passes: Callable[[int, int], None] | None
    score_layer: str | None
    upsample: bool
    samples: int
    noise_level: float
    noise_seed: int
    steps: int
    baseline: float | Sequence[float] | npt.NDArray[Any] | None
    low: Sequence[float]
    high: Sequence[float]
    window: int | Sequence[int] | None
    stride: int | Sequence[int] | None
    masks: int
    resolution: int
    keep: float
    start: Literal["noise", "picture"]
    iterations: int
    step_size: float
    jitter: int
    blur: float
    decay: float


def require_known(choices: Choices, method: str) -> None:
    """Raise TypeError for a choice that there is not, as Python does for unknown arguments.

    And OptionError for one that only other methods have.
    """
    for name in choices:
        if name not in Choices.__annotations__:
            raise TypeError(f"explain() got an unexpected keyword argument '{name}'")
    require_taken(method, [name for name, value in choices.items() if value is not None])
    require_bounded(choices)


def require_bounded(choices: Mapping[str, Any]) -> None:
    """Raise OptionError for numbers that would take hours or all memory before the first run."""
    for name, (least, most) in BOUNDS.items():
        value = choices.get(name)
        if value is not None and not least <= value <= most:
            raise OptionError(f"{name} {value!r}: give a number from {least} to {most:,}")


def to_options(choices: Choices, method: str, whole: bool, prepared: Prepared) -> Options:
    """Return what the rewriter is told. Raises OptionError for words that are none of its own."""
    position = choices.get("position")
    if isinstance(position, str) and position == "given":
        raise OptionError("position 'given' is not a place: give its coordinates instead")
    word = position if position is None or isinstance(position, str) else "given"
    low, high = _bounds(choices, method, prepared)
    return Options(
        select="whole" if whole else None,
        position=cast("Position | None", word),
        seed_value=cast("SeedValue | None", choices.get("seed_value")),
        to=choices.get("to"),
        unpool=cast("Unpool", choices.get("unpool", "auto")),
        channel_axis=choices.get("channel_axis"),
        keep_outputs=False,
        score_layer=choices.get("score_layer"),
        upsample=choices.get("upsample", True),
        low=low,
        high=high,
    )


def baseline_row(
    choices: Choices, shape: tuple[int, ...], axis: int = 0
) -> npt.NDArray[np.float32]:
    """Return the baseline in a row's shape. Raises OptionError where it does not fit.

    axis: that of the row's channels, each of which a list of numbers has one for.
    """
    given = choices.get("baseline")
    values = np.asarray(0 if given is None else given, np.float32)
    if values.ndim == 1 and len(shape) > 1:
        values = values.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    try:
        return np.broadcast_to(values, shape)
    except ValueError as e:
        raise OptionError(
            f"a baseline of shape {list(values.shape)} does not fit {list(shape)}: give one of "
            "that shape, without a batch, a number, or one for each channel"
        ) from e


def channel_axis_of(target: Input) -> int:
    """Return the axis of a row [C, H, W] that its channels lie along."""
    return len(target.shape) - 2 if target.channels_last else 0


def _bounds(
    choices: Choices, method: str, prepared: Prepared
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the lowest and the highest value that each channel of the input can have."""
    low = tuple(float(v) for v in choices.get("low", ()))
    high = tuple(float(v) for v in choices.get("high", ()))
    takes = method in METHODS and method.endswith("gamma_box")
    if low or high or not takes or prepared.preprocess is None:
        return low, high
    lowest, highest = prepared.preprocess.ends()
    return tuple(lowest.tolist()), tuple(highest.tolist())
