"""The projections of channels to the pictures that excite them most."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnxplain.engine.boxes import receptive_frames
from onnxplain.engine.explainer import Explainer
from onnxplain.engine.explanation import Explanation
from onnxplain.engine.pictures import Preprocess
from onnxplain.engine.runtime import Model
from onnxplain.engine.views.top_search import Collection, Maxima
from onnxplain.graphops import Layer
from onnxplain.graphops.errors import AnswerTooLarge

__all__ = ["Found", "project"]

Box = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Found:
    """A channel's strongest position in one picture.

    picture, name: the picture's index, from 0, and its name.
    channel, score: the channel and its value at the position.
    position: (row, column) in the layer.
    box: the position's receptive field within the picture as the network sees it, (top, left,
        bottom, right) in pixels.
    frame: the box with what of the receptive field lies outside the picture; along an axis where
        the receptive field is as large as the picture, or not known, the whole picture.
    patch: the pixels in the box, uint8 [h, w, 3].
    projection: the projection to them, [C, h, w] or [h, w, C] as the network's input has it.
    """

    picture: int
    name: str
    channel: int
    score: float
    position: tuple[int, ...]
    box: Box
    frame: Box
    patch: npt.NDArray[np.uint8]
    projection: npt.NDArray[np.float32]


def project(
    engine: Explainer,
    model: Model,
    pictures: Collection,
    layer: Layer,
    method: str,
    preprocess: Preprocess | str | None,
    maxima: Maxima,
    progress: Callable[[int], None],
) -> tuple[tuple[tuple[Found, ...], ...], tuple[str, ...]]:
    """Return for each channel what is found in its pictures, and notes on active units.

    Each picture is explained once, for all the channels that it excites most.

    progress: called with the number of pictures that are done. Raises AnswerTooLarge where the
    projections exceed the engine's limit, and what `Engine.explain` raises.
    """
    found: dict[tuple[int, int], Found] = {}
    notes: dict[str, None] = {}
    channels_last, size = engine.open(model).input.channels_last, 0
    for number in range(len(pictures.titles)):
        progress(number)
        places = [(int(row), int(i)) for row, i in np.argwhere(maxima.picture == number)]
        if not places:
            continue
        channels = [int(maxima.channels[row]) for row, _ in places]
        positions = np.stack([maxima.position[place] for place in places])
        pieces = engine.explain_units(
            model, pictures.read(number), layer.tensor, method, channels,
            position=positions[None] if positions.size else None, preprocess=preprocess,
        )  # fmt: skip
        units = _units(pieces, notes)
        for place, channel, position, (piece, unit) in zip(
            places, channels, positions, units, strict=True
        ):
            box, frame, patch, projection = _seen(piece, unit, position, layer, channels_last)
            size += projection.nbytes
            if size > engine.result_bytes:
                raise AnswerTooLarge(
                    f"the projections exceed {engine.result_bytes:,.0f} bytes: ask for fewer "
                    "channels, or fewer pictures of each"
                )
            found[place] = Found(
                picture=number,
                name=pictures.titles[number],
                channel=channel,
                score=float(maxima.score[place]),
                position=tuple(position.tolist()),
                box=box,
                frame=frame,
                patch=patch,
                projection=projection,
            )
    progress(len(pictures.titles))
    rows, count = maxima.picture.shape
    return tuple(tuple(found[row, i] for i in range(count)) for row in range(rows)), tuple(notes)


def _units(
    pieces: Iterator[Explanation], notes: dict[str, None]
) -> Iterator[tuple[Explanation, int]]:
    """Yield the piece and the index in it of each unit, and gather the notes on active ones."""
    for piece in pieces:
        if piece.score.all():  # a channel that is off everywhere is drawn as such
            notes |= dict.fromkeys(piece.notes)
        for unit in range(piece.score.shape[1]):
            yield piece, unit


def _seen(
    piece: Explanation,
    unit: int,
    position: npt.NDArray[np.int64],
    layer: Layer,
    channels_last: bool,
) -> tuple[Box, Box, npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Return a unit's box, its frame, and the pixels and the projection in the box."""
    (pixels,) = piece.shown_pictures()
    height, width = pixels.shape[:2]
    box = frame = np.array([0, 0, height, width])
    if piece.box is not None:
        box = piece.box[0, unit]
        frame = _frame(layer, position, (height, width))
    top, left, bottom, right = box.tolist()
    within = (slice(top, bottom), slice(left, right))
    projection = piece.attribution[0, unit]
    projection = projection[within] if channels_last else projection[(..., *within)]
    whole = (bottom - top, right - left) == (height, width)
    # A part is copied: it would keep the whole picture, and the piece, in memory.
    patch = pixels if whole else pixels[within].copy()
    return _numbers(box), _numbers(frame), patch, projection.copy()


def _frame(
    layer: Layer, position: npt.NDArray[np.int64], size: tuple[int, int]
) -> npt.NDArray[np.int64]:
    """Return a position's frame, see `Found`."""
    frame = receptive_frames(layer, position[None], size)[0]
    for axis in range(2):
        if frame[axis + 2] - frame[axis] >= size[axis]:
            frame[axis], frame[axis + 2] = 0, size[axis]
    return np.asarray(frame)


def _numbers(box: npt.NDArray[np.int64]) -> Box:
    top, left, bottom, right = box.tolist()
    return top, left, bottom, right
