"""A classifier slid over a larger picture: the score of a class for each window, as a heat map."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from PIL import Image, ImageDraw

from onnxplain.engine.drawing import Note, Panel, View, enlarged, figure, heat, laid
from onnxplain.engine.engine import Engine
from onnxplain.engine.pictures import Picture, Preprocess, picture_input, prepare, read_picture
from onnxplain.engine.runtime import Footprint, Model, Session, stored_labels
from onnxplain.graphops import convolutionalize, read_metadata
from onnxplain.graphops.errors import ChannelError, OptionError, PictureError, UnsupportedModel

__all__ = ["Sliding", "slide", "summary"]

SLIDING = "onnxplain.sliding"  # metadata: how the windows of a convolutional network lie
QUANTITIES = {
    "Softmax": "probability",
    "Sigmoid": "probability",
    "LogSoftmax": "log probability",
}
SIDE = 448  # pixels of a drawn picture's longer side
BAR_WIDTH = 120
OUTLINE = (214, 39, 40)

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Sliding(View):
    """The score of one class for every window of a picture.

    scores: float32 [rows, columns], at [i, j] that of the window whose first pixel is i·stride,
        j·stride. window, stride: pixels, rows first.
    quantity: what these are, "score", "probability" or "log probability".
    channel, label: the class, and its name if it has one. picture: as the network saw it.
    notes: sentences that say what was assumed.
    """

    scores: npt.NDArray[np.float32]
    channel: int
    label: str
    window: tuple[int, int]
    stride: tuple[int, int]
    picture: Pixels
    quantity: str = "score"
    notes: tuple[str, ...] = ()

    @property
    def best(self) -> tuple[int, int]:
        """Where the strongest window is in `scores`."""
        known = np.nan_to_num(self.scores, nan=-np.inf)
        row, column = np.unravel_index(np.argmax(known), self.scores.shape)
        return int(row), int(column)

    def draw(self) -> Image.Image:
        """Draw the picture, its strongest window outlined, beside its heat map."""
        finite = self.scores[np.isfinite(self.scores)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        top, left = (p * s for p, s in zip(self.best, self.stride, strict=True))
        shown = enlarged(self.picture, SIDE)
        scale = shown.width / self.picture.shape[1]
        box = [left, top, left + self.window[1] - 1, top + self.window[0] - 1]
        ImageDraw.Draw(shown).rectangle([round(n * scale) for n in box], outline=OUTLINE, width=3)
        name = self.label or f"channel {self.channel}"
        rows, columns = self.scores.shape
        panels = (
            Panel((f"strongest window, {high:.3g}", "input"), (shown,)),
            Panel(
                (f"heat map, {rows} x {columns} windows", "heat map"), (self._heated(low, high),)
            ),
        )
        ramp = heat(np.linspace(0, 1, BAR_WIDTH))
        # A probability of 1e-11 is told as what it looks like.
        ends = ("0" if abs(low) < 1e-3 * abs(high) else f"{low:.3g}", f"{high:.3g}")
        notes = [
            Note(f"The {self.quantity} of the window that is centred there:", ramp, ends),
            Note(
                f"A window: {self.window[0]} x {self.window[1]} pixels. Grey: none is centred there"
            ),
        ]
        return figure([panels], f"{name} · sliding window", notes)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the scores, which window is the best, and how the windows lie."""
        return {
            "scores": self.scores,
            "quantity": np.array(self.quantity),
            "best": np.array(self.best),
            "channel": np.array(self.channel),
            "label": np.array(self.label),
            "window": np.array(self.window),
            "stride": np.array(self.stride),
        }

    def _heated(self, low: float, high: float) -> Image.Image:
        centres = [
            np.arange(count) * stride + window / 2
            for count, stride, window in zip(
                self.scores.shape, self.stride, self.window, strict=True
            )
        ]
        reach = max(self.stride) / 2
        return enlarged(laid(self.scores, low, high, self.picture, centres, reach), SIDE)


def slide(
    engine: Engine,
    model: Model,
    picture: Picture,
    channel: int | None = None,
    *,
    size: tuple[int, int] | None = None,
    labels: Sequence[str] | None = None,
    preprocess: Preprocess | str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Sliding:
    """Return the scores of a class for every window of a picture larger than the network's.

    model: a classifier, or what `convolutionalize` made of one.
    channel: the class; None for the one with the strongest window.
    size: the window's height and width, where the model leaves its picture's free.
    preprocess: as `explain` has it, but that the picture keeps its own size unless this names one.

    Raises PictureError where the picture is smaller than a window, OptionError where it is larger
    than the engine's memory allows, ChannelError, UnsupportedModel where the network cannot slide,
    and what `explain` raises.
    """
    source = engine.open(model).model
    network = source if SLIDING in read_metadata(source) else convolutionalize(source, size)
    facts = _facts(network)
    window = (facts["window"][0], facts["window"][1])
    names = tuple(labels) if labels is not None else stored_labels(source)
    prepared = prepare(network, [read_picture(picture)], preprocess)
    pixels = prepared.pictures[0]
    if any(n < w for n, w in zip(pixels.shape, window, strict=False)):
        raise PictureError(
            f"the picture has {pixels.shape[0]}x{pixels.shape[1]} pixels, and one window "
            f"{window[0]}x{window[1]}: give a larger picture, or name a size in the preprocessing"
        )
    _require_room(network, prepared.rows[0].shape, engine.memory_bytes)
    session = Session(network, engine.device, engine.threads)
    progress(0, 1)
    with engine.stop().watching() as stop:
        feeds = {picture_input(network).name: prepared.rows[0][None]}
        scores = session.run(feeds, [facts["output"]], stop)[0][0]
    if channel is None:
        channel = int(np.argmax(np.nan_to_num(scores, nan=-np.inf).max(axis=(1, 2))))
    if not 0 <= channel < len(scores):
        raise ChannelError(f"no channel {channel}: the network has {len(scores)}, from 0 on")
    return Sliding(
        scores=scores[channel].astype(np.float32),
        channel=channel,
        label=names[channel] if channel < len(names) else "",
        window=window,
        stride=(facts["stride"][0], facts["stride"][1]),
        picture=pixels,
        quantity=_quantity(network, facts["output"]),
        notes=(*prepared.notes, *_notes(facts)),
    )


def summary(arrays: Mapping[str, npt.NDArray[Any]]) -> list[str]:
    """Return one line: the class, its strongest window, and how many windows there are.

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


def _facts(network: onnx.ModelProto) -> dict[str, Any]:
    """Return what `convolutionalize` wrote down. Raises UnsupportedModel where it is not that."""
    outputs = [value.name for value in network.graph.output]
    try:
        facts = json.loads(read_metadata(network)[SLIDING])
        numbers = [*facts["window"], *facts["stride"]]
        known = facts["output"] in outputs and all(type(n) is int and n > 0 for n in numbers)
        if known and len(facts["window"]) == len(facts["stride"]) == 2:
            return {"padded": [], **facts}
    except (ValueError, KeyError, TypeError):
        pass
    raise UnsupportedModel(
        f"the model's metadata '{SLIDING}' does not say how windows of height and width lie: give "
        "the classifier itself"
    )


def _quantity(network: onnx.ModelProto, output: str) -> str:
    """Return what a network's output tells of its classes, by the operator that it comes of."""
    makers = {name: node for node in network.graph.node for name in node.output}
    while output in makers and makers[output].op_type == "Identity":
        output = makers[output].input[0]
    return QUANTITIES.get(makers[output].op_type, "score") if output in makers else "score"


def _require_room(network: onnx.ModelProto, shape: tuple[int, ...], memory_bytes: int) -> None:
    """Raise OptionError where the one run that there is would take more than the memory."""
    size = Footprint(network, picture_input(network).name).row_bytes(shape)
    if size > memory_bytes:
        raise OptionError(
            f"a picture {list(shape)} takes about {size / 2**20:,.0f} MiB in the one run that "
            f"there is, and {memory_bytes / 2**20:,.0f} MiB are allowed: name a smaller size in "
            "the preprocessing, or allow more memory"
        )


def _notes(facts: dict[str, Any]) -> tuple[str, ...]:
    if not facts["padded"]:
        return ()
    count = len(facts["padded"])
    return (
        f"{count} {'node pads' if count == 1 else 'nodes pad'} (the first: {facts['padded'][0]}): "
        "scores differ from those of windows cut out, see docs/sliding-window.md",
    )
