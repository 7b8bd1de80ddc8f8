"""Several methods' explanations of the same pictures, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy.typing as npt
from PIL import Image

from onnxplain.engine.drawing import Note, Panel, View, enlarged, figure, legend, overlay
from onnxplain.engine.engine import Engine
from onnxplain.engine.explanation import Explanation
from onnxplain.engine.methods import drawn_as, own_options
from onnxplain.engine.pictures import Images
from onnxplain.engine.runtime import Model
from onnxplain.engine.units import Units
from onnxplain.graphops.errors import OptionError

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
            explanation.require_drawable()
        first = self.explanations[0]
        images, units = first.channels.shape
        inputs = next((e.pictures for e in self.explanations if e.pictures), ())
        columns = math.ceil(len(self.explanations) / math.ceil(len(self.explanations) / COLUMNS))
        rows: list[list[Panel | None]] = []
        for image in range(images):
            for unit in range(units):
                panels = [self.panel(explanation, image, unit) for explanation in self.explanations]
                if not inputs:
                    captions = first.named(panels[0].captions, image)
                    panels[0] = replace(panels[0], captions=captions)
                for start in range(0, len(panels), columns):
                    row: list[Panel | None] = list(panels[start : start + columns])
                    if inputs:
                        whose = first.captions(image, unit)
                        captions = first.named((whose[0], whose[-1]), image)
                        shown = Panel(captions, (enlarged(inputs[image], SIDE),))
                        row.insert(0, None if start else shown)
                    rows.append(row)
        title = f"{len(self.explanations)} methods · {first.layer}"
        return figure(rows, title, self.legend())

    def panel(self, explanation: Explanation, image: int, unit: int) -> Panel:
        """Return a method's map, and the map over the picture.

        The caption names the unit where it differs from the first explanation's.
        """
        pictures = [enlarged(explanation.drawn(image, unit), SIDE)]
        if explanation.pictures and drawn_as(explanation.method) != "picture":
            over = overlay(explanation.attribution[image, unit], explanation.pictures[image])
            pictures.append(enlarged(over, SIDE))
        first = self.explanations[0]
        own, others = (one.captions(image, unit)[-1] for one in (explanation, first))
        if explanation.layer == first.layer and own == others:
            return Panel((explanation.method,), tuple(pictures))
        where = f"of {own} · {explanation.method}"
        return Panel((f"{explanation.method} of {own}", where), tuple(pictures))

    def legend(self) -> list[Note]:
        """Return what the colours mean, and which methods explain another layer, each once."""
        first = self.explanations[0]
        notes = []
        for one in self.explanations:
            notes += legend(one.attribution[0, 0], one.method, bool(one.pictures))
            if one.layer != first.layer:
                notes.append(Note(f"{one.method} explains units of {one.layer}"))
        return list({note.text: note for note in notes}.values())

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
    **choices: Any,
) -> Explanation | SideBySide:
    """Explain units by one method, or by several to be seen side by side.

    As `Engine.explain`; of the options that single methods take, each gets its own.
    """
    found = []
    for method in methods:
        own = own_options(choices, method, methods)
        found.append(engine.explain(model, pictures, layer, method, units, **own))
    if not found:
        raise OptionError("there are no methods: give at least one")
    return found[0] if len(found) == 1 else SideBySide(tuple(found))
