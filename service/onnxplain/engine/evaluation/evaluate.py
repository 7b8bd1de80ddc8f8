"""The faithfulness of maps: deletion, insertion, pointing game, mass in a mask, random weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.argument_checks import checked
from onnxplain.engine.evaluation import metrics
from onnxplain.engine.evaluation.measurements import Evaluation, Evaluations
from onnxplain.engine.evaluation.randomization import randomized, weights_from_top
from onnxplain.engine.explainer import Explainer
from onnxplain.engine.explanation import Explanation
from onnxplain.engine.explanation_panels import require_drawable
from onnxplain.engine.methods import METHODS, find_method
from onnxplain.engine.pictures import (
    Images,
    Picture,
    PreparedInputs,
    Preprocess,
    prepare,
    read_pictures,
)
from onnxplain.engine.progress import Progress, unreported
from onnxplain.engine.runtime import Model
from onnxplain.engine.views import (
    choose_class,
    class_probabilities,
    class_quantity,
    class_scores,
)
from onnxplain.graphops.errors import InputError, ModelError, OptionError

__all__ = ["RANDOM", "class_methods", "evaluate"]

RANDOM = "random"  # maps of noise, for comparison
STEPS = 32  # of the deletion and insertion curves

Array = npt.NDArray[Any]


@checked
def evaluate(
    engine: Explainer,
    model: Model,
    pictures: Images,
    methods: str | Sequence[str] | None = None,
    *,
    class_index: int | None = None,
    masks: Sequence[Picture] = (),
    randomize: int = 0,
    preprocess: Preprocess | str | None = None,
    progress: Progress | None = None,
) -> Evaluations:
    """Measure the faithfulness of the maps of each picture's predicted class, or of one class.

    After Petsiuk et al. 2018 (curves), Zhang et al. 2016 (pointing game) and Adebayo et al. 2018
    (randomisation).

    Args:
        model: a path, the bytes of a file, a ModelProto, or the result of `Engine.open`.
        pictures: paths, bytes, Pillow images or uint8 arrays [H, W, 3].
        methods: the names of methods that explain a class; None for all, see `class_methods`.
        class_index: the class; None for the predicted one of each picture.
        masks: one per picture, lighter than half of its maximum where the class is; or none.
        randomize: the number of pictures for the randomisation check, which explains them once per
            layer with weights; 0 for no check.
        preprocess: the preprocessing; None for the model's own, or a guess.
        progress: called with the steps done and their total.

    Returns:
        One evaluation per method, then that of random maps; without those of methods that cannot
        explain the network, whose reasons are in `refused`.

    Raises:
        OptionError: masks do not fit or are empty, or a method does not explain a class.
        ChannelError: there is no such class.
        InputError, ModelError, DeviceError, Cancelled: as `Engine.explain`, where no method can
            explain the network.
    """
    if randomize < 0:
        raise OptionError(f"randomize {randomize}: give a number of pictures, 0 or more")
    methods = [methods] if isinstance(methods, str) else methods
    names = [*(class_methods() if methods is None else methods), RANDOM]
    _require_class_methods(names[:-1])
    opened = engine.open(model)
    prepared = prepare(opened.model, pictures, preprocess)
    regions = _regions(prepared, masks)
    if prepared.preprocess is not None:
        prepared = replace(prepared, preprocess=prepared.preprocess.of_fitted)
    layers = len(weights_from_top(opened.model)) if randomize else 0
    few = replace(prepared, rows=prepared.rows[:randomize], pictures=prepared.pictures[:randomize])
    for_each = 2 * len(prepared.rows) + layers * len(few.rows)
    done, total = 0, len(names) * for_each
    report = progress or unreported
    report(0, total)

    def tick() -> None:
        nonlocal done
        done += 1
        report(done, total)

    scores = class_scores(engine, opened, prepared.pictures, prepared.preprocess)
    predicted = np.array([choose_class(row, class_index) for row in scores], np.int64)
    quantity = class_quantity(engine, opened)
    evaluations = Evaluations()
    originals = []  # by method, the maps that the randomisation check compares with
    for name in names:
        before = done
        try:
            maps = _maps(engine, opened, prepared, name, predicted, tick, seed=0)
        except (InputError, ModelError) as e:
            reason = _without_ways_out(e)
            if not evaluations and name == names[-2]:
                raise reason from e  # no method is left
            evaluations.refused[name] = str(reason)
            total -= for_each - (done - before)
            continue
        deletion, insertion = _curves(engine, opened, prepared, predicted, maps, tick)
        inside = list(zip(maps, regions, strict=False))
        evaluations.append(
            Evaluation(
                method=name,
                deletion=deletion,
                insertion=insertion,
                pointing=_mean([metrics.points_inside(m, r) for m, r in inside]),
                mass=_mean([metrics.mass_inside(m, r) for m, r in inside]),
                randomization=np.zeros(layers),
                quantity=quantity,
            )
        )
        originals.append(maps[:randomize])
    for i, step in enumerate(randomized(opened.model) if layers else ()):
        shuffled = engine.open(step)
        for original, one in zip(originals, evaluations, strict=True):
            maps = _maps(engine, shuffled, few, one.method, predicted, tick, seed=i + 1)
            one.randomization[i] = np.mean(list(map(metrics.rank_correlation, original, maps)))
    return evaluations


def _without_ways_out(error: InputError | ModelError) -> Exception:
    """Return the error without another layer or target, of which an evaluation takes neither."""
    return error.__cause__ if isinstance(error.__cause__, ModelError) else error


def class_methods() -> list[str]:
    """Return the names of the methods whose map explains a picture's class."""
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
    """Return the masks, fitted as the pictures are, bool [H, W] each."""
    if masks and len(masks) != len(prepared.rows):
        raise OptionError(
            f"there are {len(masks)} masks for {len(prepared.rows)} pictures: give one for each"
        )
    fit = prepared.preprocess
    if fit is None or len({row.shape for row in prepared.rows}) != 1:
        raise OptionError(
            "an evaluation takes pictures of one size, not float arrays: give their files, and a "
            "size for the preprocessing where they differ"
        )
    regions = []
    for number, mask in enumerate(read_pictures(masks, "mask"), 1):
        # Masks come as 0 and 255, as 0 and 1, or in colours.
        light = mask.max(axis=2, keepdims=True) > mask.max() / 2
        light = np.repeat(np.where(light, 255, 0).astype(np.uint8), 3, axis=2)
        regions.append(fit.fit(light).max(axis=2) > 127)
        if not regions[-1].any():
            raise OptionError(
                f"mask {number} of {len(masks)} has no light pixel in the part of the picture that "
                "the network sees: give masks that are light where the class is"
            )
    return regions


def _maps(
    engine: Explainer,
    model: Model,
    prepared: PreparedInputs,
    method: str,
    channels: npt.NDArray[np.int64],
    tick: Callable[[], None],
    seed: int,
) -> list[metrics.Map]:
    """Return the map [H, W] of each picture's class. seed: that of random maps."""
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
            require_drawable(result)
            maps.append(metrics.strength(result.attribution[0, 0], *size))
        tick()
    return maps


def _curves(
    engine: Explainer,
    model: Model,
    prepared: PreparedInputs,
    channels: npt.NDArray[np.int64],
    maps: Sequence[metrics.Map],
    tick: Callable[[], None],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the deletion and the insertion curve, means over the pictures."""
    deletion: list[Array] = []
    insertion: list[Array] = []
    for picture, channel, strengths in zip(prepared.pictures, channels, maps, strict=True):
        order = metrics.ranked_pixels(strengths)
        for curves, start, end in (
            (deletion, picture, metrics.grey(picture)),
            (insertion, metrics.blurred(picture), picture),
        ):
            frames = metrics.replaced(start, end, order, STEPS)
            probability = class_probabilities(engine, model, list(frames), prepared.preprocess)
            curves.append(probability[:, channel])
        tick()
    return np.mean(deletion, axis=0), np.mean(insertion, axis=0)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
