"""The probabilities of units of a class score that a Softmax or Sigmoid follows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from onnxplain.engine.run import Chosen, Run
from onnxplain.engine.runtime import Projections

__all__ = ["UnitProbabilities"]

Values = npt.NDArray[np.float32]


class UnitProbabilities:
    """The network's own probabilities of the units of a run.

    There are none where the layer is no class score that a Softmax or Sigmoid follows, where a unit
    starts at several positions, or where the result is for another picture than the one given.
    """

    def __init__(self, run: Run, chosen: Chosen) -> None:
        self._run = run
        self._chosen = chosen
        self._image, self._values = -1, np.zeros(0, np.float32)  # of the last image

    def of(self, image: int, chunk: slice, result: Projections) -> Values | None:
        """Return the probability of each unit of a result, [units], at its position if it has one.

        None where there are none.
        """
        score, channels = self._run.subject.score, self._chosen.channels[image, chunk]
        if score is None or score.quantity != "probability" or not score.normalized:
            return None
        if self._run.method.drawn == "picture" or (channels < 0).any():
            return None
        if score.has_positions and result.position is None:
            return None
        if image != self._image:
            self._image, self._values = image, self._of_classes(image, score.normalized)
        if result.position is None:
            return np.asarray(self._values.reshape(len(self._values), -1)[channels, 0])
        return np.asarray(self._values[(channels, *result.position.T)])

    def _of_classes(self, image: int, normalized: str) -> Values:
        """Return the probabilities of all classes, [channels, *spatial].

        normalized: their tensor. The Softmax or Sigmoid of a plain vector of scores is computed
        here, any other by the network.
        """
        run, layer = self._run, self._run.subject.layer
        known = self._chosen.strength
        final = next(one for one in run.opened.layers if one.tensor == normalized)
        vectors = [layer.shape is not None and len(layer.shape) == 2 for layer in (layer, final)]
        if all(vectors) and final.operator in FUNCTIONS:
            scores = run.values([image])[0] if known is None else known[image]
            return FUNCTIONS[final.operator](scores.astype(np.float64)).astype(np.float32)
        values = run.values([image], run.activity(normalized))[0]
        axis = run.subject.channel_axis - 1
        return np.moveaxis(values, axis, 0) if values.ndim > axis else np.atleast_1d(values)


@np.errstate(invalid="ignore")  # infinite scores have no probabilities, but NaN
def _softmax(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    powers = np.exp(scores - scores.max())
    return np.asarray(powers / powers.sum())


def _sigmoid(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(0.5 * (1 + np.tanh(scores / 2)))  # overflows nowhere


FUNCTIONS = {"Softmax": _softmax, "Sigmoid": _sigmoid}
