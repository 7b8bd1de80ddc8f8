"""How a network's layers answer a picture that is moved, resized or turned."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from onnxplain.engine.drawing import Chart, View, charts
from onnxplain.engine.engine import Engine
from onnxplain.engine.pictures import Picture, Preprocess, read_picture
from onnxplain.engine.runtime import Model
from onnxplain.engine.views.predictions import choose_class, class_probabilities
from onnxplain.graphops.errors import OptionError

__all__ = ["CHANGES", "Curve", "Invariance", "changed", "invariance"]

Pixels = npt.NDArray[np.uint8]

STEPS = 25
# Each change of the picture: its smallest and largest amount, and the unit.
CHANGES: dict[str, tuple[float, float, str]] = {
    "translation": (-0.25, 0.25, "of the height, downwards"),
    "scale": (0.6, 1.8, "times"),
    "rotation": (0.0, 360.0, "degrees"),
}


@dataclass(frozen=True, eq=False)
class Curve:
    """How the layers and the class answer one change of a picture.

    amounts: [steps]. distance: by the layers' names, [steps], the Euclidean distance of the
    layer's values from those of the untouched picture, over the norm of these. probability:
    [steps], of the class.
    """

    change: str
    amounts: npt.NDArray[np.float64]
    distance: dict[str, npt.NDArray[np.float64]]
    probability: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Invariance(View):
    """One curve for each of CHANGES, of the class `class_index`, called `label`."""

    class_index: int
    label: str
    curves: tuple[Curve, ...]
    notes: tuple[str, ...] = ()

    def draw(self) -> Image.Image:
        """Draw the layers' distances above, the class probability below, one column a change."""
        above, below = [], []
        for one in self.curves:
            axis = f"{one.change}, {CHANGES[one.change][2]}"
            above.append(Chart("distance from the untouched", axis, one.amounts, one.distance))
            curves = {self.label: one.probability}
            below.append(Chart(f"probability of {self.label}", axis, one.amounts, curves))
        return charts([above, below], "Moved, resized and turned")

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return CHANGE.amounts, CHANGE.probability and CHANGE.distance.LAYER, and the class."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "class": np.array(self.class_index),
            "label": np.array(self.label),
        }
        for one in self.curves:
            arrays[f"{one.change}.amounts"] = one.amounts
            arrays[f"{one.change}.probability"] = one.probability
            arrays |= {f"{one.change}.distance.{k}": v for k, v in one.distance.items()}
        return arrays


def invariance(
    engine: Engine,
    model: Model,
    picture: Picture,
    layers: Sequence[str] = (),
    class_index: int | None = None,
    *,
    labels: Sequence[str] | None = None,
    preprocess: Preprocess | str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Invariance:
    """Translate, scale and rotate a picture, as Zeiler and Fergus 2014 do in figure 5.

    class_index: default the predicted one. labels: class names, default the model's own. The area
    that the change uncovers has the picture's mean colour. Raises OptionError without layers,
    ChannelError for a class that there is not, and what `Engine.explain` raises.
    """
    if not layers:
        raise OptionError("there are no layers: give at least one")
    model, picture = engine.open(model), read_picture(picture)
    clean = engine.explain(
        model, picture, method="activation", preprocess=preprocess, labels=labels
    )
    (pixels,), how = clean.pictures, clean.preprocess
    scores = class_probabilities(engine, model, [pixels], how)[0]
    target = choose_class(scores, class_index)
    label = (*clean.labels[target : target + 1], f"class {target}")[0]

    def seen(frames: list[Pixels], layer: str) -> Iterator[npt.NDArray[np.float64]]:
        return (v.astype(np.float64) for v in engine.values(model, frames, layer, how))

    untouched = {layer: next(seen([pixels], layer)) for layer in layers}
    total = len(CHANGES) * len(untouched) * STEPS
    steps = itertools.count(1)
    progress(0, total)
    found = []
    for change, (low, high, _) in CHANGES.items():
        amounts = np.linspace(low, high, STEPS)
        frames = [changed(pixels, change, float(amount)) for amount in amounts]
        distance = {layer: np.zeros(STEPS) for layer in layers}
        for layer, before in untouched.items():
            length = float(np.linalg.norm(before)) or 1.0
            for i, after in enumerate(seen(frames, layer)):
                distance[layer][i] = np.linalg.norm(after - before) / length
                progress(next(steps), total)
        probability = class_probabilities(engine, model, frames, how)[:, target]
        found.append(Curve(change, amounts, distance, probability))
    return Invariance(target, label, tuple(found), clean.notes)


def changed(pixels: Pixels, change: str, amount: float) -> Pixels:
    """Return the picture moved down, scaled or turned about its middle by an amount."""
    height, width = pixels.shape[:2]
    row, column = height / 2, width / 2
    scale, turn, down = 1.0, 0.0, 0.0
    if change == "translation":
        down = amount * height
    elif change == "scale":
        scale = 1 / amount
    else:
        turn = np.deg2rad(amount)
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    # From a pixel (x, y) of the result to where it comes from, as Pillow asks for it.
    matrix = (
        cos, -sin, column - cos * column + sin * (row + down),
        sin, cos, row - sin * column - cos * (row + down),
    )  # fmt: skip
    mean = tuple(int(v) for v in np.rint(pixels.reshape(-1, 3).mean(axis=0)))
    image = Image.fromarray(pixels).transform(
        (width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=mean
    )
    return np.asarray(image)
