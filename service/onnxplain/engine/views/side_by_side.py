"""The explanations of the same pictures by several methods, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import numpy.typing as npt

from onnxplain.engine.choices import Choices
from onnxplain.engine.drawing import (
    Page,
    Panel,
    Style,
    StyleOptions,
    View,
    even_columns,
    method_title,
)
from onnxplain.engine.engine import Engine
from onnxplain.engine.explanation import Explanation
from onnxplain.engine.explanation_page import title_of
from onnxplain.engine.explanation_panels import What
from onnxplain.engine.methods import own_options
from onnxplain.engine.pictures import Images
from onnxplain.engine.runtime import Model
from onnxplain.engine.units import Units
from onnxplain.graphops.errors import OptionError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SideBySide", "maps"]

TOGETHER = 3  # the most methods of a row, each with its map and its overlay


@dataclass(frozen=True, eq=False)
class SideBySide(View):
    """Explanations of the same pictures, with as many units each, one per method."""

    explanations: tuple[Explanation, ...]

    @property
    def notes(self) -> tuple[str, ...]:  # type: ignore[override]
        """The notes of all explanations, each once."""
        return tuple(dict.fromkeys(note for one in self.explanations for note in one.notes))

    def page(self, style: Style) -> Page:
        """Draw each picture, then by each method its map, and the map over the picture.

        Args:
            style: how the figure looks.

        Returns:
            The page.

        Raises:
            OptionError: an attribution has no height and width.
        """
        for explanation in self.explanations:
            explanation.require_drawable()
        first = self.explanations[0]
        images, units = first.channels.shape
        shown = next((one for one in self.explanations if one.shown_pictures()), None)
        columns = even_columns(len(self.explanations), TOGETHER)
        if style.columns is not None:
            columns = max(1, (style.columns - (shown is not None)) // 2)
        if any(explanation.wide for explanation in self.explanations):
            columns = 1
        rows: list[list[Panel | None]] = []
        for image in range(images):
            for unit in range(units):
                row: list[Panel | None] = []
                for number, explanation in enumerate(self.explanations):
                    if shown is not None and number % columns == 0:
                        picture = shown.panel(image, unit, style, "input", self._named(image, unit))
                        row.append(None if number else picture)
                    row += self.panels(explanation, image, unit, style)
                    if (number + 1) % columns == 0 or explanation is self.explanations[-1]:
                        rows.append(row)
                        row = []
        return Page(self._title(), rows, self.legend(), self.notes)

    def plot(
        self,
        ax: Axes | None = None,
        method: int | str = 0,
        image: int = 0,
        unit: int = 0,
        what: What = "attribution",
        **style: Unpack[StyleOptions],
    ) -> Axes:
        """Draw one panel of one method into axes of a figure of one's own.

        Args:
            ax: the axes; None for pyplot's current ones.
            method: the method's name, or its index.
            image: the index of the picture.
            unit: the index of the unit.
            what: "attribution", "overlay" or "input".
            **style: see `Style`; without `title` no caption is written.

        Returns:
            The axes.

        Raises:
            OptionError: an option is wrong, there is no such method, or it cannot be drawn.
            ChannelError: there is no such picture or unit.
        """
        names = [one.method for one in self.explanations]
        number = names.index(method) if method in names else method
        if not isinstance(number, int) or not 0 <= number < len(names):
            raise OptionError(f"no method {method!r} among these: {', '.join(names)}")
        return self.explanations[number].plot(ax, image, unit, what, **style)

    def panels(self, explanation: Explanation, image: int, unit: int, style: Style) -> list[Panel]:
        """Return the panels of one method's map of a unit, and of the map over the picture.

        Args:
            explanation: the method's explanation.
            image: the index of the picture.
            unit: the index of the unit.
            style: how the figure looks.

        Returns:
            One or two panels; the caption names the unit where it differs from the first
            explanation's.

        Raises:
            IndexError: there is no such picture or unit.
        """
        captions = self.captions(explanation, image, unit)
        panels = [explanation.panel(image, unit, style, "attribution", captions)]
        if explanation.shown_pictures() and explanation.drawn_as != "picture":
            panels.append(explanation.panel(image, unit, style, "overlay", ()))
        return panels

    def captions(self, explanation: Explanation, image: int, unit: int) -> tuple[str, ...]:
        """Return the captions of one method: its title, and the unit where it is another's.

        Args:
            explanation: the method's explanation.
            image: the index of the picture.
            unit: the index of the unit.

        Returns:
            The captions, the longest first.

        Raises:
            IndexError: there is no such picture or unit.
        """
        first, title = self.explanations[0], method_title(explanation.method)
        own, others = (one.captions(image, unit)[-1] for one in (explanation, first))
        if explanation.layer == first.layer and own == others:
            captions: tuple[str, ...] = (title,)
        else:
            captions = (f"{title} of {own}", f"of {own} · {title}")
        if any(one.shown_pictures() for one in self.explanations) or explanation is not first:
            return captions
        return first.named(captions, image)

    def legend(self) -> list[str]:
        """Return lines on what is drawn, and the methods that explain another layer."""
        first = self.explanations[0]
        lines = []
        for one in self.explanations:
            lines += one.legend()
            if one.layer != first.layer:
                lines.append(f"{method_title(one.method)} explains units of {one.layer}")
        return list(dict.fromkeys(lines))

    def _title(self) -> str:
        """Return what is explained, by how many methods."""
        first, count = self.explanations[0], len(self.explanations)
        what = title_of(first).partition(" against " if first.negated else " of ")[2]
        return f"{what[:1].upper()}{what[1:]}, by {count} methods"

    def _named(self, image: int, unit: int) -> tuple[str, ...] | None:
        """Return captions of a picture: its name, and the unit where there are several."""
        first = self.explanations[0]
        if first.channels.size == 1:
            return None
        return first.named(first.captions(image, unit), image)

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
