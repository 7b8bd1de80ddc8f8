"""Are the maps true? Deletion and insertion, the pointing game, mass in a mask, random weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from onnxplain.engine import metrics
from onnxplain.engine.engine import Engine
from onnxplain.engine.explanation import Explanation
from onnxplain.engine.inputs import Prepared, prepare
from onnxplain.engine.preprocess import Preprocess
from onnxplain.engine.reading import Picture, read_pictures
from onnxplain.engine.scoring import class_probabilities, class_scores
from onnxplain.graphops import METHODS, load
from onnxplain.graphops.errors import OptionError
from onnxplain.graphops.methods import RUN
from onnxplain.graphops.randomize import randomized, weights_from_top

__all__ = ["RANDOM", "Evaluation", "class_methods", "evaluate"]

RANDOM = "random"  # maps of noise, with which the others can be compared
STEPS = 32  # of the deletion and insertion curves

Array = npt.NDArray[Any]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How true one method's maps are, means over the pictures.

    method: its name, or "random" for maps of noise, with which to compare.
    deletion, insertion: the class probability, [steps + 1], while ever more of the strongest pixels
        become the picture's mean, or come into the blurred picture; the areas under these curves
        are `deletion_area` (lower is better) and `insertion_area` (higher is).
    pointing: the part of the pictures whose strongest pixel lies in the mask; None without masks.
    mass: the part of the strength that lies in the mask; None without masks.
    randomization: Spearman's rank correlation of the strengths with those of the network whose top
        layers were shuffled, [layers], the topmost alone first; empty if it was not asked for.
    """

    method: str
    deletion: npt.NDArray[np.float64]
    insertion: npt.NDArray[np.float64]
    pointing: float | None
    mass: float | None
    randomization: npt.NDArray[np.float64]

    @property
    def deletion_area(self) -> float:
        """The area under the deletion curve."""
        return metrics.area_under(self.deletion)

    @property
    def insertion_area(self) -> float:
        """The area under the insertion curve."""
        return metrics.area_under(self.insertion)


def evaluate(
    engine: Engine,
    model: str | onnx.ModelProto,
    pictures: Sequence[Picture],
    methods: Sequence[str],
    *,
    masks: Sequence[Picture] = (),
    randomize: int = 0,
    preprocess: Preprocess | str | None = None,
    progress: Progress = lambda done, total: None,
) -> list[Evaluation]:
    """Return how true the maps of the predicted class are, for each method and for random maps.

    masks: one for each picture, light where the class is. randomize: how many of the pictures the
    randomisation check takes, which explains them once for each layer with weights.

    After Petsiuk et al. 2018 (curves), Zhang et al. 2016 (pointing game) and Adebayo et al. 2018
    (randomisation). Raises OptionError where masks do not fit, and what `Engine.explain` raises.
    """
    if randomize < 0:
        raise OptionError(f"randomize {randomize}: give a number of pictures from 0")
    model = model if isinstance(model, onnx.ModelProto) else load(model)
    prepared = prepare(model, list(pictures), preprocess)
    regions = _regions(prepared, masks)
    layers = len(weights_from_top(model)) if randomize else 0
    predicted = class_scores(engine, model, prepared.pictures, prepared.preprocess).argmax(axis=1)
    names = [*methods, RANDOM]
    total = len(names) * (1 + layers)
    found = []
    first = []  # the maps that the randomisation check compares with, by method
    for done, name in enumerate(names):
        progress(done, total)
        maps = _maps(engine, model, prepared, name, predicted, seed=0)
        deletion, insertion = _curves(engine, model, prepared, predicted, maps)
        inside = list(zip(maps, regions, strict=False))
        found.append(
            Evaluation(
                method=name,
                deletion=deletion,
                insertion=insertion,
                pointing=_mean([metrics.points_inside(m, r) for m, r in inside]),
                mass=_mean([metrics.mass_inside(m, r) for m, r in inside]),
                randomization=np.zeros(layers),
            )
        )
        first.append(maps[:randomize])
    few = _part(prepared, randomize)
    for i, step in enumerate(randomized(model) if layers else ()):
        for number, name in enumerate(names):
            progress(len(names) * (1 + i) + number, total)
            maps = _maps(engine, step, few, name, predicted, seed=i + 1)
            alike = map(metrics.rank_correlation, first[number], maps)
            found[number].randomization[i] = np.mean(list(alike))
    progress(total, total)
    return found


def class_methods() -> list[str]:
    """Return the names of the methods that explain a class to a picture."""
    others = ("activation", "activation_maximisation", "inverse", "lrp")
    return [name for name in (*METHODS, *RUN) if name not in others]


def _regions(prepared: Prepared, masks: Sequence[Picture]) -> list[npt.NDArray[np.bool_]]:
    """Return the masks as the network sees its pictures, bool [H, W] each."""
    if masks and len(masks) != len(prepared.rows):
        raise OptionError(
            f"there are {len(masks)} masks for {len(prepared.rows)} pictures: give one for each"
        )
    fit = prepared.preprocess
    if fit is None or len({row.shape for row in prepared.rows}) != 1:
        raise OptionError(
            "an evaluation takes pictures of one size: give their files, and a size for the "
            "preprocessing where they differ"
        )
    return [fit.fit(mask).max(axis=2) > 127 for mask in read_pictures(masks, "mask")]


def _part(prepared: Prepared, count: int) -> Prepared:
    return Prepared(
        prepared.rows[:count], prepared.pictures[:count], prepared.preprocess, prepared.notes
    )


def _maps(
    engine: Engine,
    model: onnx.ModelProto,
    prepared: Prepared,
    method: str,
    channels: npt.NDArray[np.int64],
    seed: int,
) -> list[metrics.Map]:
    """Return each picture's strengths [H, W], of the class that the network predicts."""
    sizes = [picture.shape[:2] for picture in prepared.pictures]
    if method == RANDOM:
        return list(map(np.random.default_rng(seed).random, sizes))
    maps = []
    for picture, channel, size in zip(prepared.pictures, channels, sizes, strict=False):
        result: Explanation = engine.explain(
            model,
            picture,
            method=method,
            units=int(channel),
            preprocess=prepared.preprocess,
        )
        result.require_drawable()
        maps.append(metrics.strength(result.attribution[0, 0], *size))
    return maps


def _curves(
    engine: Engine,
    model: onnx.ModelProto,
    prepared: Prepared,
    channels: npt.NDArray[np.int64],
    maps: Sequence[metrics.Map],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the mean probability of the predicted class, pixel after pixel gone and come."""
    gone: list[Array] = []
    come: list[Array] = []
    for picture, channel, strengths in zip(prepared.pictures, channels, maps, strict=True):
        order = metrics.ranked_pixels(strengths)
        ends = (gone, picture, metrics.grey(picture)), (come, metrics.blurred(picture), picture)
        for curve, start, end in ends:
            frames = metrics.replaced(start, end, order, STEPS)
            seen = class_probabilities(engine, model, list(frames), prepared.preprocess)
            curve.append(seen[:, channel])
    return np.mean(gone, axis=0), np.mean(come, axis=0)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
