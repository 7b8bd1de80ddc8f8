"""What a network says of pictures: its class scores, and the probabilities that they mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.engine import Engine
from onnxplain.engine.opening import Model
from onnxplain.engine.preprocess import Preprocess
from onnxplain.graphops.errors import ChannelError

__all__ = ["choose_class", "class_probabilities", "class_scores"]

Array = npt.NDArray[Any]


def class_scores(
    engine: Engine, model: Model, pictures: Sequence[Array], preprocess: Preprocess | None
) -> npt.NDArray[np.float64]:
    """Return the class scores [pictures, classes], before a final Softmax."""
    found = engine.explain(
        model, list(pictures), method="activation", units="all", preprocess=preprocess
    )
    return np.asarray(found.score, np.float64)


def class_probabilities(
    engine: Engine, model: Model, pictures: Sequence[Array], preprocess: Preprocess | None
) -> npt.NDArray[np.float64]:
    """Return the softmax of the class scores, [pictures, classes]."""
    scores = class_scores(engine, model, pictures, preprocess)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def choose_class(scores: Array, class_index: int | None) -> int:
    """Return the class asked for, or the one of the highest score. Raises ChannelError."""
    if class_index is None:
        return int(scores.argmax())
    if not 0 <= class_index < len(scores):
        raise ChannelError(f"no class {class_index}: the classes are 0 to {len(scores) - 1}")
    return class_index
