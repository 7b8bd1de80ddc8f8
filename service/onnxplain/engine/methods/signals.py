"""Where a method that the engine runs starts from: a unit of the layer, as the clean image has it.

The rewriter does the same inside a graph (`onnxplain.graphops.backward.seed`). Here one signal
serves many changed images, so NumPy makes it once.
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
    """What is placed at a layer for one unit.

    weights: the channel's [*spatial], or the layer's whole shape for channel None. axis: the
    layer's channel axis, counted with the batch. position: [spatial rank] or None.
    """

    weights: Values
    channel: int | None
    axis: int
    score: float
    position: npt.NDArray[np.int64] | None

    def dot(self, values: Values) -> npt.NDArray[np.float64]:
        """Return the sum of signal times value for each of the layer's values [k, ...]."""
        if self.channel is not None:
            values = np.take(values, self.channel, axis=self.axis)
        product = values.astype(np.float64) * self.weights
        return np.asarray(product.reshape(len(product), -1).sum(axis=1))

    def cotangent(self, layer: tuple[int, ...]) -> Values:
        """Return the signal in the layer's shape, given without its batch."""
        if self.channel is None:
            return self.weights
        whole = np.zeros(layer, np.float32)
        np.moveaxis(whole, self.axis - 1, 0)[self.channel] = self.weights
        return whole


def signals(run: Run, chosen: Chosen, image: int, values: Values) -> list[Signal]:
    """Return the signal of each unit of an image, whose layer has `values` [...]."""
    options, axis = run.options, run.subject.channel_axis
    active = options.seed_value == "activation"
    if options.select == "whole":
        weights = values if active else np.ones_like(values)
        score = float((weights.astype(np.float64) * values).sum())
        return [Signal(weights, None, axis, score, None)]
    word = options.position or "all"
    if word != "all" and values.ndim < 2:
        raise OptionError(
            f"layer '{run.subject.layer.tensor}' has rank 2, so its units have no positions: "
            "leave the position out"
        )
    made = []
    for unit, channel in enumerate(chosen.channels[image]):
        activity = np.take(values, channel, axis=axis - 1)
        place: npt.NDArray[np.int64] | None = None
        if word == "max":
            place = np.array(np.unravel_index(activity.argmax(), activity.shape), np.int64)
        elif word == "given" and chosen.positions is not None:
            place = chosen.positions[image, unit]
        weights = activity if active else np.ones_like(activity)
        if place is not None:
            there = np.zeros_like(activity)
            there[tuple(place)] = weights[tuple(place)]
            weights = there
        score = float((weights.astype(np.float64) * activity).sum())
        made.append(Signal(weights, int(channel), axis, score, place))
    return made


def projections(
    placed: Sequence[Signal],
    attribution: npt.NDArray[np.float64],
    error: Sequence[float] | None = None,
) -> Projections:
    """Return the attributions [units, ...] of signals as a method's result."""
    places = [s.position for s in placed if s.position is not None]
    return Projections(
        attribution.astype(np.float32),
        np.array([s.score for s in placed], np.float32),
        np.stack(places) if places else None,
        None if error is None else np.array(error, np.float32),
    )
