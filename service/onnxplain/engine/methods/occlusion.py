"""Occlusion (Zeiler and Fergus 2014): the drop of a unit's score where the picture is covered."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from onnxplain.engine.methods.masking import Masking, masked_scores
from onnxplain.engine.run import Chosen, ProjectedUnits, Run
from onnxplain.graphops.errors import OptionError

__all__ = ["occlusion", "windows"]


def occlusion(run: Run, chosen: Chosen) -> Iterator[ProjectedUnits]:
    """Yield the mean of f(x) − f(covered x) over the windows that cover each pixel.

    [units, 1, H, W], as Captum's Occlusion with windows over all channels; zero where no window
    lies.
    """
    run.require_picture_target()
    own = run.own
    for image, row in enumerate(run.rows):
        masking = Masking.of(run, row)
        sides = masking.sides
        size = _pixels_per_side("window", own["window"], [max(1, n // 8) for n in sides])
        half = [max(1, n // 2) for n in size]
        stride = _pixels_per_side("stride", own["stride"], half)
        positions = windows(sides, size, stride, functools.partial(run.report, 0))
        covered = np.zeros(sides)
        for position in positions:
            covered[position] += 1
        mask_at = functools.partial(_mask, sides, positions)
        for chunk, units, total, scored in masked_scores(
            run, chosen, image, masking, len(positions), mask_at
        ):
            clean = np.array([signal.score for signal in units])
            for i, _, scores in scored:
                total[(slice(None), *positions[i])] += (clean - scores).reshape(-1, *masking.ones)
            yield image, chunk, masking.result(units, total / np.maximum(covered, 1))


def windows(
    sides: Sequence[int],
    size: Sequence[int],
    stride: Sequence[int],
    counted: Callable[[int], None],
) -> list[tuple[slice, ...]]:
    """Return the windows' positions; the last window of each side ends with the picture.

    counted: called with their number before they are made, and may refuse it.
    """
    starts = [
        range(0, min(side, math.ceil(max(side - width, 0) / step) * step + 1), step)
        for side, width, step in zip(sides, size, stride, strict=True)
    ]
    counted(math.prod(map(len, starts)))
    return [
        tuple(slice(a, a + width) for a, width in zip(corner, size, strict=True))
        for corner in itertools.product(*starts)
    ]


def _mask(
    sides: tuple[int, ...], positions: Sequence[tuple[slice, ...]], index: int
) -> npt.NDArray[np.float32]:
    mask = np.ones(sides, np.float32)
    mask[positions[index]] = 0
    return mask


def _pixels_per_side(name: str, value: int | Sequence[int] | None, default: list[int]) -> list[int]:
    """Return the number of pixels for each side."""
    if value is None:
        return default
    try:
        numbers = [operator.index(n) for n in np.atleast_1d(np.asarray(value)).tolist()]
    except TypeError:
        numbers = []
    if len(numbers) == 1:
        numbers *= len(default)
    if len(numbers) != len(default) or min(numbers) < 1:
        raise OptionError(
            f"{name} {value!r}: give a number of pixels from 1, or one for each of the "
            f"{len(default)} sides"
        )
    return numbers
