"""Methods that are one graph: each run takes as many units as fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.methods.baseline import baseline_row, channel_axis_of
from onnxplain.engine.run import Chosen, ProjectedUnits, Run, batches
from onnxplain.engine.runtime import Plan

__all__ = ["project"]

Array = npt.NDArray[Any]


def project(run: Run, chosen: Chosen) -> Iterator[ProjectedUnits]:
    """Yield the projections in the order of images and units.

    One run takes as many images, or as many units of one image, as fit into memory.
    """
    plan = run.plan(run.method, run.options)
    has_baseline = run.own.get("baseline") is not None
    units = chosen.channels.shape[1]
    for group in batches(run.rows, plan.footprint, run.memory_bytes, units):
        shape = run.rows[group[0]].shape
        limit = plan.footprint.max_batch(shape, run.memory_bytes)
        for start in range(0, units, limit):
            chunk = slice(start, start + limit)
            width = chosen.channels[0, chunk].size
            added = _unit_inputs(plan, chosen, group, chunk)
            if has_baseline:
                added["baseline"] = _baseline(run, run.rows[group[0]])[None]
            result = plan.run([run.rows[i] for i in group], added, run.stop)
            for i, image in enumerate(group):
                yield image, chunk, result.rows(i * width, (i + 1) * width)


def _baseline(run: Run, row: Array) -> Array:
    """Return the baseline in the shape of the target."""
    if run.subject.to == run.subject.input.name:
        return baseline_row(run.own, row.shape, channel_axis_of(run.subject.input))
    (value,) = run.activity(run.subject.to).run([row], run.stop)
    return baseline_row(run.own, np.shape(value))


def _unit_inputs(plan: Plan, chosen: Chosen, group: list[int], chunk: slice) -> dict[str, Array]:
    """Return the inputs of a run that select its units."""
    if plan.select == "whole":
        return {}
    width = chosen.channels[0, chunk].size
    added: dict[str, Array] = {
        "image_index": np.repeat(np.arange(len(group)), width),
        "channel": chosen.channels[group, chunk].ravel(),
    }
    if chosen.positions is not None:
        added["position"] = chosen.positions[group, chunk].reshape(len(group) * width, -1)
    return added
