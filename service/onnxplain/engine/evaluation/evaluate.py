"""Are the maps true? Deletion and insertion, the pointing game, mass in a mask, random weights."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.engine import Engine
from onnxplain.engine.evaluation import metrics
from onnxplain.engine.evaluation.randomization import randomized, weights_from_top
from onnxplain.engine.explanation import Explanation
from onnxplain.engine.methods import METHODS, find_method
from onnxplain.engine.pictures import Picture, PreparedInputs, Preprocess, prepare, read_pictures
from onnxplain.engine.runtime import Model
from onnxplain.engine.views import class_probabilities, class_scores
from onnxplain.graphops.errors import OptionError

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
    model: Model,
    pictures: Sequence[Picture],
    methods: Sequence[str],
    *,
    masks: Sequence[Picture] = (),
    randomize: int = 0,
    preprocess: Preprocess | str | None = None,
    progress: Progress = lambda done, total: None,
) -> list[Evaluation]:
    """Return how true the maps of the predicted class are, for each method and for random maps.

    masks: one for each picture, lighter than half of its lightest where the class is. randomize:
    how many of the pictures the randomisation check takes, which explains them once for each layer
    with weights.

    After Petsiuk et al. 2018 (curves), Zhang et al. 2016 (pointing game) and Adebayo et al. 2018
    (randomisation). Raises OptionError where masks do not fit or are empty, or a method explains no
    class, and what `Engine.explain` raises.
    """
    if randomize < 0:
        raise OptionError(f"randomize {randomize}: give a number of pictures from 0")
    names = [*methods, RANDOM]
    _require_class_methods(names[:-1])
    opened = engine.open(model)
    prepared = prepare(opened.model, list(pictures), preprocess)
    regions = _regions(prepared, masks)
    layers = len(weights_from_top(opened.model)) if randomize else 0
    few = _part(prepared, randomize)
    total = len(names) * (2 * len(prepared.rows) + layers * len(few.rows))
    steps = itertools.count(1)
    progress(0, total)

    def tick() -> None:
        progress(next(steps), total)

    predicted = class_scores(engine, opened, prepared.pictures, prepared.preprocess).argmax(axis=1)
    found = []
    first = []  # the maps that the randomisation check compares with, by method
    for name in names:
        maps = _maps(engine, opened, prepared, name, predicted, tick, seed=0)
        deletion, insertion = _curves(engine, opened, prepared, predicted, maps, tick)
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
    for i, step in enumerate(randomized(opened.model) if layers else ()):
        shuffled = engine.open(step)
        for name, before, one in zip(names, first, found, strict=True):
            maps = _maps(engine, shuffled, few, name, predicted, tick, seed=i + 1)
            one.randomization[i] = np.mean(list(map(metrics.rank_correlation, before, maps)))
    return found


def class_methods() -> list[str]:
    """Return the names of the methods that explain a class to a picture."""
    return [m.name for m in METHODS.values() if m.explains_class and not m.alias_of]


def _require_class_methods(methods: Sequence[str]) -> None:
    """Raise UnknownMethod or OptionError for a method that does not explain a class."""
    for name in methods:
        if not find_method(name).explains_class:
            raise OptionError(
                f"method '{name}' does not explain a class of a picture: choose from "
                f"{', '.join(class_methods())}"
            )


def _regions(prepared: PreparedInputs, masks: Sequence[Picture]) -> list[npt.NDArray[np.bool_]]:
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
    regions = []
    for number, mask in enumerate(read_pictures(masks, "mask"), 1):
        # Masks are written as 0 and 255, or as 0 and 1, or in colours.
        light = mask.max(axis=2, keepdims=True) > mask.max() / 2
        light = np.repeat(np.where(light, 255, 0).astype(np.uint8), 3, axis=2)
        regions.append(fit.fit(light).max(axis=2) > 127)
        if not regions[-1].any():
            raise OptionError(
                f"mask {number} of {len(masks)} has nothing light in what the network sees of its "
                "picture: give masks that are light where the class is"
            )
    return regions


def _part(prepared: PreparedInputs, count: int) -> PreparedInputs:
    return PreparedInputs(
        prepared.rows[:count], prepared.pictures[:count], prepared.preprocess, prepared.notes
    )


def _maps(
    engine: Engine,
    model: Model,
    prepared: PreparedInputs,
    method: str,
    channels: npt.NDArray[np.int64],
    tick: Callable[[], None],
    seed: int,
) -> list[metrics.Map]:
    """Return each picture's strengths [H, W], of the class that the network predicts."""
    rng = np.random.default_rng(seed)
    maps = []
    for picture, channel in zip(prepared.pictures, channels, strict=False):
        size = picture.shape[:2]
        if method == RANDOM:
            maps.append(rng.random(size))
        else:
            result: Explanation = engine.explain(
                model,
                picture,
                method=method,
                units=int(channel),
                preprocess=prepared.preprocess,
            )
            result.require_drawable()
            maps.append(metrics.strength(result.attribution[0, 0], *size))
        tick()
    return maps


def _curves(
    engine: Engine,
    model: Model,
    prepared: PreparedInputs,
    channels: npt.NDArray[np.int64],
    maps: Sequence[metrics.Map],
    tick: Callable[[], None],
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
        tick()
    return np.mean(gone, axis=0), np.mean(come, axis=0)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
