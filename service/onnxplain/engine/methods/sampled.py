"""smoothgrad, smoothgrad_sq, vargrad and integrated_gradients, a few copies of the image at a time.

An artefact runs all copies in one batch, which a large network has no memory for. Here the graph
of the gradient alone is run as often as necessary, with the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.methods.baseline import baseline_row
from onnxplain.engine.methods.seeds import Signal, Values, projections, signals
from onnxplain.engine.run import Chosen, ProjectedUnits, Run
from onnxplain.engine.runtime import Activity, Others, Plan, Stop
from onnxplain.graphops.methods import METHODS, gauss_legendre, noise_of_seed, standard_noise

__all__ = ["sampled"]

Array = npt.NDArray[Any]


def sampled(run: Run, chosen: Chosen) -> Iterator[ProjectedUnits]:
    """Yield the projections unit by unit, each accumulated over chunks of copies."""
    runner = _Gradients.of(run)
    for image in range(len(run.rows)):
        (values,) = run.values([image])
        start = runner.start(image)
        for unit, signal in enumerate(signals(run, chosen, image, values)):
            seed = signal.cotangent(values.shape)
            error = None
            if run.method.accumulated == "path":
                attribution, error = _integrated(runner, image, start, seed, signal)
            else:
                attribution = _over_noise(runner, image, start, seed)
            errors = None if error is None else [error]
            yield image, slice(unit, unit + 1), projections([signal], attribution[None], errors)


@dataclass(frozen=True, eq=False)
class _Gradients:
    """The gradient of a cotangent at the layer with respect to the target, at any points.

    from_target: whether the points are values of a tensor inside the network, not of the picture.
    """

    run: Run
    plan: Plan
    from_target: bool

    @staticmethod
    def of(run: Run) -> _Gradients:
        subject = run.subject
        inside = subject.to != subject.input.name
        options = replace(
            run.options,
            select="seed",
            position=None,
            seed_value=None,
            negate=False,
            to=subject.to,
        )
        return _Gradients(run, run.plan(METHODS["gradient"], options, inside), inside)

    def start(self, image: int) -> Values:
        """Return the target's value for an image."""
        if not self.from_target:
            return self.run.rows[image].astype(np.float32)
        (value,) = self.run.values([image], self.run.activity(self.run.subject.to))
        return np.asarray(value)

    def at_layer(self, image: int, point: Values) -> Values:
        """Return the layer's values at one point, [1, ...]."""
        activity: Activity = self.run.activity(from_target=self.from_target)
        return activity.run(*self._inputs(image, point[None]))

    def chunks(
        self, image: int, seed: Values, count: int, points: Callable[[int, int], Values]
    ) -> Iterator[tuple[slice, npt.NDArray[np.float64]]]:
        """Yield the gradients at `count` points, as many at once as fit into memory."""
        shape = self.run.rows[image].shape
        most = self.plan.footprint.max_batch(shape, self.run.sample_bytes)
        for first in range(0, count, most):
            last = min(first + most, count)
            values = points(first, last)
            added = {"seed": np.repeat(seed[None], len(values), axis=0)}
            rows, stop, others = self._inputs(image, values)
            result = self.plan.run(rows, added, stop, others)
            yield slice(first, last), result.attribution.astype(np.float64)
            self.run.report(last, count)

    def _inputs(self, image: int, points: Values) -> tuple[list[Array], Stop, Others]:
        """Return the images and the further inputs of a run that starts at these points."""
        run, rows = self.run, list(points)
        others: Others = run.others_of([image] * len(points))
        if self.from_target:
            own = others or [{}] * len(points)
            others = [{**o, run.subject.to: p} for o, p in zip(own, points, strict=True)]
            rows = [run.rows[image]] * len(points)
        return rows, run.stop, others


def _over_noise(
    runner: _Gradients, image: int, start: Values, seed: Values
) -> npt.NDArray[np.float64]:
    """Return the mean, mean square or variance of the gradients at noisy points."""
    own = runner.run.own
    samples = own["samples"]
    deviation = np.float32(own["noise_level"]) * (start.max() - start.min())
    draws = noise_of_seed if own["noise"] == "drawn" else standard_noise
    draw = draws(own["noise_seed"], start.shape)
    total: npt.NDArray[np.float64] = np.zeros(start.shape)
    squares: npt.NDArray[np.float64] = np.zeros(start.shape)
    chunks = runner.chunks(image, seed, samples, lambda a, b: start + deviation * draw(b - a))
    for _, gradients in chunks:
        total += gradients.sum(axis=0)
        squares += np.square(gradients).sum(axis=0)
    mean, mean_square = total / samples, squares / samples
    if runner.run.method.accumulated == "mean":
        return np.asarray(mean)
    if runner.run.method.accumulated == "mean_square":
        return np.asarray(mean_square)
    # In float64 the cancellation error is far below the precision of a float32.
    return np.asarray(np.maximum(mean_square - np.square(mean), 0))


def _integrated(
    runner: _Gradients, image: int, start: Values, seed: Values, signal: Signal
) -> tuple[npt.NDArray[np.float64], float]:
    """Return the attribution and its completeness error."""
    own = runner.run.own
    alphas, weights = (a.astype(np.float32) for a in gauss_legendre(own["steps"]))
    axis = 0 if runner.from_target else runner.run.subject.input.channel_axis
    baseline = baseline_row(own, start.shape, axis)
    difference = start - baseline
    ones = (1,) * start.ndim
    total = np.zeros(start.shape)
    chunks = runner.chunks(
        image,
        seed,
        own["steps"],
        lambda a, b: baseline + alphas[a:b].reshape(-1, *ones) * difference,
    )
    for part, gradients in chunks:
        total += np.tensordot(weights[part].astype(np.float64), gradients, axes=1)
    attribution = difference * total
    at_baseline = signal.dot(runner.at_layer(image, np.ascontiguousarray(baseline)))
    return attribution, float(attribution.sum() - (signal.score - at_baseline[0]))
