"""Activation maximisation: a picture that excites a unit strongly, by regularised gradient ascent.

Erhan et al. 2009; the regularisers are those of Yosinski et al. 2015 and Mordvintsev et al. 2015.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.methods.seeds import Signal, projections, signals
from onnxplain.engine.run import Chosen, ProjectedUnits, Run
from onnxplain.engine.runtime import Plan, Projections
from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.methods import METHODS, Method

__all__ = ["blurred", "maximise"]

START = 0.02  # the standard deviation of the initial noise, as a fraction of the range
TINY = 1e-12  # a gradient of zeros stays zero
WAKING = Method("waking gradient", "onnxplain.graphops.methods.rectified:waking")

Array = npt.NDArray[Any]
Pictures = npt.NDArray[np.float32]


def maximise(run: Run, chosen: Chosen) -> Iterator[ProjectedUnits]:
    """Yield preprocessed pictures [units, C, H, W], and the units' scores on them.

    Each iteration shifts the picture at random, steps along the gradient (divided by its root mean
    square), shifts back, blurs, and fades towards mid-grey; of all these pictures, the one with the
    highest score is yielded. Where a unit is off, its gradient is zero, and the gradient of its
    value before the rectifier is taken. The preprocessing bounds the values; without one, the range
    of the image sets the scale. The noise depends on the seed and the unit's channel.
    """
    run.require_picture_target()
    if run.rows[0].dtype.kind != "f" or run.rows[0].ndim < 2:
        raise UnsupportedModel(
            f"the input '{run.subject.input.name}' takes no picture of floats, and only such a "
            "picture can be stepped along a gradient: choose another method"
        )
    plan = run.plan(METHODS["gradient"], replace(run.options, to=run.subject.to), one_unit=True)
    for image, row in enumerate(run.rows):
        units = chosen.channels.shape[1]
        most = plan.footprint.max_batch(row.shape, run.sample_bytes)
        for first in range(0, units, most):
            chunk = slice(first, min(first + most, units))
            part = chosen.part([image], chunk)
            ascent = _Ascent(run, plan, image, part, _Range.of(run, row))
            yield image, chunk, ascent.climbed(row)


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


@dataclass(frozen=True, eq=False)
class _Ascent:
    """The ascent of one picture for each unit. chosen: the units of one image, [1, units].

    image: its index, which further inputs have.
    """

    run: Run
    plan: Plan
    image: int
    chosen: Chosen
    scale: _Range

    def climbed(self, row: Array) -> Projections:
        """Return the best of each unit's pictures."""
        run, iterations = self.run, self.run.own["iterations"]
        generators = [
            np.random.default_rng([run.own["noise_seed"], channel + 1])  # -1 for the whole layer
            for channel in self.chosen.channels[0].tolist()
        ]
        from_picture = run.own["start"] == "picture"
        pictures = np.stack([
            row.astype(np.float32) if from_picture else self.scale.noise(rng, row.shape)
            for rng in generators
        ])  # fmt: skip
        best, found = pictures.copy(), list[Signal]()
        was_off, was_led = np.zeros((2, len(pictures)), bool)
        for done in range(iterations):
            pictures, off, led = self._step(pictures, generators)
            was_off |= off
            was_led |= led
            for u, signal in enumerate(self._signals(pictures)):
                if done == 0:
                    found.append(signal)
                if done == 0 or signal.score > found[u].score:
                    best[u], found[u] = pictures[u], signal
            run.report(done + 1, iterations)
        asleep = was_off & (np.array([signal.score == 0 for signal in found]) | ~was_led)
        notes = tuple(self._notes(was_off, asleep))
        result = projections(found, best.astype(np.float64))
        return replace(result, of_picture=from_picture, notes=notes)

    def _step(
        self, pictures: Pictures, generators: list[np.random.Generator]
    ) -> tuple[Pictures, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return the pictures after one iteration, which units were off, and which had a way up."""
        own, scale = self.run.own, self.scale
        step, jitter = scale.span * own["step_size"], own["jitter"]
        axis = self.run.subject.input.channel_axis
        sides = [i for i in range(pictures.ndim - 1) if i != axis]
        shifts = [rng.integers(-jitter, jitter + 1, len(sides)) for rng in generators]
        shifted = [np.roll(p, s, sides) for p, s in zip(pictures, shifts, strict=True)]
        gradients, off = self._gradients(shifted)
        moved = []
        for picture, gradient, shift in zip(shifted, gradients, shifts, strict=True):
            size = np.sqrt(np.mean(np.square(gradient, dtype=np.float64)))
            picture = picture + (step * gradient / (size + TINY)).astype(np.float32)
            moved.append(blurred(np.roll(picture, -shift, sides), sides, own["blur"]))
        faded = scale.middle + (np.stack(moved) - scale.middle) * np.float32(1 - own["decay"])
        led = np.asarray(gradients.reshape(len(gradients), -1).any(axis=1))
        return np.asarray(np.clip(faded, scale.low, scale.high), np.float32), off, led

    def _gradients(self, pictures: list[Pictures]) -> tuple[Pictures, npt.NDArray[np.bool_]]:
        """Return each unit's gradient at its picture, and which units are off there."""
        run = self.run
        every = self._run(self.plan, pictures, np.arange(len(pictures)))
        gradients = every.attribution
        off = np.asarray(~gradients.reshape(len(pictures), -1).any(axis=1))
        off &= not run.options.negate  # it is off as it ought to be
        if off.any():
            (those,) = np.nonzero(off)
            waking = self._run(self._waking_plan, [pictures[u] for u in those], those)
            gradients[those] = waking.attribution
        return gradients, off

    @cached_property
    def _waking_plan(self) -> Plan:
        """The plan for units that are off.

        A unit that is off is zero everywhere, and so has no strongest position: it starts at all.
        """
        options = replace(self.run.options, to=self.run.subject.to)
        if options.position == "max":
            options = replace(options, position="all")
        return self.run.plan(WAKING, replace(options, seed_value="one"), one_unit=True)

    def _run(
        self, plan: Plan, pictures: list[Pictures], units: npt.NDArray[np.intp]
    ) -> Projections:
        """Run a plan for units, each for its own picture."""
        added = self.chosen.part([0], units).added([0], slice(None))
        if "channel" in added:
            added["image_index"] = np.arange(len(units))
        others = self.run.others_of([self.image] * len(units))
        return plan.run(pictures, added, self.run.stop, others)

    def _signals(self, pictures: Pictures) -> Iterator[Signal]:
        """Yield each unit's signal at its picture."""
        others = self.run.others_of([self.image] * len(pictures))
        values = self.run.activity().run(list(pictures), self.run.stop, others)
        for u, own in enumerate(values):
            yield signals(self.run, self.chosen.part([0], [u]), 0, own)[0]

    def _notes(
        self, was_off: npt.NDArray[np.bool_], asleep: npt.NDArray[np.bool_]
    ) -> Iterator[str]:
        layer = self.run.subject.layer.tensor
        if (was_off & ~asleep).any():
            yield (
                f"a unit of '{layer}' was off, with a gradient of zero, so the ascent climbed its "
                "value before the rectifier until it was on"
            )
        if asleep.any():
            yield (
                f"the ascent never woke a unit of '{layer}', and its picture shows little: try "
                "more --iterations, another --noise-seed, or --start picture"
            )


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
