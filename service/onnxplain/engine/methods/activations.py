"""A layer's own maps: one run forward for all units of a picture, however many they are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from onnxplain.engine.methods.signals import projections, signals
from onnxplain.engine.run import Chosen, ProjectedUnits, Run

__all__ = ["activations"]


def activations(run: Run, chosen: Chosen) -> Iterator[ProjectedUnits]:
    """Yield the units' own values where the signal starts, as a rewritten graph gives them.

    [units, 1, *spatial], with the channels' axis at its place; of a whole layer the channels' sum.
    """
    axis = run.subject.channel_axis
    for group, values in run.forward():
        for image, own in zip(group, values, strict=True):
            placed = signals(run, chosen, image, own)
            maps = [
                (s.weights * own).sum(axis=axis - 1)
                if s.channel is None
                else s.weights * np.take(own, s.channel, axis=axis - 1)
                for s in placed
            ]
            yield image, slice(0, len(placed)), projections(placed, np.expand_dims(maps, axis))
