"""The response of a network's layers to a picture that is translated, scaled or rotated."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import numpy.typing as npt

from onnxplain.engine.argument_checks import checked
from onnxplain.engine.drawing import (
    Page,
    Panel,
    Style,
    StyleOptions,
    View,
    arranged,
    chart_panel,
    limits_of,
    number,
    strip_panel,
)
from onnxplain.engine.explainer import Explainer
from onnxplain.engine.labels import Labels
from onnxplain.engine.named_arrays import AxisNames, Coordinates, counted
from onnxplain.engine.pictures import Picture, Preprocess, read_with_notes
from onnxplain.engine.progress import Progress, unreported
from onnxplain.engine.runtime import Model
from onnxplain.engine.views.changed_pictures import CHANGES, changed
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

__all__ = ["Curve", "Invariance", "invariance"]

Pixels = npt.NDArray[np.uint8]

STEPS = 25
SHOWN = 5  # changed pictures that are drawn, each in the middle of a fifth of the amounts
ANGLES = (1, 1.5, 3, 4.5, 9, 10)  # the steps between ticks, times a power of ten: 90, not 100
ROUND = (1, 2, 2.5, 5, 10)
LONG = 32  # characters of a layer's name that a chart may cut


@dataclass(frozen=True, eq=False)
class Curve:
    """The response of the layers and the class to one change of a picture.

    change: a name in CHANGES.
    amounts: [steps].
    distance: by the layers' names, [steps], the Euclidean distance of the layer's values from
        those of the unchanged picture, over the norm of the latter.
    probability: that of the class, [steps]; for a regression its value.
    pictures: some of the changed pictures by their amounts, uint8 [H, W, 3] each.
    """

    change: str
    amounts: npt.NDArray[np.float64]
    distance: dict[str, npt.NDArray[np.float64]]
    probability: npt.NDArray[np.float64]
    pictures: Mapping[float, Pixels] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, repr=False)
class Invariance(View):
    """The response to each change of a picture.

    class_index, label: the class and its name. quantity: "probability", or "value" for a
    regression. curves: one per change. untouched: the quantity of the unchanged picture.
    notes: sentences about assumptions and oddities.
    """

    class_index: int
    label: str
    curves: tuple[Curve, ...]
    untouched: float
    notes: tuple[str, ...] = ()
    quantity: str = "probability"

    def plot(
        self,
        ax: Axes | None = None,
        change: str = "translation",
        quantity: str = "distance",
        **style: Unpack[StyleOptions],
    ) -> Axes:
        """Draw one chart into axes of a figure of one's own.

        Args:
            ax: the axes; None for pyplot's current ones.
            change: "translation", "scale" or "rotation".
            quantity: "distance", that of the layers' values, "probability" (for a regression
                "value"), or "pictures", some of the changed pictures.
            **style: see `Style`; without `title` no caption is written.

        Returns:
            The axes.

        Raises:
            OptionError: an option is wrong, or there is no such chart.
        """
        return super().plot(ax, f"{change}_{quantity}", **style)

    def page(self, style: Style) -> Page:
        """Return one column per change: pictures, the layers' distances, the class probability.

        Args:
            style: how the figure looks.

        Returns:
            The page.
        """
        distances = limits_of(curve for one in self.curves for curve in one.distance.values())
        chances = limits_of(one.probability for one in self.curves)
        of_class = f"{self.quantity} of {self.label}"
        pictures: list[Panel | None] = []
        above: list[Panel | None] = []
        below: list[Panel | None] = []
        for one in self.curves:
            chart = partial(
                chart_panel,
                x=one.amounts,
                axis=f"{one.change} ({CHANGES[one.change][2]})",
                steps=ANGLES if one.change == "rotation" else ROUND,
            )
            if one.pictures:
                pictures.append(strip_panel((one.change,), one.pictures, f"{one.change}_pictures"))
            above.append(
                chart(
                    ("distance from the original",), curves=one.distance, y_axis="distance",
                    limits=distances, name=f"{one.change}_distance",
                )
            )  # fmt: skip
            below.append(
                chart(
                    (of_class, self.quantity), curves={of_class: one.probability},
                    y_axis=self.quantity, limits=chances, name=f"{one.change}_{self.quantity}",
                )
            )  # fmt: skip
        legend = ["Distance: that of a layer's values from those of the original, over their norm"]
        layers = list(self.curves[0].distance)
        if len(max(layers, key=len)) > LONG:
            legend.append(f"Layers: {', '.join(layers)}")
        title = f"{self.label}, {self.quantity} {number(self.untouched)}"
        return Page(
            f"Translated, scaled and rotated · {title}",
            arranged([row for row in (pictures, above, below) if row], style),
            legend,
            self.notes,
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the class, CHANGE.amounts, CHANGE.probability and CHANGE.distance.LAYER."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "class": np.array(self.class_index),
            "label": np.array(self.label),
            "quantity": np.array(self.quantity),
        }
        for one in self.curves:
            arrays[f"{one.change}.amounts"] = one.amounts
            arrays[f"{one.change}.probability"] = one.probability
            arrays |= {f"{one.change}.distance.{k}": v for k, v in one.distance.items()}
        return arrays

    def to_numpy(self) -> npt.NDArray[np.float64]:
        """Return the probability of the class, [changes, steps]."""
        return np.stack([one.probability for one in self.curves])

    def _axes(self) -> AxisNames:
        return {
            name: (name.partition(".")[0],)
            for name, values in self.arrays().items()
            if values.ndim and not name.endswith(".amounts")
        }

    def _coordinates(self) -> Coordinates:
        return {one.change: ((one.change,), one.amounts) for one in self.curves}

    def _told(self) -> tuple[str, str]:
        layers = self.curves[0].distance
        return (
            f"'{self.label}' and {', '.join(layers)} [{counted(len(self.curves), 'change')}]",
            "; ".join(
                f"{one.change}: {self.quantity} {one.probability.min():.3g} to "
                f"{one.probability.max():.3g}"
                for one in self.curves
            ),
        )


@checked
def invariance(
    engine: Explainer,
    model: Model,
    picture: Picture,
    layers: str | Sequence[str] = (),
    class_index: int | None = None,
    *,
    labels: Labels | None = None,
    preprocess: Preprocess | str | None = None,
    progress: Progress | None = None,
) -> Invariance:
    """Translate, scale and rotate a picture: compare the layers' values, and a class's probability.

    After Zeiler and Fergus 2014, figure 5. Uncovered areas have the picture's mean colour.

    Args:
        model: a path, the bytes of a file, a ModelProto, or the result of `Engine.open`.
        picture: a path, bytes, a Pillow image or a uint8 array [H, W, 3].
        layers: a tensor, node or module, or several of them.
        class_index: the class; None for the predicted one.
        labels: class names by channel, a list, a text file or "imagenet"; None for the model's
            own.
        preprocess: the preprocessing; None for the model's own, or a guess.
        progress: called with the steps done and their total.

    Returns:
        One curve per change.

    Raises:
        OptionError: there are no layers.
        ChannelError: there is no such class.
        InputError, ModelError, DeviceError, Cancelled: as `Engine.explain`.
    """
    layers = [layers] if isinstance(layers, str) else list(layers)
    if not layers:
        raise OptionError("there are no layers: give at least one")
    model, (picture, unread) = engine.open(model), read_with_notes(picture)
    clean = engine.explain(
        model, picture, method="activation", preprocess=preprocess, labels=labels
    )
    (pixels,), how = clean.pictures, clean.preprocess and clean.preprocess.of_fitted
    scores = class_probabilities(engine, model, [pixels], how)[0]
    target = choose_class(scores, class_index)
    label = class_label(engine, model, clean.labels, target)

    def values(frames: list[Pixels], layer: str) -> Iterator[npt.NDArray[np.float64]]:
        return (v.astype(np.float64) for v in engine.values(model, frames, layer, how))

    unchanged = {layer: next(values([pixels], layer)) for layer in layers}
    total = len(CHANGES) * len(unchanged) * STEPS
    steps = itertools.count(1)
    progress = progress or unreported
    progress(0, total)
    curves = []
    for change, (low, high, _) in CHANGES.items():
        amounts = np.linspace(low, high, STEPS)
        frames = [changed(pixels, change, float(amount)) for amount in amounts]
        distance = {layer: np.zeros(STEPS) for layer in layers}
        for layer, before in unchanged.items():
            norm = float(np.linalg.norm(before)) or 1.0
            for i, after in enumerate(values(frames, layer)):
                distance[layer][i] = np.linalg.norm(after - before) / norm
                progress(next(steps), total)
        probability = class_probabilities(engine, model, frames, how)[:, target]
        middles = [low + (high - low) * (i + 0.5) / SHOWN for i in range(SHOWN)]
        shown = {amount: changed(pixels, change, amount) for amount in middles}
        curves.append(Curve(change, amounts, distance, probability, shown))
    notes = (*unread, *clean.notes, *quantity_notes(engine, model))
    return Invariance(
        target, label, tuple(curves), float(scores[target]), notes, class_quantity(engine, model)
    )
