"""The explanations of the same pictures by several methods, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy.typing as npt
from PIL import Image

from onnxplain.engine.choices import Choices
from onnxplain.engine.drawing import (
    Note,
    Panel,
    View,
    enlarged,
    even_columns,
    figure,
    overlay,
)
from onnxplain.engine.engine import Engine
from onnxplain.engine.explanation import Explanation
from onnxplain.engine.methods import own_options
from onnxplain.engine.pictures import Images
from onnxplain.engine.runtime import Model
from onnxplain.engine.units import Units
from onnxplain.graphops.errors import OptionError

__all__ = ["SideBySide", "maps"]

SIDE = 128
COLUMNS = 4


@dataclass(frozen=True, eq=False)
class SideBySide(View):
    """Explanations of the same pictures, with as many units each, one per method."""

    explanations: tuple[Explanation, ...]

    @property
    def notes(self) -> tuple[str, ...]:  # type: ignore[override]
        """The notes of all explanations, each once."""
        return tuple(dict.fromkeys(note for one in self.explanations for note in one.notes))

    def draw(self) -> Image.Image:
        """Draw each picture, then one panel per method: its map, and the map over the picture.

        Raises:
            OptionError: an attribution has no height and width.
        """
        for explanation in self.explanations:
            explanation.require_drawable()
        first = self.explanations[0]
        images, units = first.channels.shape
        shown = (explanation.shown_pictures() for explanation in self.explanations)
        inputs = next(filter(None, shown), ())
        wide = any(explanation.wide for explanation in self.explanations)
        columns = 1 if wide else even_columns(len(self.explanations), COLUMNS)
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
                        captions = first.named(first.captions(image, unit), image)
                        picture = Panel(captions, (enlarged(inputs[image], SIDE),))
                        row.insert(0, None if start else picture)
                    rows.append(row)
        title = f"{len(self.explanations)} methods · {first.layer}"
        return figure(rows, title, self.legend(), self.notes)

    def panel(self, explanation: Explanation, image: int, unit: int) -> Panel:
        """Draw one method's map of a unit, and the map over the picture.

        Args:
            explanation: the method's explanation.
            image: the index of the picture.
            unit: the index of the unit.

        Returns:
            The panel; its caption names the unit where it differs from the first explanation's.

        Raises:
            IndexError: there is no such picture or unit.
        """
        pictures = [explanation.shown(image, unit, SIDE)]
        shown = explanation.shown_pictures()
        if shown and explanation.drawn_as != "picture":
            over = overlay(explanation.denoised(image, unit), shown[image])
            pictures.append(enlarged(over, SIDE))
        first = self.explanations[0]
        own, others = (one.captions(image, unit)[-1] for one in (explanation, first))
        if explanation.layer == first.layer and own == others:
            return Panel((explanation.method,), tuple(pictures))
        where = f"of {own} · {explanation.method}"
        return Panel((f"{explanation.method} of {own}", where), tuple(pictures))

    def legend(self) -> list[Note]:
        """Return the meaning of the colours, and the methods that explain another layer."""
        first = self.explanations[0]
        notes = []
        for one in self.explanations:
            notes += one.legend(bool(one.shown_pictures()))
            if one.layer != first.layer:
                notes.append(Note(f"{one.method} explains units of {one.layer}"))
        return list({note.text: note for note in notes}.values())

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of every explanation, named METHOD.NAME."""
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
    """Explain units by one method, or by several side by side.

    Args:
        engine: the engine that explains.
        model: as in `Engine.explain`, like the arguments below.
        pictures: one or several pictures, or one preprocessed float array.
        methods: the names of the methods.
        layer: a tensor, node or module; None for the class score.
        units: the units of each picture.
        **choices: see `Choices`; an option of single methods is for those that take it.

    Returns:
        The explanation by the only method, or all of them side by side.

    Raises:
        OptionError: there are no methods, or none takes an option.
        InputError, ModelError, DeviceError, Cancelled: as `Engine.explain`.
    """
    explanations = []
    for method in methods:
        own = own_options(choices, method, methods)
        explanations.append(engine.explain(model, pictures, layer, method, units, **own))
    if not explanations:
        raise OptionError("there are no methods: give at least one")
    return explanations[0] if len(explanations) == 1 else SideBySide(tuple(explanations))
