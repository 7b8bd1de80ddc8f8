"""The probabilities of units of a class score that a Softmax or Sigmoid follows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from onnxplain.engine.run import Chosen, Run
from onnxplain.engine.runtime import Projections
from onnxplain.graphops import Layer
from onnxplain.graphops.analysis import ClassScore

__all__ = ["UnitProbabilities", "normalize"]

Values = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


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
        if score is None or score.quantity != "probability":
            return None
        if self._run.method.drawn == "picture" or (channels < 0).any():
            return None
        if score.has_positions and result.position is None:
            return None
        if image != self._image:
            self._image, self._values = image, self._of_classes(image, score)
        if result.position is None:
            return np.asarray(self._values.reshape(len(self._values), -1)[channels, 0])
        return np.asarray(self._values[(channels, *result.position.T)])

    def _of_classes(self, image: int, score: ClassScore) -> Values:
        """Return the probabilities of all classes, [channels, *spatial].

        The Softmax or Sigmoid of a plain vector of scores is computed here, any other by the
        network.
        """
        run, known = self._run, self._chosen.strength
        if _is_computed_here(score, run.opened.layers):
            scores = run.values([image])[0] if known is None else known[image]
            return normalize(score, scores.astype(np.float64)).astype(np.float32)
        values = run.values([image], run.activity(score.normalized))[0]
        axis = run.subject.channel_axis - 1
        return np.moveaxis(values, axis, 0) if values.ndim > axis else np.atleast_1d(values)


@np.errstate(invalid="ignore")  # infinite scores have no probabilities, but NaN
def normalize(score: ClassScore, values: Float64) -> Float64:
    """Return the probabilities of scores [..., classes], as the network's end computes them."""
    if "Sigmoid" in score.stepped_over[-1:]:
        return np.asarray(0.5 * (1 + np.tanh(values / 2)))  # overflows nowhere
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _is_computed_here(score: ClassScore, layers: Sequence[Layer]) -> bool:
    """Tell whether the probabilities are those of a vector, or have lost the batch axis."""
    if not score.normalized:
        return True
    ends = [one for one in layers if one.tensor in (score.tensor, score.normalized)]
    vectors = all(one.shape is not None and len(one.shape) == 2 for one in ends)
    return vectors and len(ends) == 2 and ends[1].operator in ("Softmax", "Sigmoid")
