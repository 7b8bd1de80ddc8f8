"""The explanations of the same pictures by several methods, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import numpy.typing as npt

from onnxplain.engine.drawing import Page, Style, StyleOptions, View
from onnxplain.engine.explanation import Explanation
from onnxplain.engine.explanation_arrays import told_of
from onnxplain.engine.explanation_panels import What
from onnxplain.engine.named_arrays import require_xarray
from onnxplain.engine.views.side_by_side_page import page_of_methods
from onnxplain.graphops.errors import OptionError, nearest

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

__all__ = ["SideBySide"]

TOLD = 3  # methods that `repr` names


@dataclass(frozen=True, eq=False, repr=False)
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

    def page(self, style: Style) -> Page:
        """Draw each picture, then by each method its map, and the map over the picture.

        Args:
            style: how the figure looks.

        Returns:
            The page.

        Raises:
            OptionError: an attribution has no height and width.
        """
        return page_of_methods(self.explanations, style, self.notes)

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

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of every explanation, named METHOD.NAME."""
        return {f"{e.method}.{k}": v for e in self.explanations for k, v in e.arrays().items()}

    def to_numpy(self) -> npt.NDArray[np.float32]:
        """Return the attributions of all methods, [methods, images, units, ...].

        Raises:
            OptionError: they differ in shape.
        """
        shapes = {one.method: one.attribution.shape for one in self.explanations}
        if len(set(shapes.values())) > 1:
            told = ", ".join(f"{method} {list(shape)}" for method, shape in shapes.items())
            raise OptionError(
                f"the attributions differ in shape ({told}), so that no one array holds them: take "
                "them one by one, as result['gradient'].to_numpy()"
            )
        return np.stack([one.attribution for one in self.explanations])

    def to_xarray(self) -> xarray.DataTree:  # type: ignore[override]
        """Return an xarray DataTree with the Dataset of each method by its name.

        Raises:
            OptionError: xarray is not installed.
        """
        tree: xarray.DataTree = require_xarray().DataTree.from_dict(
            {one.method: one.to_xarray() for one in self.explanations}
        )
        return tree

    def _told(self) -> tuple[str, str]:
        left_out = f"; left out: {', '.join(self.refused)}" if self.refused else ""
        what, found = told_of(self.explanations[0])
        _, _, rest = what.partition(" of ")
        first, more = list(self)[:TOLD], ", ..." if len(self) > TOLD else ""
        return f"{', '.join(first)}{more} of {rest}", f"{found}{left_out}"
