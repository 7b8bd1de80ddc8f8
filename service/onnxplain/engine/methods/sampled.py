"""smoothgrad, smoothgrad_sq, vargrad and integrated_gradients, a few copies of the image at a time.

The exported artefact runs all of its copies in one batch, which for a large network is more than
there is memory. Here the same numbers come of the gradient's graph alone, run as often as it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.methods.baseline import baseline_row, channel_axis_of
from onnxplain.engine.methods.signals import Signal, Values, projections, signals
from onnxplain.engine.run import Chosen, ProjectedUnits, Run
from onnxplain.engine.runtime import Activity, Plan
from onnxplain.graphops.methods import METHODS, gauss_legendre, standard_noise

__all__ = ["sampled"]

Array = npt.NDArray[Any]


def sampled(run: Run, chosen: Chosen) -> Iterator[ProjectedUnits]:
    """Yield one unit's projection after the other, each the sum over chunks of copies."""
    runner = _Gradients.of(run)
    clean = run.activity()
    for image, row in enumerate(run.rows):
        (values,) = clean.run([row], run.stop)
        start = runner.start(row)
        for unit, signal in enumerate(signals(run, chosen, image, values)):
            seed = signal.cotangent(values.shape)
            error = None
            if run.method.accumulated == "path":
                attribution, error = _integrated(runner, row, start, seed, signal)
            else:
                attribution = _over_noise(runner, row, start, seed)
            found = projections([signal], attribution[None], None if error is None else [error])
            yield image, slice(unit, unit + 1), found


@dataclass(frozen=True, eq=False)
class _Gradients:
    """The gradient at any points, from a signal at the layer to where the points lie.

    begun: whether these are values of a tensor inside the network, rather than images.
    """

    run: Run
    plan: Plan
    begun: bool

    @staticmethod
    def of(run: Run) -> _Gradients:
        subject = run.subject
        begun = subject.to != subject.input.name
        options = replace(run.options, select="seed", position=None, seed_value=None, to=subject.to)
        return _Gradients(run, run.plan(METHODS["gradient"], options, begun), begun)

    def start(self, row: Array) -> Values:
        """Return the clean value of the tensor that the points are of."""
        if not self.begun:
            return row.astype(np.float32)
        (value,) = self.run.activity(self.run.subject.to).run([row], self.run.stop)
        return np.asarray(value)

    def at_layer(self, row: Array, point: Values) -> Values:
        """Return the layer's values at one point, [1, ...]."""
        activity: Activity = self.run.activity(begun=self.begun)
        if self.begun:
            return activity.run([row], self.run.stop, **{self.run.subject.to: point[None]})
        return activity.run([point], self.run.stop)

    def chunks(
        self, row: Array, seed: Values, count: int, points: Callable[[int, int], Values]
    ) -> Iterator[tuple[slice, npt.NDArray[np.float64]]]:
        """Yield gradients at `count` points as many at once as fit into the memory."""
        most = self.plan.footprint.rows(row.shape, self.run.memory_bytes)
        for first in range(0, count, most):
            last = min(first + most, count)
            values = points(first, last)
            added = {"seed": np.repeat(seed[None], len(values), axis=0)}
            if self.begun:
                added[self.run.subject.to] = values
                rows = [row] * len(values)
            else:
                rows = list(values)
            result = self.plan.run(rows, added, self.run.stop)
            yield slice(first, last), result.attribution.astype(np.float64)
            self.run.passed(last, count)


def _over_noise(
    runner: _Gradients, row: Array, start: Values, seed: Values
) -> npt.NDArray[np.float64]:
    own = runner.run.own
    samples = own["samples"]
    deviation = np.float32(own["noise_level"]) * (start.max() - start.min())
    draw = standard_noise(own["noise_seed"], start.shape)
    total: npt.NDArray[np.float64] = np.zeros(start.shape)
    squares: npt.NDArray[np.float64] = np.zeros(start.shape)
    chunks = runner.chunks(row, seed, samples, lambda a, b: start + deviation * draw(b - a))
    for _, gradients in chunks:
        total += gradients.sum(axis=0)
        squares += np.square(gradients).sum(axis=0)
    mean, mean_square = total / samples, squares / samples
    if runner.run.method.accumulated == "mean":
        return np.asarray(mean)
    if runner.run.method.accumulated == "mean_square":
        return np.asarray(mean_square)
    # In double precision what the difference cancels is far below a float32's digits.
    return np.asarray(np.maximum(mean_square - np.square(mean), 0))


def _integrated(
    runner: _Gradients, row: Array, start: Values, seed: Values, signal: Signal
) -> tuple[npt.NDArray[np.float64], float]:
    """Return the attribution and its completeness error."""
    own = runner.run.own
    alphas, weights = (a.astype(np.float32) for a in gauss_legendre(own["steps"]))
    axis = 0 if runner.begun else channel_axis_of(runner.run.subject.input)
    baseline = baseline_row(own, start.shape, axis)
    way = start - baseline
    ones = (1,) * start.ndim
    total = np.zeros(start.shape)
    chunks = runner.chunks(
        row, seed, own["steps"], lambda a, b: baseline + alphas[a:b].reshape(-1, *ones) * way
    )
    for part, gradients in chunks:
        total += np.tensordot(weights[part].astype(np.float64), gradients, axes=1)
    attribution = way * total
    at_baseline = signal.dot(runner.at_layer(row, np.ascontiguousarray(baseline)))
    return attribution, float(attribution.sum() - (signal.score - at_baseline[0]))
