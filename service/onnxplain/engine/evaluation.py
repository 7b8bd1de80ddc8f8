"""Are the maps true? Deletion and insertion, the pointing game, mass in a mask, random weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.engine import Engine
from onnxplain.engine.explanation import Explanation
from onnxplain.engine.inputs import Prepared, prepare
from onnxplain.engine.metrics import (
    area_under,
    blurred,
    mass_inside,
    points_inside,
    rank_correlation,
    ranked_pixels,
    replaced,
    strength,
)
from onnxplain.engine.opening import Model, open_model
from onnxplain.engine.preprocess import Preprocess
from onnxplain.engine.reading import Picture
from onnxplain.graphops.errors import OptionError, UnsupportedModel
from onnxplain.graphops.randomize import randomized

__all__ = ["Evaluation", "evaluate"]

STEPS = 32  # of the deletion and insertion curves
BLUR = 1 / 16  # of the longer side: what insertion starts from shows no shape any more

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How true one method's maps are, means over the pictures.

    method: its name, or "random" for maps of noise, with which to compare.
    deletion, insertion: the class probability, [steps + 1], while ever more of the strongest pixels
        are taken away (become the input's mean), or are put into the blurred picture; and the areas
        under these curves, `deletion_area` (lower is better) and `insertion_area` (higher).
    pointing: the part of the pictures whose strongest pixel lies in the mask, None without masks.
    mass: the part of the strength that lies in the mask; None without masks.
    randomization: Spearman's rank correlation between the map and that of the network whose top
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
        return area_under(self.deletion)

    @property
    def insertion_area(self) -> float:
        """The area under the insertion curve."""
        return area_under(self.insertion)


def evaluate(
    model: Model,
    pictures: Sequence[Picture],
    methods: Sequence[str],
    *,
    masks: Sequence[npt.NDArray[np.bool_]] = (),
    randomize: int = 0,
    preprocess: Preprocess | str | None = None,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> list[Evaluation]:
    """Return how true the maps of the predicted class are, for each method and for random maps.

    pictures: of one size after preprocessing. masks: bool [H, W] each, of the pictures as the
    network sees them: where the class is. randomize: for how many of the pictures the randomisation
    check is made. Follows Petsiuk et al. 2018 (curves), Zhang et al. 2016 (pointing game), and
    Adebayo et al. 2018.

    Raises OptionError where masks and pictures do not fit, besides what `Engine.explain` raises.
    """
    engine = Engine(device)
    opened = open_model(model, engine.cache)
    prepared = prepare(opened.model, list(pictures), preprocess)
    sizes = [picture.shape[:2] for picture in prepared.pictures]
    if masks and [mask.shape for mask in masks] != sizes:
        raise OptionError(
            f"the masks have the sizes {[m.shape for m in masks]} and the pictures {sizes}: give "
            "one for each picture, of its size"
        )
    names = [*methods, "random"]
    steps = list(randomized(opened.model)) if randomize else []
    total, done = len(names) * (1 + len(steps)), 0
    found = []
    for name in names:
        explain = _explainer(engine, name, prepared, preprocess)
        explanation = explain(opened.model, list(pictures), None)
        maps = _strengths(explanation, sizes)
        deletion, insertion = _curves(engine, opened.model, prepared, explanation.channels, maps)
        done += 1
        _tell(progress, done, total)
        similar = []
        for _, shuffled in steps:
            few = explain(shuffled, list(pictures[:randomize]), explanation.channels)
            others = _strengths(few, sizes)
            similar.append(np.mean([rank_correlation(a, b) for a, b in zip(maps, others)]))
            done += 1
            _tell(progress, done, total)
        found.append(
            Evaluation(
                method=name,
                deletion=deletion,
                insertion=insertion,
                pointing=_mean(points_inside, maps, masks),
                mass=_mean(mass_inside, maps, masks),
                randomization=np.array(similar),
            )
        )
    return found
