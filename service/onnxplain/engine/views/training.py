"""A feature through training: the same layer of one network at several checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from onnxplain.engine.drawing import Note, Panel, View, enlarged, figure, legend, name_pictures
from onnxplain.engine.engine import Engine
from onnxplain.engine.explanation import Explanation
from onnxplain.engine.pictures import Picture, Preprocess
from onnxplain.engine.runtime import Model
from onnxplain.engine.units import Units
from onnxplain.graphops.errors import (
    ChannelError,
    ModelError,
    OptionError,
    PictureError,
    UnknownLayer,
)

__all__ = ["Training", "through_training"]

SIDE = 192


@dataclass(frozen=True, eq=False)
class Training(View):
    """What the same channels are in one picture, by each checkpoint.

    checkpoints: their names. explanations: one for each, of the picture and the same channels.
    """

    checkpoints: tuple[str, ...]
    explanations: tuple[Explanation, ...]
    notes: tuple[str, ...] = ()

    def draw(self) -> Image.Image:
        """Draw one row a feature and one column a checkpoint. Raises OptionError for no maps."""
        for explanation in self.explanations:
            explanation.require_drawable()
        rows: list[list[Panel | None]] = []
        last = self.explanations[-1]
        for unit in range(last.channels.shape[1]):
            channel = last.captions(0, unit)[-1]
            row: list[Panel | None] = []
            for explanation, name in zip(self.explanations, self.checkpoints, strict=True):
                value = f"{explanation.strength[0, unit]:.3g}"
                captions = (f"{channel} · {name} ({value})", f"{channel} · {name}", channel)
                row.append(Panel(captions, (enlarged(explanation.drawn(0, unit), SIDE),)))
            rows.append(row)
        notes = [
            Note(
                f"One row a channel, one column a checkpoint; in brackets the {last.strength_name}"
            ),
            *legend(last.attribution[0, 0], last.method, False),
        ]
        return figure(rows, f"{last.method} · {last.layer} through training", notes)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return attribution [checkpoints, units, ...], score [checkpoints, units] and channels."""
        return {
            "attribution": np.concatenate([one.attribution for one in self.explanations]),
            "score": np.concatenate([one.score for one in self.explanations]),
            "channels": self.explanations[-1].channels[0],
            "checkpoints": np.array(self.checkpoints),
            "layer": np.array(self.explanations[-1].layer),
            "method": np.array(self.explanations[-1].method),
        }


def through_training(
    engine: Engine,
    checkpoints: Sequence[Model],
    picture: Picture,
    layer: str | None = None,
    method: str = "deconvnet",
    units: Units = None,
    *,
    names: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    preprocess: Preprocess | str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Training:
    """Explain one picture by each checkpoint, for the same channels.

    units: as in `Engine.explain`; the strongest ones are those of the last checkpoint. names: of
    the checkpoints, default their files'. After Zeiler and Fergus 2014, figure 4.

    Raises OptionError without checkpoints or where they are of different networks, and what
    `Engine.explain` raises.
    """
    if not checkpoints:
        raise OptionError("there are no checkpoints: give at least one model")
    called = name_pictures(checkpoints, names, what="checkpoint")
    called = tuple(name.removesuffix(".onnx") for name in called)

    def explained(number: int, channels: Units) -> Explanation:
        try:
            return engine.explain(
                checkpoints[number], picture, layer, method, channels, preprocess=preprocess,
                labels=labels,
            )  # fmt: skip
        except (UnknownLayer, ChannelError, PictureError, ModelError) as e:
            raise type(e)(f"checkpoint '{called[number]}': {e}") from e

    progress(0, len(checkpoints))
    last = explained(len(checkpoints) - 1, units)
    progress(1, len(checkpoints))
    channels: Units = "whole" if last.channels[0, 0] < 0 else last.channels[0].tolist()
    found = []
    for number, name in enumerate(called[:-1]):
        one = explained(number, channels)
        progress(number + 2, len(checkpoints))
        shapes = [list(e.attribution.shape[2:]) for e in (one, last)]
        if shapes[0] != shapes[1]:
            raise OptionError(
                f"checkpoint '{name}' gives maps {shapes[0]}, and '{called[-1]}' {shapes[1]}: they "
                "are not of one network, leave one of them out"
            )
        found.append(one)
    found.append(last)
    notes = tuple(dict.fromkeys(note for one in found for note in one.notes))
    return Training(called, tuple(found), notes)
