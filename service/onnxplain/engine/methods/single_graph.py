"""Methods that are one graph: each run takes as many units as fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.methods.baseline import baseline_row
from onnxplain.engine.methods.cropped import find_crops, project_crops
from onnxplain.engine.run import Chosen, ProjectedUnits, Run, batches

__all__ = ["project"]

Array = npt.NDArray[Any]


def project(run: Run, chosen: Chosen) -> Iterator[ProjectedUnits]:
    """Yield the projections in the order of images and units, of crops where these are cheaper."""
    crops = find_crops(run)
    return _project_whole(run, chosen) if crops is None else project_crops(run, chosen, crops)


def _project_whole(run: Run, chosen: Chosen) -> Iterator[ProjectedUnits]:
    """Yield the projections from the whole pictures.

    One run takes as many images, or as many units of one image, as fit into memory.
    """
    units = chosen.channels.shape[1]
    plan = run.plan(run.method, run.options, one_unit=units == 1)
    has_baseline = run.own.get("baseline") is not None
    memory_bytes = run.sample_bytes if units == 1 else run.memory_bytes
    for group in batches(run.rows, plan.footprint, memory_bytes, units):
        shape = run.rows[group[0]].shape
        limit = plan.footprint.max_batch(shape, memory_bytes, units)
        for start in range(0, units, limit):
            chunk = slice(start, start + limit)
            width = chosen.channels[0, chunk].size
            added = chosen.added(group, chunk)
            if has_baseline:
                added["baseline"] = _baseline(run, group[0])[None]
            rows = [run.rows[i] for i in group]
            result = plan.run(rows, added, run.stop, run.others_of(group))
            for i, image in enumerate(group):
                yield image, chunk, result.rows(i * width, (i + 1) * width)


def _baseline(run: Run, image: int) -> Array:
    """Return the baseline in the shape of the target."""
    if run.subject.to == run.subject.input.name:
        return baseline_row(run.own, run.rows[image].shape, run.subject.input.channel_axis)
    (value,) = run.values([image], run.activity(run.subject.to))
    return baseline_row(run.own, np.shape(value))
