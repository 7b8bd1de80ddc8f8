"""Running a method: one graph, the sum of many gradients, or a method of the engine."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from onnxplain.engine.methods.activations import activations
from onnxplain.engine.methods.registry import EngineMethod
from onnxplain.engine.methods.sampled import sampled
from onnxplain.engine.methods.single_graph import project
from onnxplain.engine.run import Chosen, ProjectedUnits, Run

__all__ = ["run_method"]


def run_method(run: Run, chosen: Chosen) -> Iterator[ProjectedUnits]:
    """Yield the projections of the chosen units, in the order of images and units.

    NumPy is silent about values that are not finite: a note tells of them.
    """
    projected = _projected(run, chosen)
    while True:
        with np.errstate(invalid="ignore", over="ignore"):
            found = next(projected, None)
        if found is None:
            return
        yield found


def _projected(run: Run, chosen: Chosen) -> Iterator[ProjectedUnits]:
    method = run.method
    if isinstance(method, EngineMethod):
        return method.run(run, chosen)
    if method.accumulated:
        return sampled(run, chosen)
    if method.over == "layer":
        return activations(run, chosen)
    return project(run, chosen)
