"""The notes of an explanation: sentences about what looks odd in it.

Each says what is odd and, after a colon, what would help, with the flags of the command line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.conservation import is_incomplete, is_noise
from onnxplain.engine.run import Chosen, Run
from onnxplain.engine.runtime import Projections
from onnxplain.graphops.options import BASELINE, STEPS

__all__ = ["notes_of"]

DOT = 16  # a picture this many times larger than the receptive field shows a projection as a dot
POSITIVE = ("deconvnet", "guided_backprop")  # they pass positive signals only
EVEN = 1e-6  # the relative variation below which a map is the same everywhere


def notes_of(
    run: Run, chosen: Chosen, labels: Sequence[str], image: int, result: Projections
) -> Iterator[str]:
    """Yield the notes on the result of some units of an image."""
    yield from _position_notes(run, run.rows[image])
    yield from _unit_notes(run, chosen, labels, image)
    yield from _result_notes(run, result)


def _position_notes(run: Run, row: npt.NDArray[Any]) -> Iterator[str]:
    """Yield a note on the default position of a class score, and where it shows next to nothing."""
    score = run.subject.score
    is_default = run.position is None and run.options.position == "max"
    if score is not None and score.has_positions and is_default:
        yield (
            f"the class score '{score.tensor}' has positions, and the signal starts at the "
            "strongest one: choose --position all for all of them"
        )
        return
    whole_picture = max(row.shape)
    field = [size or whole_picture for size in run.subject.layer.receptive_field or ()]
    explicit = run.position is not None or run.options.select == "whole"
    if explicit or run.method.position != "max" or not field or DOT * max(field) > whole_picture:
        return
    yield (
        f"a unit of '{run.subject.layer.tensor}' sees {'x'.join(map(str, field))} pixels, and "
        f"{run.method.name} starts at its strongest position only: choose --position all to see "
        "where else it is active"
    )


def _unit_notes(run: Run, chosen: Chosen, labels: Sequence[str], image: int) -> Iterator[str]:
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


def _result_notes(run: Run, result: Projections) -> Iterator[str]:
    """Yield notes on attributions that say nothing, or not what their method promises."""
    yield from result.notes
    attribution, error = result.attribution, result.completeness_error
    if not (np.isfinite(attribution).all() and np.isfinite(result.score).all()):
        yield (
            "some values are NaN or infinite, and drawn as zero: the network overflows, or the "
            "picture has such values; check --preprocess"
        )
        return
    zero = ~attribution.reshape(len(attribution), -1).any(axis=1)
    inactive = zero & (result.score == 0)
    if inactive.any() and run.method.over != "map":
        yield (
            f"a unit of '{run.subject.layer.tensor}' is zero on the picture, and so is its map: "
            "choose another with --channel (top:K takes the strongest), or another picture"
        )
        zero &= ~inactive
    if zero.any():
        yield _zero_note(run)
    if _is_even(run, attribution[~zero & ~inactive]):
        yield (
            f"a map of {run.method.name} is the same at every position, so it shows no place: "
            "choose another --layer or --method"
        )
    if error is not None:
        yield from _conservation_notes(run, attribution[~zero], error[~zero])


def _zero_note(run: Run) -> str:
    """Return the note on a map of zeros, by what may have made it so."""
    layer, to, negated = run.subject.layer, run.subject.to, run.options.negate
    name = run.method.name
    advice = "leave --negate out" if negated else "--negate shows the evidence against"
    if run.method.over == "map":
        what = "class" if "class score" in layer.marks else "unit"
        side = "negative evidence against" if negated else "positive evidence for"
        return f"no {side} this {what} in '{to}', so the map of {name} is zero everywhere: {advice}"
    if name in POSITIVE:
        return (
            f"no positive signal gets from '{layer.tensor}' to '{to}' by {name}, so the map is "
            f"zero everywhere: {advice}, or choose --method gradient"
        )
    if not run.method.exportable:
        return (
            f"a map of {name} is zero everywhere, since covering '{to}' does not change the score: "
            "choose another --layer, --channel or --baseline"
        )
    if BASELINE in run.method.takes:
        return (
            f"a map of {name} is zero everywhere, since no signal gets from '{layer.tensor}' to "
            f"'{to}', or it equals the baseline: choose another --baseline, --layer or --channel"
        )
    return (
        f"a map of {name} is zero everywhere, since no signal gets from '{layer.tensor}' to "
        f"'{to}': choose another --layer or --channel, or --method occlusion, which needs no signal"
    )


def _is_even(run: Run, attribution: npt.NDArray[Any]) -> bool:
    """Tell whether one of the attributions [units, ...] has one value in each of its channels."""
    at_picture = run.subject.to == run.subject.input.name and run.method.over == "target"
    axis = run.subject.input.channel_axis if at_picture else 0
    if attribution.ndim < 3 or not len(attribution):
        return False
    by_channel = np.moveaxis(attribution, 1 + axis, 1)
    by_channel = by_channel.reshape(*by_channel.shape[:2], -1)
    if by_channel.shape[2] < 2:
        return False
    variation = np.ptp(by_channel, axis=2).max(axis=1)
    return bool((variation <= EVEN * np.abs(by_channel).max(axis=(1, 2))).any())


def _conservation_notes(
    run: Run, attribution: npt.NDArray[Any], error: npt.NDArray[Any]
) -> Iterator[str]:
    """Yield notes on attributions [units, ...] whose sums are not what the method promises."""
    layer, to = run.subject.layer.tensor, run.subject.to
    name, taken = run.method.name, run.method.takes
    if not len(error):
        return
    noise = is_noise(attribution, error)
    if noise.any():
        yield (
            f"less than a thousandth of the score of '{layer}' reaches '{to}' by {name}, which may "
            "be rounding noise, and is not drawn: choose another --method"
        )
    attribution, error = attribution[~noise], error[~noise]
    if not len(error) or not is_incomplete(attribution, error).any():
        return
    changes = STEPS in taken or BASELINE in taken
    promised = "f(input) - f(baseline)" if changes else f"the relevance at '{layer}'"
    amount = "100 %" if is_incomplete(attribution, error, 1.0).any() else "1 %"
    if STEPS in taken:
        advice = "the gradient jumps between two steps, take more steps with --steps"
    else:
        causes = "products of two signals" if changes else "biases, products of two signals"
        advice = (
            f"{causes}, softmaxes and normalisations take up or add some; compare with --method "
            "integrated_gradients"
        )
    yield (
        f"the sum of an attribution by {name} differs from {promised} by more than {amount}, see "
        f"the completeness error: {advice}"
    )
