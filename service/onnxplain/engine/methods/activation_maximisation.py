"""Activation maximisation: a picture that excites a unit strongly, by regularised gradient ascent.

Erhan et al. 2009; the regularisers are those of Yosinski et al. 2015 and Mordvintsev et al. 2015.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.run import Chosen, ProjectedUnits, Run
from onnxplain.engine.runtime import Others, Plan, Stop
from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.methods import METHODS

__all__ = ["blurred", "maximise"]

START = 0.02  # the standard deviation of the initial noise, as a fraction of the range
TINY = 1e-12  # a gradient of zeros stays zero

Array = npt.NDArray[Any]
Pictures = npt.NDArray[np.float32]


def maximise(run: Run, chosen: Chosen) -> Iterator[ProjectedUnits]:
    """Yield preprocessed pictures [units, C, H, W], and the units' scores on them.

    Each iteration shifts the picture at random, steps along the gradient (divided by its root mean
    square), shifts back, blurs, and fades towards mid-grey. The preprocessing bounds the values;
    without one, the range of the image sets the scale.
    """
    run.require_picture_target()
    own = run.own
    from_picture = own["start"] == "picture"
    if run.rows[0].dtype.kind != "f" or run.rows[0].ndim < 2:
        raise UnsupportedModel(
            f"the input '{run.subject.input.name}' takes no picture of floats, and only such a "
            "picture can be stepped along a gradient: choose another method"
        )
    plan = run.plan(METHODS["gradient"], replace(run.options, to=run.subject.to))
    for image, row in enumerate(run.rows):
        scale = _Range.of(run, row)
        units = chosen.channels.shape[1]
        most = plan.footprint.max_batch(row.shape, run.memory_bytes)
        for first in range(0, units, most):
            chunk = slice(first, min(first + most, units))
            width = chunk.stop - first
            generators = [
                np.random.default_rng([own["noise_seed"], image, first + i]) for i in range(width)
            ]
            pictures = np.stack([
                row.astype(np.float32) if from_picture else scale.noise(rng, row.shape)
                for rng in generators
            ])  # fmt: skip
            added, others = _unit_inputs(chosen, image, chunk), run.others_of([image] * width)
            for done in range(own["iterations"]):
                pictures = _step(run, plan, pictures, (added, run.stop, others), generators, scale)
                run.report(done + 1, own["iterations"])
            final = plan.run(list(pictures), added, run.stop, others)
            yield image, chunk, replace(final, attribution=pictures, of_picture=from_picture)


@dataclass(frozen=True, eq=False)
class _Range:
    """The range of a picture's values: bounds and middle, which broadcast, and the mean span."""

    low: Array
    high: Array
    middle: Array
    span: float

    @staticmethod
    def of(run: Run, row: Array) -> _Range:
        if run.preprocess is None:
            span = float(np.ptp(row)) or 1.0
            return _Range(np.array(-np.inf), np.array(np.inf), np.zeros(()), span)
        axis = run.subject.input.channel_axis
        per_channel = [-1 if i == axis else 1 for i in range(row.ndim)]
        low, high = (end.reshape(per_channel) for end in run.preprocess.ends())
        return _Range(low, high, (low + high) / 2, float((high - low).mean()))

    def noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Pictures:
        """Return normal noise around the middle, [C, H, W]."""
        noise = rng.standard_normal(shape, np.float32)
        return np.asarray(self.middle + START * self.span * noise, np.float32)


def _step(
    run: Run,
    plan: Plan,
    pictures: Pictures,
    rest: tuple[dict[str, Array], Stop, Others],
    generators: list[np.random.Generator],
    scale: _Range,
) -> Pictures:
    """Return the pictures after one iteration. rest: the further arguments of a run."""
    own = run.own
    step, jitter = scale.span * own["step_size"], own["jitter"]
    axis = run.subject.input.channel_axis
    sides = [i for i in range(pictures.ndim - 1) if i != axis]
    shifts = [rng.integers(-jitter, jitter + 1, len(sides)) for rng in generators]
    shifted = [np.roll(p, s, sides) for p, s in zip(pictures, shifts, strict=True)]
    gradients = plan.run(shifted, *rest).attribution
    moved = []
    for picture, gradient, shift in zip(shifted, gradients, shifts, strict=True):
        size = np.sqrt(np.mean(np.square(gradient, dtype=np.float64)))
        picture = picture + (step * gradient / (size + TINY)).astype(np.float32)
        moved.append(blurred(np.roll(picture, -shift, sides), sides, own["blur"]))
    faded = scale.middle + (np.stack(moved) - scale.middle) * np.float32(1 - own["decay"])
    return np.asarray(np.clip(faded, scale.low, scale.high), np.float32)


def blurred(picture: Pictures, sides: list[int], deviation: float) -> Pictures:
    """Return the picture blurred by a Gaussian, with its edges repeated."""
    if deviation == 0:
        return picture
    reach = max(1, round(3 * deviation))
    kernel = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / deviation))
    kernel /= kernel.sum()
    for axis in sides:
        padding = [(reach, reach) if i == axis else (0, 0) for i in range(picture.ndim)]
        wide = np.pad(picture, padding, mode="edge")
        size = picture.shape[axis]
        parts = (w * wide.take(range(i, i + size), axis) for i, w in enumerate(kernel))
        picture = np.sum(list(parts), axis=0, dtype=np.float32)
    return picture


def _unit_inputs(chosen: Chosen, image: int, chunk: slice) -> dict[str, Array]:
    """Return the inputs of a run that select one unit per picture."""
    added = chosen.added([image], chunk)
    if "channel" in added:
        added["image_index"] = np.arange(len(added["channel"]))
    return added
