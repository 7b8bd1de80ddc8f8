"""Which units of a layer an explanation is of, and where in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.run import Chosen, Work
from onnxplain.engine.units import Units, choose, place, strongest, top_count
from onnxplain.graphops import METHODS
from onnxplain.graphops.errors import OptionError

__all__ = ["choose_units", "is_whole", "pinpoints"]

SMALL = 16  # so many times larger than what a unit sees is a picture in which that is a dot


def choose_units(work: Work, units: Units, whole: bool) -> Chosen:
    """Return the channels and, where they are given, their positions. Raises InputError."""
    if whole:
        return Chosen(np.full((len(work.rows), 1), -1, np.int64))
    position = work.choices.get("position")
    given = position is not None and not isinstance(position, str)
    layer, rows = work.subject.layer, work.rows
    if top_count(units) is None and not given and layer.channels is not None:
        return Chosen(choose(units, len(rows), layer.channels, None, layer.tensor))
    axis = work.subject.channel_axis
    strengths, sizes = [], []
    for group, values in work.forward():
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


def pinpoints(work: Work, row: npt.NDArray[Any]) -> tuple[str, ...]:
    """Return a note where a method's own choice of one position leaves next to nothing to see."""
    own = METHODS[work.method].position if work.method in METHODS else "all"
    sees_all = max(row.shape)
    seen = [size or sees_all for size in work.subject.layer.receptive_field or ()]
    chosen = work.choices.get("position") is not None or work.options.select == "whole"
    if chosen or own != "max" or not seen or SMALL * max(seen) > sees_all:
        return ()
    return (
        f"a unit of '{work.subject.layer.tensor}' sees {'x'.join(map(str, seen))} pixels, and "
        f"{work.method} starts where it is strongest, there alone: choose position 'all' to see "
        "where else it is active",
    )


def is_whole(units: Units, method: str) -> bool:
    """Tell whether the layer is explained as one: asked for, or the method's default."""
    if units is None:
        return method in METHODS and METHODS[method].select == "whole"
    return isinstance(units, str) and units == "whole"  # an array compares its numbers
