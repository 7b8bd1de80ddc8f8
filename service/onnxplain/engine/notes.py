"""The notes of an explanation: sentences about what looks odd in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.run import Chosen, Run
from onnxplain.engine.runtime import Projections
from onnxplain.graphops import Method
from onnxplain.graphops.options import STEPS

__all__ = ["position_notes", "result_notes", "unit_notes"]

INCOMPLETE = 0.01  # relative completeness error above which a note is added
DOT = 16  # a picture this many times larger than the receptive field shows a projection as a dot


def position_notes(run: Run, row: npt.NDArray[Any]) -> Iterator[str]:
    """Yield a note on the default position of a class score, and where it shows next to nothing."""
    if run.subject.score is not None and run.position is None and run.options.position == "max":
        yield (
            f"the class score '{run.subject.layer.tensor}' has positions, and the signal starts at "
            "the strongest one: choose position 'all' for all of them"
        )
        return
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


def unit_notes(run: Run, chosen: Chosen, labels: Sequence[str], image: int) -> Iterator[str]:
    """Yield a note where the seed is negated, and where the strongest class may be background."""
    if run.options.negate:
        yield (
            "the signal starts with the opposite sign: the map shows the evidence against the unit"
        )
    score = run.subject.score
    if score is None or chosen.runner_up is None or not score.has_positions:
        return
    if chosen.channels[image, 0] == 0:
        second = int(chosen.runner_up[image])
        name = f" ({labels[second]})" if second < len(labels) else ""
        yield (
            f"channel 0 of '{score.tensor}' is the strongest, and may be the background: the next "
            f"strongest is channel {second}{name}"
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
