"""The pages of occlusion and sliding windows: a grid of values as heat over the picture."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from onnxplain.engine.drawing import (
    Frame,
    Page,
    Panel,
    Style,
    arranged,
    frame_of,
    grid_panel,
    number,
    picture_panel,
)

if TYPE_CHECKING:
    from onnxplain.engine.views.covering import Covered
    from onnxplain.engine.views.sliding_window import Sliding

__all__ = ["covered_page", "sliding_page"]

COVERED_WIDTH, SLIDING_WIDTH = 3.0, 4.0  # of a panel in inches


def covered_page(one: Covered, style: Style) -> Page:
    """Return the picture and both maps over it, dark where covering lowers the value most."""
    frame = frame_of(one.picture, one.photograph, one.preprocess, style)
    of_class = [f"{one.quantity} of {one.label}", one.quantity]
    of_class.insert(1, of_class[0].partition(",")[0])  # ImageNet's names list their synonyms
    of_channel = [f"score of {one.channel_label}", "score"]
    legend = []
    if not one.channel_label:
        legend = [f"Channel {one.channel} of {one.layer}: the sum of its values"]
        of_channel = [f"channel {one.channel} of {one.layer}", f"channel {one.channel}"]
    panels = [
        picture_panel(("input",), frame, "picture"),
        _covered_panel(one, of_class, one.quantity, one.probability, one.untouched[0], frame),
        _covered_panel(one, of_channel, "strength", one.strength, one.untouched[1], frame),
    ]
    return Page(
        f"Covered piece by piece · {one.label}, {one.quantity} {number(one.untouched[0])}",
        arranged([[replace(panel, width=COVERED_WIDTH) for panel in panels]], style),
        legend,
        one.notes,
    )


def _covered_panel(
    one: Covered,
    names: Sequence[str],
    name: str,
    values: npt.NDArray[np.float64],
    untouched: float,
    frame: Frame,
) -> Panel:
    """Return the panel of a map. names: what its values are, the longest first."""
    starts = (one.rows, one.columns)
    centres = [
        [(start + min(start + one.window, size)) / 2 for start in along]
        for along, size in zip(starts, one.picture.shape, strict=False)
    ]
    gaps = [b - a for along in starts for a, b in itertools.pairwise(along)]
    return grid_panel(
        [*(f"{words}, uncovered {number(untouched)}" for words in names), names[-1]],
        values,
        (float(values.min()), max(float(values.max()), untouched)),
        centres,
        min(one.window, max(gaps, default=one.window)) / 2,
        one.picture.shape[:2],
        frame,
        bar=f"Each colour lies at the centre of a covered square of {one.window} pixels of the "
        "network's input; a triangle marks the value of the uncovered picture",
        low_is_strong=True,
        name=name,
        marked=untouched,
    )


def sliding_page(one: Sliding, style: Style) -> Page:
    """Return the picture, with the strongest window outlined, beside the heat map."""
    finite = one.scores[np.isfinite(one.scores)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    frame = frame_of(one.picture, one.photograph, one.preprocess, style)
    name = one.label or f"channel {one.channel}"
    of_class = f"{one.quantity} of {name}"
    windows = f"{one.scores.shape[0]} x {one.scores.shape[1]} windows"
    top, left = (place * step for place, step in zip(one.best, one.stride, strict=True))
    best = (top, left, top + one.window[0], left + one.window[1])
    sides = zip(one.scores.shape, one.stride, one.window, strict=True)
    panels = [
        picture_panel(
            (f"strongest window, {one.quantity} {number(high)}", "strongest window"),
            frame,
            "strongest_window",
            [frame.place(best, one.picture.shape)],
        ),
        grid_panel(
            (f"{of_class}, {windows}", of_class, of_class.partition(",")[0]),
            one.scores,
            (low, high),
            [np.arange(count) * stride + window / 2 for count, stride, window in sides],
            max(one.stride) / 2,
            one.picture.shape[:2],
            frame,
            bar=f"Each colour lies at the centre of a window of {one.window[0]} x {one.window[1]} "
            "pixels; grey: no window is centred there",
            name="heat_map",
        ),
    ]
    return Page(
        f"Sliding window · {name}, {one.quantity} up to {number(high)}",
        arranged([[replace(panel, width=SLIDING_WIDTH) for panel in panels]], style),
        notes=one.notes,
    )
