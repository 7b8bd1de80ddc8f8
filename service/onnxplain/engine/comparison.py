"""Several methods' explanations of the same pictures, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Unpack, cast

import numpy.typing as npt
from PIL import Image

from onnxplain.engine.choices import Choices
from onnxplain.engine.engine import Engine
from onnxplain.engine.explanation import Explanation
from onnxplain.engine.figure import Note, Panel, figure
from onnxplain.engine.inputs import Images
from onnxplain.engine.opening import Model
from onnxplain.engine.pictures import enlarged, overlay, projection
from onnxplain.engine.units import Units
from onnxplain.engine.view import View
from onnxplain.graphops.errors import OptionError
from onnxplain.graphops.methods import takes

__all__ = ["SideBySide", "maps"]

SIDE = 128
COLUMNS = 4


@dataclass(frozen=True, eq=False)
class SideBySide(View):
    """Explanations of the same pictures and as many units, one for each method."""

    explanations: tuple[Explanation, ...]

    @property
    def notes(self) -> tuple[str, ...]:  # type: ignore[override]
        """What was assumed by any of them."""
        return tuple(dict.fromkeys(note for one in self.explanations for note in one.notes))

    def draw(self) -> Image.Image:
        """Draw each picture, then one panel a method: its map, and that laid over the picture.

        Raises OptionError where one is not a map.
        """
        for explanation in self.explanations:
            if explanation.attribution.ndim not in (4, 5):
                raise OptionError(
                    f"what '{explanation.method}' gives to '{explanation.to}' is not a picture and "
                    "cannot be drawn: save its numbers instead"
                )
        first = self.explanations[0]
        images, units = first.channels.shape
        columns = math.ceil(len(self.explanations) / math.ceil(len(self.explanations) / COLUMNS))
        rows: list[list[Panel | None]] = []
        for image in range(images):
            for unit in range(units):
                panels = [_panel(explanation, image, unit) for explanation in self.explanations]
                for start in range(0, len(panels), columns):
                    row: list[Panel | None] = list(panels[start : start + columns])
                    if first.pictures:
                        shown = Panel(
                            (first.captions(image, unit)[0], first.captions(image, unit)[-1]),
                            (enlarged(first.pictures[image], SIDE),),
                        )
                        row.insert(0, None if start else shown)
                    rows.append(row)
        note = Note(
            "Each map scaled by its own largest values; beside it, its strength on the picture."
        )
        return figure(rows, f"{len(self.explanations)} methods · {first.layer}", [note])

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return every explanation's arrays as METHOD.NAME."""
        return {f"{e.method}.{k}": v for e in self.explanations for k, v in e.arrays().items()}


def maps(
    engine: Engine,
    model: Model,
    pictures: Images,
    methods: Sequence[str],
    layer: str | None = None,
    units: Units = None,
    **choices: Unpack[Choices],
) -> Explanation | SideBySide:
    """Explain units by one method, or by several to be seen side by side.

    As `Engine.explain`; of the options that single methods take, each gets its own.
    """
    found = []
    for method in methods:
        others = {name for other in methods for name in takes(other)} - set(takes(method))
        own = {name: value for name, value in choices.items() if name not in others}
        found.append(engine.explain(model, pictures, layer, method, units, **cast(Choices, own)))
    if not found:
        raise OptionError("there are no methods: give at least one")
    return found[0] if len(found) == 1 else SideBySide(tuple(found))


def _panel(explanation: Explanation, image: int, unit: int) -> Panel:
    attribution = explanation.attribution[image, unit]
    drawn = [enlarged(projection(attribution), SIDE)]
    if explanation.pictures:
        drawn.append(enlarged(overlay(attribution, explanation.pictures[image]), SIDE))
    return Panel((explanation.method,), tuple(drawn))
