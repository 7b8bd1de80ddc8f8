"""Activation maximisation: the picture that excites a unit most, by regularised gradient ascent.

Erhan et al. 2009; the regularisers are those of Yosinski et al. 2015 and Mordvintsev et al. 2015.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.methods.baseline import channel_axis_of
from onnxplain.engine.run import Chosen, ProjectedUnits, Run
from onnxplain.engine.runtime import Plan, Projections
from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.methods import METHODS

__all__ = ["maximise"]

START = 0.02  # the deviation of the noise that it starts from, as a part of the range
TINY = 1e-12  # a gradient that is zero everywhere stays so

Array = npt.NDArray[Any]
Pictures = npt.NDArray[np.float32]


def maximise(run: Run, chosen: Chosen) -> Iterator[ProjectedUnits]:
    """Yield pictures [units, C, H, W] in the network's own values, and the units' scores there.

    Each iteration shifts the picture at random, steps along the gradient (divided by its root mean
    square), shifts back, blurs, and goes a part of the way to mid-grey. Where it is known what
    values pixels have the picture keeps to these; else their range is that of the image given.
    """
    run.require_whole_way()
    own = run.own
    if run.rows[0].dtype.kind != "f" or run.rows[0].ndim < 2:
        raise UnsupportedModel(
            f"the input '{run.subject.input.name}' takes no picture of real numbers, and no other "
            "can be stepped along a gradient: choose another method"
        )
    plan = run.plan(METHODS["gradient"], replace(run.options, to=run.subject.to))
    for image, row in enumerate(run.rows):
        scale = _Scale.of(run, row)
        units = chosen.channels.shape[1]
        most = plan.footprint.rows(row.shape, run.memory_bytes)
        for first in range(0, units, most):
            chunk = slice(first, min(first + most, units))
            width = chunk.stop - first
            generators = [
                np.random.default_rng([own["noise_seed"], image, first + i]) for i in range(width)
            ]
            pictures = np.stack([
                row.astype(np.float32) if own["start"] == "picture" else scale.noise(rng, row.shape)
                for rng in generators
            ])  # fmt: skip
            added = _added(plan, chosen, image, chunk)
            for done in range(own["iterations"]):
                pictures = _stepped(run, plan, pictures, added, generators, scale)
                run.passed(done + 1, own["iterations"])
            final = plan.run(list(pictures), added, run.stop)
            yield image, chunk, Projections(pictures, final.score, final.position)


@dataclass(frozen=True, eq=False)
class _Scale:
    """What values a picture has: bounds and middle fit its shape; span: the mean range."""

    low: Array
    high: Array
    middle: Array
    span: float

    @staticmethod
    def of(run: Run, row: Array) -> _Scale:
        if run.preprocess is None:
            span = float(np.ptp(row)) or 1.0
            return _Scale(np.array(-np.inf), np.array(np.inf), np.zeros(()), span)
        axis = channel_axis_of(run.subject.input)
        fitting = [-1 if i == axis else 1 for i in range(row.ndim)]
        low, high = (end.reshape(fitting) for end in run.preprocess.ends())
        return _Scale(low, high, (low + high) / 2, float((high - low).mean()))

    def noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Pictures:
        """Return noise about the middle, [C, H, W]."""
        drawn = rng.standard_normal(shape, np.float32)
        return np.asarray(self.middle + START * self.span * drawn, np.float32)


def _stepped(
    run: Run,
    plan: Plan,
    pictures: Pictures,
    added: dict[str, Array],
    generators: list[np.random.Generator],
    scale: _Scale,
) -> Pictures:
    own = run.own
    step, jitter = scale.span * own["step_size"], own["jitter"]
    axis = channel_axis_of(run.subject.input)
    sides = [i for i in range(pictures.ndim - 1) if i != axis]
    shifts = [rng.integers(-jitter, jitter + 1, len(sides)) for rng in generators]
    shifted = [np.roll(p, s, sides) for p, s in zip(pictures, shifts, strict=True)]
    gradients = plan.run(shifted, added, run.stop).attribution
    moved = []
    for picture, gradient, shift in zip(shifted, gradients, shifts, strict=True):
        size = np.sqrt(np.mean(np.square(gradient, dtype=np.float64)))
        picture = picture + (step * gradient / (size + TINY)).astype(np.float32)
        moved.append(_blurred(np.roll(picture, -shift, sides), sides, own["blur"]))
    faded = scale.middle + (np.stack(moved) - scale.middle) * np.float32(1 - own["decay"])
    return np.asarray(np.clip(faded, scale.low, scale.high), np.float32)


def _blurred(picture: Pictures, sides: list[int], deviation: float) -> Pictures:
    """Return the picture blurred by a Gaussian, its edges going on for ever."""
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


def _added(plan: Plan, chosen: Chosen, image: int, chunk: slice) -> dict[str, Array]:
    """Return the inputs that say which unit each picture is stepped towards."""
    channels = chosen.channels[image, chunk]
    if plan.select == "whole":
        return {}
    added = {"image_index": np.arange(len(channels)), "channel": channels}
    if chosen.positions is not None:
        added["position"] = chosen.positions[image, chunk]
    return added
