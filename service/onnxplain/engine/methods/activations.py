"""A layer's own maps: one forward run for all units of a picture."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from onnxplain.engine.methods.seeds import projections, signals
from onnxplain.engine.run import Chosen, ProjectedUnits, Run

__all__ = ["activations"]


def activations(run: Run, chosen: Chosen) -> Iterator[ProjectedUnits]:
    """Yield the units' values where the signal starts, as a rewritten graph does.

    [units, 1, *spatial], with the 1 on the channel axis; for a whole layer, the sum over channels.
    """
    axis = run.subject.channel_axis
    for group, values in run.forward():
        for image, own in zip(group, values, strict=True):
            units = signals(run, chosen, image, own)
            maps = [
                (s.weights * own).sum(axis=axis - 1)
                if s.channel is None
                else s.weights * np.take(own, s.channel, axis=axis - 1)
                for s in units
            ]
            yield image, slice(0, len(units)), projections(units, np.expand_dims(maps, axis))
