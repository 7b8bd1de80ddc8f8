"""A feature through training: the same layer of one network at several checkpoints."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from PIL import Image

from onnxplain.engine.engine import Engine
from onnxplain.engine.explanation import Explanation
from onnxplain.engine.figure import Note, Panel, figure
from onnxplain.engine.pictures import enlarged, projection
from onnxplain.engine.preprocess import Preprocess
from onnxplain.engine.reading import Picture
from onnxplain.engine.units import Units
from onnxplain.graphops.errors import OptionError

__all__ = ["draw_training", "through_training"]

SIDE = 128

Path = str | os.PathLike[str]


def through_training(
    engine: Engine,
    checkpoints: Sequence[Path],
    picture: Picture,
    layer: str | None = None,
    method: str = "deconvnet",
    units: Units = None,
    *,
    preprocess: Preprocess | str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Explanation]:
    """Return the explanation of one picture by each checkpoint, for the same channels.

    units: as in `Engine.explain`; the strongest ones are those of the last checkpoint. After Zeiler
    and Fergus 2014, figure 4. Raises OptionError without checkpoints.
    """
    if not checkpoints:
        raise OptionError("there are no checkpoints: give at least one model")
    last = engine.explain(checkpoints[-1], picture, layer, method, units, preprocess=preprocess)
    found = []
    for number, checkpoint in enumerate(checkpoints[:-1]):
        progress(number, len(checkpoints))
        channels = "whole" if last.channels[0, 0] < 0 else last.channels[0].tolist()
        found.append(
            engine.explain(checkpoint, picture, layer, method, channels, preprocess=preprocess)
        )
    return [*found, last]


def draw_training(explanations: Sequence[Explanation], checkpoints: Sequence[Path]) -> Image.Image:
    """Draw one row a feature and one column a checkpoint."""
    rows: list[list[Panel | None]] = []
    for unit, channel in enumerate(explanations[0].channels[0].tolist()):
        row: list[Panel | None] = []
        for explanation, checkpoint in zip(explanations, checkpoints, strict=True):
            name = os.path.splitext(os.path.basename(checkpoint))[0]
            drawn = enlarged(projection(explanation.attribution[0, unit]), SIDE)
            score = f"{explanation.score[0, unit]:.3g}"
            row.append(
                Panel((f"{channel} · {name} ({score})", f"{name} ({score})", name), (drawn,))
            )
        rows.append(row)
    last = explanations[-1]
    note = Note(
        "One row a channel, one column a checkpoint; each scaled by its own largest values."
    )
    return figure(rows, f"{last.method} · {last.layer} through training", [note])
