"""A classifier slid over a larger picture: the score of a class in each window, as a heat map."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import numpy.typing as npt
import onnx

from onnxplain.engine.argument_checks import checked
from onnxplain.engine.drawing import Page, Style, StyleOptions, View
from onnxplain.engine.explainer import Explainer
from onnxplain.engine.labels import Labels, read_labels, require_fitting
from onnxplain.engine.named_arrays import AxisNames, Coordinates, sizes
from onnxplain.engine.pictures import (
    Picture,
    Preprocess,
    parse,
    picture_input,
    prepare,
    read_with_notes,
)
from onnxplain.engine.progress import Progress, unreported
from onnxplain.engine.runtime import Footprint, Model, Session, stored_labels
from onnxplain.engine.views.heat_pages import sliding_page
from onnxplain.graphops import convolutionalize, read_metadata
from onnxplain.graphops.analysis import NORMALIZERS
from onnxplain.graphops.errors import ChannelError, OptionError, PictureError, UnsupportedModel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Sliding", "slide", "summary"]

SLIDING = "onnxplain.sliding"  # metadata: the geometry of a convolutional network's windows

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False, repr=False)
class Sliding(View):
    """The score of one class in every window of a picture; `to_numpy()` is `scores`.

    scores: float32 [rows, columns], at [i, j] for the window whose first pixel is
        (i * stride[0], j * stride[1]).
    channel, label: the class, and its name, "" without one.
    window, stride: height and width, and the steps down and across, in pixels.
    picture: as the network sees it. photograph: as its file shows it. preprocess: the preprocessing
        that made the former of the latter.
    quantity: that of the scores, "score", "probability", "log probability", or "value" for a
        regression.
    notes: sentences about assumptions and oddities.
    """

    main = "scores"
    scores: npt.NDArray[np.float32]
    channel: int
    label: str
    window: tuple[int, int]
    stride: tuple[int, int]
    picture: Pixels
    quantity: str = "score"
    notes: tuple[str, ...] = ()
    photograph: Pixels | None = None
    preprocess: Preprocess | None = None

    @property
    def best(self) -> tuple[int, int]:
        """The row and column of the strongest window."""
        known = np.nan_to_num(self.scores, nan=-np.inf)
        row, column = np.unravel_index(np.argmax(known), self.scores.shape)
        return int(row), int(column)

    def plot(
        self, ax: Axes | None = None, panel: Any = "heat_map", **style: Unpack[StyleOptions]
    ) -> Axes:
        """Draw one panel into axes of a figure of one's own.

        Args:
            ax: the axes; None for pyplot's current ones.
            panel: "heat_map" or "strongest_window".
            **style: see `Style`; without `title` the panel's caption is not written.

        Returns:
            The axes.

        Raises:
            OptionError: an option is wrong, or there is no such panel.
        """
        return super().plot(ax, panel, **style)

    def page(self, style: Style) -> Page:
        """Return the picture, with the strongest window outlined, beside the heat map.

        Args:
            style: how the figure looks.

        Returns:
            The page.
        """
        return sliding_page(self, style)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the scores, the class, the strongest window, and the windows' size and stride."""
        return {
            "scores": self.scores,
            "quantity": np.array(self.quantity),
            "best": np.array(self.best),
            "channel": np.array(self.channel),
            "label": np.array(self.label),
            "window": np.array(self.window),
            "stride": np.array(self.stride),
        }

    def _axes(self) -> AxisNames:
        return {"scores": ("y", "x")}

    def _coordinates(self) -> Coordinates:
        steps = zip(("y", "x"), self.scores.shape, self.stride, strict=True)
        return {axis: ((axis,), np.arange(count) * stride) for axis, count, stride in steps}

    def _told(self) -> tuple[str, str]:
        rows, columns = self.window
        return (
            f"{self.quantity} of '{self.label or self.channel}' [{sizes(self.scores.shape)} "
            f"windows of {rows}x{columns} pixels]",
            f"{self.scores[self.best]:.3g} in the strongest, row {self.best[0]}, column "
            f"{self.best[1]}",
        )


@checked
def slide(
    engine: Explainer,
    model: Model,
    picture: Picture,
    channel: int | None = None,
    *,
    size: tuple[int, int] | None = None,
    labels: Labels | None = None,
    preprocess: Preprocess | str | None = None,
    progress: Progress | None = None,
) -> Sliding:
    """Slide a classifier over a picture larger than its own, in one run.

    Args:
        model: a classifier, or the output of `convolutionalize`: a path, the bytes of a file, a
            ModelProto, or the result of `Engine.open`.
        picture: a path, bytes, a Pillow image or a uint8 array [H, W, 3].
        channel: the class; None for the one with the strongest window.
        size: the window's height and width, if the model leaves the picture's free.
        labels: class names by channel, a list, a text file or "imagenet"; None for the model's
            own.
        preprocess: as in `Engine.explain`, but the picture keeps its size unless this names one.
        progress: called with the runs done and their total, 1.

    Returns:
        The score of the class in every window.

    Raises:
        PictureError: the picture is smaller than a window.
        OptionError: the run would exceed the engine's memory.
        ChannelError: there is no such class.
        UnsupportedModel: the network cannot slide.
        InputError, ModelError, DeviceError, Cancelled: as `Engine.explain`.
    """
    source = engine.open(model).model
    network = source if SLIDING in read_metadata(source) else convolutionalize(source, size)
    sliding = _sliding_metadata(network)
    window = (sliding["window"][0], sliding["window"][1])
    given = read_labels(labels)
    names = stored_labels(source) if given is None else given
    how = parse(preprocess) if isinstance(preprocess, str) else preprocess
    if how is not None and how.size is None:
        how = replace(how, resize=None)  # nothing is cropped, so that windows see all of it
    pixels, unread = read_with_notes(picture)
    prepared = prepare(network, [pixels], how)
    pixels = prepared.pictures[0]
    if any(n < w for n, w in zip(pixels.shape, window, strict=False)):
        raise PictureError(
            f"the picture has {pixels.shape[0]}x{pixels.shape[1]} pixels, and one window "
            f"{window[0]}x{window[1]}: give a larger picture, or name a size in the preprocessing"
        )
    _require_memory(network, prepared.rows[0].shape, engine.memory_bytes)
    session = Session(network, engine.device, engine.threads)
    progress = progress or unreported
    progress(0, 1)
    with engine.stop().watching() as stop:
        feeds = {picture_input(network).name: prepared.rows[0][None]}
        scores = session.run(feeds, [sliding["output"]], stop)[0][0]
    misfit = require_fitting(given or (), len(scores))
    if channel is None:
        channel = int(np.argmax(np.nan_to_num(scores, nan=-np.inf).max(axis=(1, 2))))
    if not 0 <= channel < len(scores):
        raise ChannelError(
            f"no channel {channel}: the network has {len(scores)} channels, from 0 to "
            f"{len(scores) - 1}"
        )
    return Sliding(
        scores=scores[channel].astype(np.float32),
        channel=channel,
        label=names[channel] if channel < len(names) else "",
        window=window,
        stride=(sliding["stride"][0], sliding["stride"][1]),
        picture=pixels,
        quantity=_quantity(network, sliding["output"], len(scores)),
        notes=(*unread, *prepared.notes, *misfit, *_padding_notes(sliding["padded"])),
        photograph=prepared.photographs[0],
        preprocess=prepared.preprocess,
    )


def summary(arrays: Mapping[str, npt.NDArray[Any]]) -> list[str]:
    """Return one line: the class, its strongest window, and the number of windows.

    arrays: those of `Sliding.arrays`.
    """
    row, column = arrays["best"].tolist()
    top, left = row * arrays["stride"][0], column * arrays["stride"][1]
    label = f" ({arrays['label']})" if arrays["label"].item() else ""
    rows, columns = arrays["scores"].shape
    return [
        f"channel {arrays['channel']}{label}: strongest {arrays['quantity']} "
        f"{arrays['scores'][row, column]:.4g} in the window from row {top}, column {left} on; "
        f"{rows} x {columns} windows"
    ]


def _sliding_metadata(network: onnx.ModelProto) -> dict[str, Any]:
    """Return the metadata of `convolutionalize`. Raises UnsupportedModel where it is invalid."""
    outputs = [value.name for value in network.graph.output]
    try:
        sliding = json.loads(read_metadata(network)[SLIDING])
        numbers = [*sliding["window"], *sliding["stride"]]
        valid = sliding["output"] in outputs and all(type(n) is int and n > 0 for n in numbers)
        if valid and len(sliding["window"]) == len(sliding["stride"]) == 2:
            return {"padded": [], **sliding}
    except (ValueError, KeyError, TypeError):
        pass
    raise UnsupportedModel(
        f"the model's metadata '{SLIDING}' has no window and stride of height and width: give the "
        "classifier itself"
    )


def _quantity(network: onnx.ModelProto, output: str, channels: int) -> str:
    """Return the quantity of the network's output, by the operator that computes it."""
    plain = "score" if channels > 1 else "value"
    makers = {name: node for node in network.graph.node for name in node.output}
    while output in makers and makers[output].op_type == "Identity":
        output = makers[output].input[0]
    return NORMALIZERS.get(makers[output].op_type, plain) if output in makers else plain


def _require_memory(network: onnx.ModelProto, shape: tuple[int, ...], memory_bytes: int) -> None:
    """Raise OptionError where the single run would exceed the memory."""
    size = Footprint(network, picture_input(network).name).item_bytes(shape)
    if size > memory_bytes:
        raise OptionError(
            f"a run on a picture {list(shape)} takes about {size / 2**20:,.0f} MiB, and "
            f"{memory_bytes / 2**20:,.0f} MiB are allowed: name a smaller size in the "
            "preprocessing, or allow more memory"
        )


def _padding_notes(padded: Sequence[str]) -> tuple[str, ...]:
    """Return a note where nodes pad. padded: their names."""
    if not padded:
        return ()
    count = len(padded)
    return (
        "scores differ from those of windows cut out of the picture, since "
        f"{count} {'node pads' if count == 1 else 'nodes pad'} (the first is '{padded[0]}'): see "
        "docs/sliding-window.md",
    )
