"""The probability of a class and the strength of a channel while a square covers the picture."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import numpy.typing as npt

from onnxplain.engine.argument_checks import checked
from onnxplain.engine.drawing import Page, Style, StyleOptions, View
from onnxplain.engine.explainer import Explainer
from onnxplain.engine.labels import Labels
from onnxplain.engine.methods import windows
from onnxplain.engine.named_arrays import AxisNames, Coordinates, sizes
from onnxplain.engine.pictures import Picture, Preprocess, read_with_notes
from onnxplain.engine.progress import Progress, unreported
from onnxplain.engine.runtime import Model
from onnxplain.engine.views.heat_pages import covered_page
from onnxplain.engine.views.predictions import (
    choose_class,
    class_label,
    class_probabilities,
    class_quantity,
    quantity_notes,
)
from onnxplain.graphops.errors import OptionError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Covered", "occlusion", "summary"]

GREY = 127
AT_ONCE = 16  # covered pictures per call of the engine


@dataclass(frozen=True, eq=False, repr=False)
class Covered(View):
    """A class and a channel while a grey square slides over a picture.

    `to_numpy()` is `probability`.

    picture: as the network sees it. photograph: as its file shows it. preprocess: the preprocessing
        that made the former of the latter.
    class_index, label: the class and its name. layer, channel: the channel that is watched.
    channel_label: its name, "" unless the layer is the class score.
    quantity: what is watched of the class: its "probability", or its "value" for a regression.
    probability: that quantity, [rows, columns] by the square's position.
    strength: the sum of the channel's values, likewise.
    untouched: both for the uncovered picture.
    window: the square's side in pixels; the picture's border may cut it.
    rows, columns: the first row and column of pixels that the square covers.
    notes: sentences about assumptions and oddities.
    """

    main = "probability"
    picture: npt.NDArray[np.uint8]
    class_index: int
    label: str
    layer: str
    channel: int
    probability: npt.NDArray[np.float64]
    strength: npt.NDArray[np.float64]
    untouched: tuple[float, float]
    window: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    notes: tuple[str, ...] = ()
    quantity: str = "probability"
    channel_label: str = ""
    photograph: npt.NDArray[np.uint8] | None = None
    preprocess: Preprocess | None = None

    def plot(
        self, ax: Axes | None = None, panel: Any = "probability", **style: Unpack[StyleOptions]
    ) -> Axes:
        """Draw one panel into axes of a figure of one's own.

        Args:
            ax: the axes; None for pyplot's current ones.
            panel: "probability" (for a regression "value"), "strength" or "picture".
            **style: see `Style`; without `title` the panel's caption is not written.

        Returns:
            The axes.

        Raises:
            OptionError: an option is wrong, or there is no such panel.
        """
        return super().plot(ax, panel, **style)

    def page(self, style: Style) -> Page:
        """Return the picture and both maps over it, dark where covering lowers the value most.

        Args:
            style: how the figure looks.

        Returns:
            The page.
        """
        return covered_page(self, style)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return both maps, their class and channel, and the values for the uncovered picture."""
        return {
            "probability": self.probability,
            "quantity": np.array(self.quantity),
            "strength": self.strength,
            "untouched": np.array(self.untouched),
            "class": np.array(self.class_index),
            "label": np.array(self.label),
            "layer": np.array(self.layer),
            "channel": np.array(self.channel),
            "window": np.array(self.window),
            "rows": np.array(self.rows),
            "columns": np.array(self.columns),
        }

    def _axes(self) -> AxisNames:
        return {"probability": ("y", "x"), "strength": ("y", "x")}

    def _coordinates(self) -> Coordinates:
        return {"y": (("y",), list(self.rows)), "x": (("x",), list(self.columns))}

    def _told(self) -> tuple[str, str]:
        lowest = self.probability.min()
        return (
            f"{self.quantity} of '{self.label}' and channel {self.channel} of '{self.layer}' "
            f"[{sizes(self.probability.shape)} squares of {self.window} pixels]",
            f"{self.quantity} {self.untouched[0]:.3g} untouched, {lowest:.3g} at worst",
        )


@checked
def occlusion(
    engine: Explainer,
    model: Model,
    picture: Picture,
    layer: str | None = None,
    channel: int | None = None,
    *,
    class_index: int | None = None,
    window: int | None = None,
    stride: int | None = None,
    labels: Labels | None = None,
    preprocess: Preprocess | str | None = None,
    progress: Progress | None = None,
) -> Covered:
    """Slide a grey square over a picture: watch the probability of a class, and a channel.

    After Zeiler and Fergus 2014, figure 7.

    Args:
        model: a path, the bytes of a file, a ModelProto, or the result of `Engine.open`.
        picture: a path, bytes, a Pillow image or a uint8 array [H, W, 3].
        layer: the layer of the channel; None for the class score.
        channel: the channel; None for the layer's strongest.
        class_index: the class; None for the predicted one.
        window: the square's side in pixels; None for an eighth of the picture's longer side.
        stride: the square's step in pixels; None for half of the window.
        labels: class names by channel, a list, a text file or "imagenet"; None for the model's
            own.
        preprocess: the preprocessing; None for the model's own, or a guess.
        progress: called with the positions done and their total.

    Returns:
        Both values for each position of the square.

    Raises:
        OptionError: window or stride is not positive, or the window covers the whole picture.
        ChannelError: there is no such channel or class.
        InputError, ModelError, DeviceError, Cancelled: as `Engine.explain`.
    """
    model, (picture, unread) = engine.open(model), read_with_notes(picture)
    clean = engine.explain(
        model, picture, layer, "activation", channel, preprocess=preprocess, labels=labels
    )
    scored = engine.explain(
        model, picture, method="activation", preprocess=preprocess, labels=labels
    )
    (pixels,), chosen = clean.pictures, int(clean.channels[0, 0])
    how = clean.preprocess and clean.preprocess.of_fitted
    longest = max(pixels.shape[:2])
    size = max(1, longest // 8) if window is None else window
    step = max(1, size // 2) if stride is None else stride
    if size < 1 or step < 1:
        raise OptionError(
            f"a window of {size} and a stride of {step} pixels: give 1 or more for both"
        )
    if size >= longest:
        raise OptionError(
            f"a window of {size} pixels covers the whole picture of {pixels.shape[0]}x"
            f"{pixels.shape[1]}: give a smaller one"
        )
    scores = class_probabilities(engine, model, [pixels], how)[0]
    target = choose_class(scores, class_index)
    progress = progress or unreported
    counted = functools.partial(progress, 0)
    squares = windows(pixels.shape[:2], (size, size), (step, step), counted)
    rows, columns = (sorted({square[axis].start for square in squares}) for axis in range(2))
    probability, strength = [], []
    for start in range(0, len(squares), AT_ONCE):
        frames = []
        for square in squares[start : start + AT_ONCE]:
            frame = pixels.copy()
            frame[square] = GREY
            frames.append(frame)
        probability.append(class_probabilities(engine, model, frames, how)[:, target])
        result = engine.explain(model, frames, layer, "activation", chosen, preprocess=how)
        strength.append(result.score[:, 0].astype(np.float64))
        progress(start + len(frames), len(squares))
    return Covered(
        picture=pixels,
        class_index=target,
        label=class_label(engine, model, scored.labels, target),
        layer=clean.layer,
        channel=chosen,
        probability=np.concatenate(probability).reshape(len(rows), -1),
        strength=np.concatenate(strength).reshape(len(rows), -1),
        untouched=(float(scores[target]), float(clean.score[0, 0])),
        window=size,
        rows=tuple(rows),
        columns=tuple(columns),
        notes=tuple(
            dict.fromkeys((*unread, *clean.notes, *scored.notes, *quantity_notes(engine, model)))
        ),
        quantity=class_quantity(engine, model),
        channel_label=clean.labels[chosen] if chosen < len(clean.labels) else "",
        photograph=clean.photographs[0],
        preprocess=clean.preprocess,
    )


def summary(arrays: Mapping[str, npt.NDArray[Any]]) -> list[str]:
    """Return two lines on the uncovered picture: the class's probability, the channel's strength.

    arrays: those of `Covered.arrays`.
    """
    probability, strength = arrays["untouched"].tolist()
    return [
        f"{arrays['label']}: {arrays['quantity']} {probability:.4g}",
        f"channel {arrays['channel']} of {arrays['layer']}: strength {strength:.4g}",
    ]
