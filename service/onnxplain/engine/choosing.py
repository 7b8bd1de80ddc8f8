"""Which units of a layer an explanation is of, and where in it."""

from __future__ import annotations

import numpy as np

from onnxplain.engine.units import Units, choose, place, strongest, top_count
from onnxplain.engine.work import Chosen, Work, batches
from onnxplain.graphops import METHODS
from onnxplain.graphops.errors import OptionError

__all__ = ["choose_units", "is_whole"]


def choose_units(work: Work, units: Units, whole: bool) -> Chosen:
    """Return the channels and, where they are given, their positions. Raises InputError."""
    if whole:
        return Chosen(np.full((len(work.rows), 1), -1, np.int64))
    position = work.choices.get("position")
    given = position is not None and not isinstance(position, str)
    layer, rows = work.subject.layer, work.rows
    if top_count(units) is None and not given and layer.channels is not None:
        return Chosen(choose(units, len(rows), layer.channels, None, layer.tensor))
    activity, axis = work.activity(), work.subject.channel_axis
    strengths, sizes = [], []
    for group in batches(rows, activity.footprint, work.memory_bytes):
        values = activity.run([rows[i] for i in group], work.stop)
        if values.ndim <= axis:
            raise OptionError(
                f"layer '{layer.tensor}' has rank {values.ndim}, so it has no units: choose another"
            )
        strengths.append(strongest(values, axis))
        sizes += [values.shape[1:axis] + values.shape[axis + 1 :]] * len(group)
    strength = np.concatenate(strengths)
    chosen = choose(units, len(rows), strength.shape[1], strength, layer.tensor)
    if not given:
        return Chosen(chosen)
    return Chosen(chosen, place(position, sizes, chosen.shape[1], layer.tensor))


def is_whole(units: Units, method: str) -> bool:
    """Tell whether the layer is explained as one: asked for, or the method's default."""
    if units is None:
        return method in METHODS and METHODS[method].select == "whole"
    return isinstance(units, str) and units == "whole"  # an array compares its numbers
