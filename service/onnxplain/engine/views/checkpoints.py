"""Channels through training: the same layer of one network at several checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    layer_name,
    method_title,
    name_pictures,
    number,
    unit_name,
)
from onnxplain.engine.explainer import Explainer
from onnxplain.engine.explanation import Explanation
from onnxplain.engine.explanation_arrays import target_axes
from onnxplain.engine.explanation_page import legend_of
from onnxplain.engine.labels import Labels
from onnxplain.engine.named_arrays import AxisNames, Coordinates, counted, sizes
from onnxplain.engine.pictures import Picture, Preprocess
from onnxplain.engine.progress import Progress, unreported
from onnxplain.engine.runtime import Model
from onnxplain.engine.units import Units
from onnxplain.graphops.errors import (
    ChannelError,
    ModelError,
    OptionError,
    PictureError,
    UnknownLayer,
)
from onnxplain.graphops.methods import DEFAULT_METHOD

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Training", "training"]


@dataclass(frozen=True, eq=False, repr=False)
class Training(View):
    """The same channels in one picture, at each checkpoint.

    `to_numpy()` is the attribution, [checkpoints, units, ...].

    checkpoints: their names. explanations: one per checkpoint, of the same picture and channels.
    notes: sentences about assumptions and oddities.
    """

    checkpoints: tuple[str, ...]
    explanations: tuple[Explanation, ...]
    notes: tuple[str, ...] = ()

    def page(self, style: Style) -> Page:
        """Draw one row per channel and one column per checkpoint.

        Args:
            style: how the figure looks.

        Returns:
            The page.

        Raises:
            OptionError: the attributions have no height and width.
        """
        rows: list[list[Panel | None]] = []
        last = self.explanations[-1]
        for unit in range(last.channels.shape[1]):
            brief = _unit(last, unit)
            row: list[Panel | None] = []
            for explanation, name in zip(self.explanations, self.checkpoints, strict=True):
                value = number(float(explanation.strength[0, unit]))
                captions = (
                    f"{brief} · {name}, {explanation.strength_name} {value}",
                    f"{brief} · {name} ({value})",
                    f"{brief} · {name}",
                )
                panel = explanation.panel(0, unit, style, "attribution", captions)
                row.append(replace(panel, name=f"{name}_{brief}"))
            rows.append(row)
        order = (
            "One row a channel, one column a checkpoint; the" if style.columns is None else "The"
        )
        legend = [f"{order} number is its {last.strength_name}", *legend_of(last)]
        of = layer_name(last.layer, last.asked)
        if len(rows) == 1:
            of = unit_name(int(last.channels[0, 0]), last.labels, of, None)
        title = f"{method_title(last.method, first=True)} of {of} through training"
        return Page(title, arranged(rows, style), legend, self.notes)

    def plot(
        self,
        ax: Axes | None = None,
        unit: int = 0,
        checkpoint: int = -1,
        **style: Unpack[StyleOptions],
    ) -> Axes:
        """Draw one projection into axes of a figure of one's own.

        Args:
            ax: the axes; None for pyplot's current ones.
            unit: the index of the unit.
            checkpoint: the index of the checkpoint; -1 for the last.
            **style: see `Style`; without `title` no caption is written.

        Returns:
            The axes.

        Raises:
            OptionError: an option is wrong, or there is no such panel.
        """
        count = len(self.checkpoints)
        inside = -count <= checkpoint < count
        return super().plot(ax, unit * count + checkpoint % count if inside else -1, **style)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return attribution [checkpoints, units, ...], score [checkpoints, units] and names."""
        return {
            "attribution": np.concatenate([one.attribution for one in self.explanations]),
            "score": np.concatenate([one.score for one in self.explanations]),
            "channels": self.explanations[-1].channels[0],
            "checkpoints": np.array(self.checkpoints),
            "layer": np.array(self.explanations[-1].layer),
            "method": np.array(self.explanations[-1].method),
        }

    def _axes(self) -> AxisNames:
        target = target_axes(self.explanations[-1])
        return {
            "attribution": ("checkpoint", "unit", *target),
            "score": ("checkpoint", "unit"),
        }

    def _coordinates(self) -> Coordinates:
        return {
            "checkpoint": (("checkpoint",), list(self.checkpoints)),
            "unit": (("unit",), self.explanations[-1].channels[0]),
        }

    def _told(self) -> tuple[str, str]:
        last = self.explanations[-1]
        counts = f"{counted(len(self.checkpoints), 'checkpoint')}, "
        return (
            f"{last.method} of '{last.layer}' [{counts}"
            f"{counted(last.channels.shape[1], 'unit')}, {sizes(last.attribution.shape[2:])}]",
            f"{self.checkpoints[0]} to {self.checkpoints[-1]}",
        )


def _unit(one: Explanation, unit: int) -> str:
    """Return a unit by its label, or else its channel, without the layer, which the title names."""
    channel = int(one.channels[0, unit])
    if channel < 0:
        return "whole layer"
    return unit_name(channel, one.labels, one.layer, None) if one.labels else f"channel {channel}"


@checked
def training(
    engine: Explainer,
    checkpoints: Sequence[Model],
    picture: Picture,
    layer: str | None = None,
    method: str = DEFAULT_METHOD,
    units: Units = None,
    *,
    names: Sequence[str] | None = None,
    labels: Labels | None = None,
    preprocess: Preprocess | str | None = None,
    progress: Progress | None = None,
) -> Training:
    """Explain the same channels of one picture at each checkpoint of a network.

    After Zeiler and Fergus 2014, figure 4.

    Args:
        checkpoints: models, from the earliest to the last.
        picture: a path, bytes, a Pillow image or a uint8 array [H, W, 3].
        layer: a tensor, node or module; None for the class score.
        method: the method of the projections.
        units: as in `Engine.explain`; the strongest are those of the last checkpoint.
        names: the checkpoints' names; None for their file names.
        labels: class names by channel, a list, a text file or "imagenet"; None for the model's
            own.
        preprocess: the preprocessing; None for the model's own, or a guess.
        progress: called with the checkpoints done and their total.

    Returns:
        One explanation per checkpoint.

    Raises:
        OptionError: there are no checkpoints, or they are of different networks.
        InputError, ModelError, DeviceError, Cancelled: as `Engine.explain`.
    """
    if not checkpoints:
        raise OptionError("there are no checkpoints: give at least one model")
    titles = tuple(
        name.removesuffix(".onnx") for name in name_pictures(checkpoints, names, what="checkpoint")
    )

    def explained(index: int, channels: Units) -> Explanation:
        try:
            return engine.explain(
                checkpoints[index], picture, layer, method, channels, preprocess=preprocess,
                labels=labels,
            )  # fmt: skip
        except (UnknownLayer, ChannelError, PictureError, ModelError) as e:
            raise type(e)(f"checkpoint '{titles[index]}': {e}") from e

    progress = progress or unreported
    progress(0, len(checkpoints))
    last = explained(len(checkpoints) - 1, units)
    progress(1, len(checkpoints))
    channels: Units = "whole" if last.channels[0, 0] < 0 else last.channels[0].tolist()
    explanations = []
    for index, name in enumerate(titles[:-1]):
        one = explained(index, channels)
        progress(index + 2, len(checkpoints))
        shapes = [list(e.attribution.shape[2:]) for e in (one, last)]
        if shapes[0] != shapes[1]:
            raise OptionError(
                f"checkpoint '{name}' has attributions of shape {shapes[0]}, and '{titles[-1]}' of "
                f"shape {shapes[1]}: they are not of one network, leave one of them out"
            )
        explanations.append(one)
    explanations.append(last)
    notes = tuple(dict.fromkeys(note for one in explanations for note in one.notes))
    return Training(titles, tuple(explanations), notes)
