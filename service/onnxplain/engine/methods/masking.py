"""The part that occlusion and RISE share: the scores of units on masked copies of an image."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.methods.baseline import baseline_row
from onnxplain.engine.methods.seeds import Signal, projections, signals
from onnxplain.engine.run import Chosen, Run
from onnxplain.engine.runtime import Projections
from onnxplain.graphops.errors import UnsupportedModel

__all__ = ["Masking", "masked_scores"]

Array = npt.NDArray[Any]
MaskAt = Callable[[int], Array]  # returns the mask of an index, 0 where the image is covered
Scores = Iterator[tuple[int, Array, Array]]


@dataclass(frozen=True)
class Masking:
    """The geometry of an image's masks: its channel axis and its other sides."""

    axis: int
    sides: tuple[int, ...]

    @staticmethod
    def of(run: Run, row: Array) -> Masking:
        """Return the geometry for an image [C, H, W]."""
        if row.ndim < 2:
            raise UnsupportedModel(
                f"the input '{run.subject.input.name}' has no height or width to cover: choose "
                "another method"
            )
        axis = run.subject.input.channel_axis
        return Masking(axis, row.shape[:axis] + row.shape[axis + 1 :])

    @property
    def ones(self) -> tuple[int, ...]:
        """The shape of a number that broadcasts over a mask."""
        return (1,) * len(self.sides)

    def masked(self, row: Array, baseline: Array, mask: Array) -> Array:
        """Return the image where the mask is 1, the baseline where it is 0."""
        over = np.expand_dims(mask, self.axis)
        mixed: Array = row * over + baseline * (1 - over)
        return (np.rint(mixed) if row.dtype.kind in "iu" else mixed).astype(row.dtype)

    def result(self, units: Sequence[Signal], total: npt.NDArray[np.float64]) -> Projections:
        """Return maps [units, H, W] as projections with one channel."""
        return projections(units, np.expand_dims(total, 1 + self.axis))


def masked_scores(
    run: Run, chosen: Chosen, image: int, masking: Masking, count: int, mask_at: MaskAt
) -> Iterator[tuple[slice, list[Signal], npt.NDArray[np.float64], Scores]]:
    """Yield for each chunk of units: its slice, its signals, maps of zeros, and its scores.

    The scores are an iterator of (index of the mask, the mask, [units]), for each of `count` masks.
    """
    activity, row = run.activity(), run.rows[image]
    (values,) = run.values([image])
    units = signals(run, chosen, image, values)
    # The float64 maps of a chunk of units take a quarter of the memory at most.
    most = max(1, run.memory_bytes // (4 * 8 * math.prod(masking.sides)))
    at_once = activity.footprint.max_batch(row.shape, run.sample_bytes)
    baseline = baseline_row(run.own, row.shape, masking.axis)

    def scored(part: list[Signal]) -> Scores:
        for first in range(0, count, at_once):
            last = min(first + at_once, count)
            masks = [mask_at(i) for i in range(first, last)]
            rows = [masking.masked(row, baseline, mask) for mask in masks]
            values = activity.run(rows, run.stop, run.others_of([image] * len(rows)))
            scores = np.stack([signal.dot(values) for signal in part], axis=1)
            yield from zip(range(first, last), masks, scores, strict=True)
            run.report(last, count)

    for start in range(0, len(units), most):
        part = units[start : start + most]
        total = np.zeros((len(part), *masking.sides))
        yield slice(start, start + len(part)), part, total, scored(part)
