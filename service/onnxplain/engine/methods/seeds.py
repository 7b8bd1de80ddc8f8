"""The cotangent of each unit, computed by NumPy from the layer's values for the clean image.

`onnxplain.graphops.backward.seed` computes the same inside a graph; here one cotangent serves many
changed images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnxplain.engine.run import Chosen, Run
from onnxplain.engine.runtime import Projections
from onnxplain.graphops.errors import OptionError

__all__ = ["Signal", "projections", "signals"]

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Signal:
    """The cotangent of one unit.

    weights: that of its channel, [*spatial], or that of the whole layer for channel None. axis:
    the layer's channel axis, counted with the batch axis. score: the sum of weight times value.
    position: [spatial rank] or None.
    """

    weights: Values
    channel: int | None
    axis: int
    score: float
    position: npt.NDArray[np.int64] | None

    def dot(self, values: Values) -> npt.NDArray[np.float64]:
        """Return the sum of weight times value for values [k, ...] of the layer, [k]."""
        if self.channel is not None:
            values = np.take(values, self.channel, axis=self.axis)
        product = values.astype(np.float64) * self.weights
        return np.asarray(product.reshape(len(product), -1).sum(axis=1))

    def cotangent(self, layer: tuple[int, ...]) -> Values:
        """Return the cotangent in the layer's shape, without the batch axis."""
        if self.channel is None:
            return self.weights
        whole = np.zeros(layer, np.float32)
        np.moveaxis(whole, self.axis - 1, 0)[self.channel] = self.weights
        return whole


def signals(run: Run, chosen: Chosen, image: int, values: Values) -> list[Signal]:
    """Return the signal of each unit of an image. values: the layer's, without the batch axis."""
    options, axis = run.options, run.subject.channel_axis
    active = options.seed_value == "activation"
    sign = np.float32(-1 if options.negate else 1)
    if options.select == "whole":
        weights = sign * (values if active else np.ones_like(values))
        if chosen.regions is not None:
            weights = weights * np.expand_dims(chosen.regions[image], axis - 1)
        score = float((weights.astype(np.float64) * values).sum())
        return [Signal(weights, None, axis, score, None)]
    word = options.position or "all"
    if word != "all" and values.ndim < 2:
        layer = run.subject.layer
        raise OptionError(
            f"layer '{layer.tensor}' has rank {len(layer.shape or (0, 0))}, so its units have no "
            "positions: leave the position out"
        )
    units = []
    for unit, channel in enumerate(chosen.channels[image]):
        activity = np.take(values, channel, axis=axis - 1)
        position: npt.NDArray[np.int64] | None = None
        if word == "max":
            position = np.array(np.unravel_index(activity.argmax(), activity.shape), np.int64)
        elif word == "given" and chosen.positions is not None:
            position = chosen.positions[image, unit]
        weights = sign * (activity if active else np.ones_like(activity))
        if position is not None:
            alone = np.zeros_like(activity)
            alone[tuple(position)] = weights[tuple(position)]
            weights = alone
        if chosen.regions is not None:
            weights = weights * chosen.regions[image]
        score = float((weights.astype(np.float64) * activity).sum())
        units.append(Signal(weights, int(channel), axis, score, position))
    return units


def projections(
    units: Sequence[Signal],
    attribution: npt.NDArray[np.float64],
    error: Sequence[float] | None = None,
) -> Projections:
    """Return a method's result from the attributions [units, ...] of signals."""
    positions = [unit.position for unit in units if unit.position is not None]
    return Projections(
        attribution.astype(np.float32),
        np.array([unit.score for unit in units], np.float32),
        np.stack(positions) if positions else None,
        None if error is None else np.array(error, np.float32),
    )
