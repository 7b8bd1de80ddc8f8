"""Occlusion (Zeiler and Fergus 2014): how much less active a unit is with a part of it covered."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from onnxplain.engine.methods.masking import Masking, masked_scores
from onnxplain.engine.run import Chosen, ProjectedUnits, Run
from onnxplain.graphops.errors import OptionError

__all__ = ["occlusion", "windows"]


def occlusion(run: Run, chosen: Chosen) -> Iterator[ProjectedUnits]:
    """Yield f(x) − f(covered), for each pixel the mean over the windows that cover it.

    As Captum's Occlusion with windows over all channels. [units, 1, H, W]: one map for all
    channels, zero where no window comes.
    """
    run.require_whole_way()
    own = run.own
    for image, row in enumerate(run.rows):
        masking = Masking.of(run, row)
        sides = masking.sides
        size = _numbers("window", own["window"], [max(1, n // 8) for n in sides])
        half = [max(1, n // 2) for n in size]
        places = windows(sides, size, _numbers("stride", own["stride"], half))
        covered = np.zeros(sides)
        for place in places:
            covered[place] += 1
        mask_at = functools.partial(_mask, sides, places)
        for chunk, placed, total, scored in masked_scores(
            run, chosen, image, masking, len(places), mask_at
        ):
            clean = np.array([signal.score for signal in placed])
            for i, _, scores in scored:
                total[(slice(None), *places[i])] += (clean - scores).reshape(-1, *masking.ones)
            yield image, chunk, masking.result(placed, total / np.maximum(covered, 1))


def windows(
    sides: Sequence[int], size: Sequence[int], stride: Sequence[int]
) -> list[tuple[slice, ...]]:
    """Return where the windows lie; the last of each side is cut off where the picture ends."""
    starts = [
        range(0, min(side, math.ceil(max(side - width, 0) / step) * step + 1), step)
        for side, width, step in zip(sides, size, stride, strict=True)
    ]
    return [
        tuple(slice(a, a + width) for a, width in zip(corner, size, strict=True))
        for corner in itertools.product(*starts)
    ]


def _mask(
    sides: tuple[int, ...], places: Sequence[tuple[slice, ...]], number: int
) -> npt.NDArray[np.float32]:
    mask = np.ones(sides, np.float32)
    mask[places[number]] = 0
    return mask


def _numbers(name: str, given: int | Sequence[int] | None, default: list[int]) -> list[int]:
    """Return a number of pixels for each side."""
    if given is None:
        return default
    try:
        numbers = [operator.index(n) for n in np.atleast_1d(np.asarray(given)).tolist()]
    except TypeError:
        numbers = []
    if len(numbers) == 1:
        numbers *= len(default)
    if len(numbers) != len(default) or min(numbers) < 1:
        raise OptionError(
            f"{name} {given!r}: give a number of pixels from 1, or one for each of the "
            f"{len(default)} sides"
        )
    return numbers
