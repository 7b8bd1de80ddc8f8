"""A network's class scores for pictures, and their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.explainer import Explainer
from onnxplain.engine.pictures import Preprocess
from onnxplain.engine.probabilities import normalize
from onnxplain.engine.runtime import Model
from onnxplain.graphops.errors import ChannelError

__all__ = [
    "choose_class",
    "class_label",
    "class_probabilities",
    "class_quantity",
    "class_scores",
    "quantity_notes",
]

Array = npt.NDArray[Any]


def class_scores(
    engine: Explainer, model: Model, pictures: Sequence[Array], preprocess: Preprocess | None
) -> npt.NDArray[np.float64]:
    """Return the class scores [pictures, classes], at the strongest position of each class."""
    return _values(engine, model, pictures, None, preprocess)


def class_probabilities(
    engine: Explainer, model: Model, pictures: Sequence[Array], preprocess: Preprocess | None
) -> npt.NDArray[np.float64]:
    """Return the class probabilities [pictures, classes], at the strongest position of each class.

    They are the network's own if it ends in Softmax, LogSoftmax or Sigmoid, or if its output sums
    to one; otherwise the softmax of the class scores. A regression's are its values, see
    `class_quantity`.
    """
    score = engine.open(model).network.class_score
    tensor = (score.normalized or None) if score is not None else None
    values = _values(engine, model, pictures, tensor, preprocess)
    if score is None or score.quantity == "value":
        return values
    if tensor is not None:
        return np.exp(values) if score.quantity == "log probability" else values
    sums_to_one = values.min() >= 0 and np.allclose(values.sum(axis=1), 1, atol=1e-3)
    return values if score.quantity == "score" and sums_to_one else normalize(score, values)


def class_quantity(engine: Explainer, model: Model) -> str:
    """Return what `class_probabilities` returns: "probability", or "value" for a regression.

    A regression is a network with a single number that no Softmax or Sigmoid turned into a
    probability.
    """
    score = engine.open(model).network.class_score
    return "value" if score is not None and score.quantity == "value" else "probability"


def quantity_notes(engine: Explainer, model: Model) -> tuple[str, ...]:
    """Return a note where the probabilities are not the network's own."""
    score = engine.open(model).network.class_score
    if score is None or score.quantity != "score":
        return ()
    return (
        "the probability is the softmax of the class scores, since the output "
        f"'{score.output}' is not behind a Softmax or Sigmoid",
    )


def choose_class(scores: Array, class_index: int | None) -> int:
    """Return the class index, by default that of the highest score. Raises ChannelError."""
    if class_index is None:
        return int(scores.argmax())
    if not 0 <= class_index < len(scores):
        raise ChannelError(f"no class {class_index}: the classes are 0 to {len(scores) - 1}")
    return class_index


def class_label(engine: Explainer, model: Model, labels: Sequence[str], class_index: int) -> str:
    """Return the name of a class; of one without, "class N", or a regression's output."""
    if class_index < len(labels):
        return labels[class_index]
    score = engine.open(model).network.class_score
    if score is not None and score.quantity == "value":
        return score.output
    return f"class {class_index}"


def _values(
    engine: Explainer,
    model: Model,
    pictures: Sequence[Array],
    layer: str | None,
    preprocess: Preprocess | None,
) -> npt.NDArray[np.float64]:
    """Return the maximum of each channel of a layer, [pictures, channels]."""
    values = engine.values(model, list(pictures), layer, preprocess)
    greatest = [v.reshape(len(v), -1).max(axis=1) for v in map(np.atleast_1d, values)]
    return np.stack(greatest).astype(np.float64)
