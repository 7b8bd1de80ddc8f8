"""The explanations of the same pictures by several methods, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Unpack, cast

import numpy.typing as npt
from PIL import Image

from onnxplain.engine.arguments import CheckedChoices
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
from onnxplain.engine.explainer import Explainer
from onnxplain.engine.explanation import Explanation
from onnxplain.engine.methods import find_method, own_options
from onnxplain.engine.pictures import Images
from onnxplain.engine.runtime import Model
from onnxplain.engine.signatures import with_choices
from onnxplain.engine.units import Units
from onnxplain.graphops import Method
from onnxplain.graphops.errors import ModelError, OptionError, nearest, one_line

__all__ = ["SideBySide", "explain_by_each", "maps"]

SIDE = 128
COLUMNS = 4


@dataclass(frozen=True, eq=False)
class SideBySide(View, Mapping[str, Explanation]):
    """Explanations of the same pictures, with as many units each, by the names of their methods.

    explanations: one per method.
    refused: by the name of each method that cannot explain the network so, the reason.
    """

    explanations: tuple[Explanation, ...]
    refused: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, method: str) -> Explanation:
        for one in self.explanations:
            if one.method == method:
                return one
        if method in self.refused:
            raise KeyError(f"{method} is left out: {self.refused[method]}")
        raise KeyError(f"no method '{method}' ({nearest(method, self)})")

    def __iter__(self) -> Iterator[str]:
        return (one.method for one in self.explanations)

    def __len__(self) -> int:
        return len(self.explanations)

    @property
    def notes(self) -> tuple[str, ...]:  # type: ignore[override]
        """The methods that are left out, and the notes of all explanations, each once."""
        refused = (f"{method} is left out: {reason}" for method, reason in self.refused.items())
        of_each = (note for one in self.explanations for note in one.notes)
        return tuple(dict.fromkeys((*refused, *of_each)))

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


@with_choices
def maps(
    engine: Explainer,
    model: Model,
    pictures: Images,
    methods: Sequence[str | Method],
    layer: str | None = None,
    units: Units = None,
    **choices: Unpack[Choices],
) -> Explanation | SideBySide:
    """Explain units by one method, or by several side by side.

    Args:
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
    if len(methods) == 1:
        return engine.explain(model, pictures, layer, methods[0], units, **choices)
    return explain_by_each(engine, model, pictures, methods, layer, units, **choices)


def explain_by_each(
    engine: Explainer,
    model: Model,
    pictures: Images,
    methods: Sequence[str | Method],
    layer: str | None,
    units: Units,
    **choices: Unpack[Choices],
) -> SideBySide:
    """Explain units by each of several methods.

    A method that cannot explain the network, or not with these options, is left out, and the result
    says why. Raises the error of the first one where all are.
    """
    found = [find_method(method) for method in methods]
    names = [method.name for method in found]
    if not found:
        raise OptionError("there are no methods: give at least one")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise OptionError(f"method '{twice}' is named twice: name each method once")
    own = [own_options(choices, method, found) for method in found]
    for method, options in zip(found, own, strict=True):
        CheckedChoices.of(method, cast(Choices, options))  # refuses wrong options before the work
    model = engine.open(model)
    explanations: list[Explanation] = []
    errors: dict[str, OptionError | ModelError] = {}
    for method, options in zip(found, own, strict=True):
        try:
            explanations.append(engine.explain(model, pictures, layer, method, units, **options))
        except (OptionError, ModelError) as e:
            errors[method.name] = e
    refused = {name: one_line(error) for name, error in errors.items()}
    if not explanations:
        first = next(iter(errors.values()))
        if len(set(refused.values())) == 1:
            raise first
        reasons = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
        raise type(first)(f"none of the methods can explain this: {reasons}") from first
    return SideBySide(tuple(explanations), refused)
