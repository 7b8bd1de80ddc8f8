"""A network's class scores for pictures, and their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.engine import Engine
from onnxplain.engine.pictures import Preprocess
from onnxplain.engine.runtime import Model
from onnxplain.graphops.analysis import NORMALIZERS
from onnxplain.graphops.errors import ChannelError

__all__ = ["choose_class", "class_label", "class_probabilities", "class_scores"]

Array = npt.NDArray[Any]


def class_scores(
    engine: Engine, model: Model, pictures: Sequence[Array], preprocess: Preprocess | None
) -> npt.NDArray[np.float64]:
    """Return the class scores [pictures, classes], those before a final Softmax."""
    return _values(engine, model, pictures, None, preprocess)


def class_probabilities(
    engine: Engine, model: Model, pictures: Sequence[Array], preprocess: Preprocess | None
) -> npt.NDArray[np.float64]:
    """Return the class probabilities [pictures, classes], the mean of a map of classes.

    They are the network's own if it ends in Softmax, LogSoftmax or Sigmoid, or if its output sums
    to one. Otherwise they are the softmax of the output, or the sigmoid of a single class.
    """
    known = engine.open(model).layers
    score = next((i for i, layer in enumerate(known) if "class score" in layer.marks), None)
    after = [] if score is None else known[score + 1 :]
    final = next((layer for layer in after if layer.operator in NORMALIZERS), None)
    tensor = None if final is None else final.tensor
    values = _values(engine, model, pictures, tensor, preprocess)
    if final is not None:
        return np.exp(values) if final.operator == "LogSoftmax" else values
    if values.min() >= 0 and np.allclose(values.sum(axis=1), 1, atol=1e-3):
        return values
    if values.shape[1] == 1:
        return 1 / (1 + np.exp(-values))
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def choose_class(scores: Array, class_index: int | None) -> int:
    """Return the class index, by default that of the highest score. Raises ChannelError."""
    if class_index is None:
        return int(scores.argmax())
    if not 0 <= class_index < len(scores):
        raise ChannelError(f"no class {class_index}: the classes are 0 to {len(scores) - 1}")
    return class_index


def class_label(labels: Sequence[str], class_index: int) -> str:
    """Return the name of a class, "class N" for one without."""
    return labels[class_index] if class_index < len(labels) else f"class {class_index}"


def _values(
    engine: Engine,
    model: Model,
    pictures: Sequence[Array],
    layer: str | None,
    preprocess: Preprocess | None,
) -> npt.NDArray[np.float64]:
    """Return the mean of each channel of a layer, [pictures, channels]."""
    values = engine.values(model, list(pictures), layer, preprocess)
    means = [
        v.reshape(len(v), -1).mean(axis=1, dtype=np.float64) for v in map(np.atleast_1d, values)
    ]
    return np.stack(means)
