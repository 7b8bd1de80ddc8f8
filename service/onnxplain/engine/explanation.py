"""The result of an explanation: its arrays, the assumptions behind them, and its drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import numpy.typing as npt

from onnxplain.engine.conservation import is_noise
from onnxplain.engine.drawing import (
    Page,
    Panel,
    Style,
    StyleOptions,
    View,
    is_signal,
    is_volume,
    picture_of,
    style_of,
    unit_captions,
)
from onnxplain.engine.explanation_arrays import arrays_of, axes_of, coordinates_of, told_of
from onnxplain.engine.explanation_page import page_of
from onnxplain.engine.explanation_panels import What, panel_of, plot_of
from onnxplain.engine.methods import drawn_as
from onnxplain.engine.named_arrays import AxisNames, Coordinates
from onnxplain.engine.pictures import Preprocess

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Explanation"]

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False, repr=False)
class Explanation(View):
    """Projections of a layer's units back to one or more pictures; `to_numpy()` is `attribution`.

    attribution: float32 [images, units, *shape of `to` without its batch axis].
    score: float32 [images, units], the cotangent-weighted sum of the layer's values.
    channels: int64 [images, units], each unit's channel, -1 for the whole layer; they may differ
        between images.
    position: int64 [images, units, spatial rank], None where units start at all positions.
    layer, to: the tensors projected from and to.
    asked: the layer's name as the caller gave it; "" where it is the class score's.
    method: the method's name.
    pictures: uint8 [H, W, 3] each, as the network sees them; empty for float arrays.
    photographs: uint8 [H, W, 3] each, the pictures as their files show them, upright and made
        smaller where they are large; `Preprocess.seen_box` tells which part of one the network
        sees. Empty for float arrays.
    labels: class names by channel if the layer is the class score, else empty.
    preprocess: the preprocessing of the pictures; None for float arrays.
    notes: sentences about assumptions and oddities.
    seed_value: the value that the signal starts with, "one" or the unit's own "activation".
    names: the pictures' names, "" where one has none; empty for float arrays.
    first_image: the index of the first image; 0 except for pieces of a result.
    completeness_error: float32 [images, units], the violation of the method's conservation law;
        None where it has none.
    negated: whether the signal starts with the opposite sign, for the evidence against the unit.
    probability: float32 [images, units], the network's own; None unless the layer is a class score
        that a Softmax or Sigmoid follows.
    others: float32 [images, units, ...] by name, the attributions to further inputs where `to` is
        "all".
    inputs: the network's input for each image where it was given as an array; else empty.
    bands: the channels of inputs drawn as red, green and blue, or the one drawn as grey.
    box: int64 [images, units, 4], the receptive field of each unit's position, clipped to the
        network's input, in its pixels: top, left, bottom, right, the latter two exclusive. None
        where units have no position each, or the input is not a picture.
    drawn_as: "map", "reconstruction" or "picture", as the method declares; "" for what the method
        of that name declares.
    """

    attribution: npt.NDArray[np.float32]
    score: npt.NDArray[np.float32]
    channels: npt.NDArray[np.int64]
    position: npt.NDArray[np.int64] | None
    layer: str
    to: str
    method: str
    pictures: tuple[Pixels, ...] = ()
    labels: tuple[str, ...] = ()
    preprocess: Preprocess | None = None
    notes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    first_image: int = 0
    seed_value: str = "one"
    completeness_error: npt.NDArray[np.float32] | None = None
    others: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    inputs: tuple[npt.NDArray[Any], ...] = ()
    bands: tuple[int, ...] = ()
    drawn_as: str = ""
    negated: bool = False
    probability: npt.NDArray[np.float32] | None = None
    photographs: tuple[Pixels, ...] = ()
    box: npt.NDArray[np.int64] | None = None
    asked: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "drawn_as", self.drawn_as or drawn_as(self.method))

    def page(self, style: Style) -> Page:
        """Draw one row per picture: the picture, each unit's attribution and its overlay.

        Many units take several rows, and more than 16 have no overlays; many pictures of one unit
        each share rows.

        Args:
            style: how the figure looks.

        Returns:
            The page.

        Raises:
            OptionError: the attribution can be drawn in no way.
        """
        return page_of(self, style)

    def plot(
        self,
        ax: Axes | None = None,
        image: int = 0,
        unit: int = 0,
        what: What = "attribution",
        **style: Unpack[StyleOptions],
    ) -> Axes:
        """Draw one panel into axes of a figure of one's own.

        Args:
            ax: the axes; None for pyplot's current ones.
            image: the index of the picture.
            unit: the index of the unit.
            what: "attribution", "overlay" or "input".
            **style: see `Style`; without `title` no caption is written.

        Returns:
            The axes.

        Raises:
            OptionError: an option is wrong, or the attribution can be drawn in no way.
            ChannelError: there is no such picture or unit.
        """
        return plot_of(self, ax, image, unit, what, style_of(style))

    def panel(
        self,
        image: int,
        unit: int,
        style: Style,
        what: What = "attribution",
        captions: Sequence[str] | None = None,
    ) -> Panel:
        """Return one panel of a page.

        Args:
            image: the index of the picture.
            unit: the index of the unit.
            style: how the figure looks.
            what: "attribution", "overlay" or "input".
            captions: the captions, the longest first; None for the unit's or the picture's own.

        Returns:
            The panel.

        Raises:
            OptionError: the attribution can be drawn in no way.
            IndexError: there is no such picture or unit.
        """
        return panel_of(self, image, unit, what, style, captions)

    def name(self, image: int) -> str:
        """Return a picture's name, "" where it is the only one or has none.

        Args:
            image: the index of the picture.

        Returns:
            The name.

        Raises:
            IndexError: there is no such picture.
        """
        return self.names[image] if len(self.names) > 1 else ""

    def named(self, captions: tuple[str, ...], image: int) -> tuple[str, ...]:
        """Append a picture's name, if it has one, to captions.

        Args:
            captions: the captions.
            image: the index of the picture.

        Returns:
            As many captions.

        Raises:
            IndexError: there is no such picture.
        """
        name = self.name(image)
        return tuple(f"{caption} · {name}" for caption in captions) if name else captions

    def denoised(self, image: int, unit: int) -> npt.NDArray[np.float32]:
        """Return one unit's attribution as it is drawn: zeros where it is only rounding noise.

        Args:
            image: the index of the picture.
            unit: the index of the unit.

        Returns:
            float32, the shape of `to` without its batch axis.

        Raises:
            IndexError: there is no such picture or unit.
        """
        attribution, error = self.attribution[image, unit : unit + 1], self.completeness_error
        noise = error is not None and is_noise(attribution, error[image, unit : unit + 1])[0]
        return np.asarray(np.zeros_like(attribution[0]) if noise else attribution[0])

    @property
    def wide(self) -> bool:
        """Whether the drawing of a unit is as wide as a page: curves, or a row of slices."""
        one = self.attribution[0, 0]
        return is_volume(one) or is_signal(one, self.inputs[0] if self.inputs else None)

    def shown_pictures(self) -> tuple[Pixels, ...]:
        """Return the pictures, or inputs drawn as pictures; empty for signals and volumes.

        Raises:
            OptionError: there is no such band.
        """
        if self.pictures or not self.inputs or self.inputs[0].ndim != 3:
            return self.pictures
        return tuple(picture_of(row, self.bands) for row in self.inputs)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays and texts that `save_npz` writes, by name."""
        return arrays_of(self)

    def _axes(self) -> AxisNames:
        return axes_of(self)

    def _coordinates(self) -> Coordinates:
        return coordinates_of(self)

    def _told(self) -> tuple[str, str]:
        return told_of(self)

    def captions(self, image: int, unit: int) -> tuple[str, ...]:
        """Return captions of a unit, its name, strength and probability, the longest first.

        Args:
            image: the index of the picture.
            unit: the index of the unit.

        Returns:
            The captions, of which a drawing takes the longest that fits.

        Raises:
            IndexError: there is no such picture or unit.
        """
        probability = self.probability
        return unit_captions(
            int(self.channels[image, unit]),
            self.labels,
            self.strength_name,
            float(self.strength[image, unit]),
            None if probability is None else float(probability[image, unit]),
            negated=self.negated,
        )

    @property
    def strength(self) -> npt.NDArray[np.float32]:
        """How active each unit is, [images, units]: its score, or the square root of that.

        A signal that starts with the unit's own activation has the sum of its squares as score: its
        square root is the norm of that activation, without its sign.
        """
        if self.seed_value != "activation":
            return self.score
        return np.sqrt(np.maximum(-self.score if self.negated else self.score, 0))

    @property
    def strength_name(self) -> str:
        """The name of `strength` in drawings: "score", or "activity" where it is a square root."""
        return "activity" if self.seed_value == "activation" else "score"
