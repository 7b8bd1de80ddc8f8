"""The notes of an explanation: sentences about what looks odd in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.run import Run
from onnxplain.engine.runtime import Projections
from onnxplain.graphops import Method
from onnxplain.graphops.options import STEPS

__all__ = ["position_notes", "result_notes"]

INCOMPLETE = 0.01  # relative completeness error above which a note is added
DOT = 16  # a picture this many times larger than the receptive field shows a projection as a dot


def position_notes(run: Run, row: npt.NDArray[Any]) -> Iterator[str]:
    """Yield a note where the method's default position leaves next to nothing to see."""
    whole_picture = max(row.shape)
    field = [size or whole_picture for size in run.subject.layer.receptive_field or ()]
    explicit = run.position is not None or run.options.select == "whole"
    if explicit or run.method.position != "max" or not field or DOT * max(field) > whole_picture:
        return
    yield (
        f"a unit of '{run.subject.layer.tensor}' sees {'x'.join(map(str, field))} pixels, and "
        f"{run.method.name} starts at its strongest position only: choose position 'all' to see "
        "where else it is active"
    )


def result_notes(method: Method, result: Projections) -> Iterator[str]:
    """Yield notes on values that are not finite, and on a large completeness error."""
    if not (np.isfinite(result.attribution).all() and np.isfinite(result.score).all()):
        yield (
            "some values are NaN or infinite: the network overflows, or the picture has such values"
        )
        return
    error = result.completeness_error
    if STEPS in method.takes and error is not None:
        change = result.attribution.reshape(len(error), -1).sum(axis=1, dtype=np.float64) - error
        if (np.abs(error) > INCOMPLETE * np.abs(change)).any():
            yield (
                "the sum of an attribution differs from f(input) - f(baseline) by more than 1 %, "
                "see the completeness error: the gradient jumps between two steps, take more steps"
            )
