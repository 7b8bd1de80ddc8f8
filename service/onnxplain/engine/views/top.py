"""The pictures of a collection that excite a layer's features most, and what excited them there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from onnxplain.engine.drawing import (
    Note,
    Panel,
    View,
    drawn,
    enlarged,
    figure,
    legend,
    name_pictures,
)
from onnxplain.engine.engine import Engine
from onnxplain.engine.methods import find_method
from onnxplain.engine.pictures import Picture, Preprocess, read_picture
from onnxplain.engine.runtime import Model
from onnxplain.graphops import Layer
from onnxplain.graphops.errors import OptionError

__all__ = ["Found", "Strongest", "rows", "seen_pixels", "strongest_pictures"]

SIDE = 112  # pixels of a drawn patch's longer side


@dataclass(frozen=True, eq=False)
class Found:
    """Where a channel is strongest in one picture.

    picture: which of the pictures, from 0; name: what it is called. score: the channel's value;
    position: the place in the layer [rows, columns]. box: the pixels that it sees there, (top,
    left, bottom, right), within the picture as the network saw it. patch: these, uint8 [h, w, 3].
    projection: what they look like carried back, [C, h, w] or [h, w, C], as the network has it.
    """

    picture: int
    name: str
    channel: int
    score: float
    position: tuple[int, ...]
    box: tuple[int, int, int, int]
    patch: npt.NDArray[np.uint8]
    projection: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Strongest(View):
    """The pictures that excite channels of a layer most: a row a channel, the strongest first."""

    rows: tuple[tuple[Found, ...], ...]
    layer: str
    method: str
    preprocess: Preprocess | None
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def draw(self) -> Image.Image:
        """Draw one row a channel: each patch, and beside it its projection."""
        rows: list[list[Panel | None]] = []
        for row in self.rows:
            panels: list[Panel | None] = []
            for one in row:
                channel = (*self.labels[one.channel : one.channel + 1], str(one.channel))[0]
                score = f"{one.score:.3g}" if one.score > 0 or self.labels else "not active"
                captions = (
                    f"{channel}: {one.name} ({score})", f"{channel}: {one.name}", f"{channel}",
                )  # fmt: skip
                back = drawn(one.projection, self.method, self.preprocess)
                panels.append(Panel(captions, (enlarged(one.patch, SIDE), enlarged(back, SIDE))))
            rows.append(panels)
        notes = [
            Note("Each patch is what the unit sees of the picture; beside it, its projection"),
            *legend(self.rows[0][0].projection, self.method, False),
        ]
        return figure(rows, f"What excites {self.layer} most · {self.method}", notes)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return [rows, pictures] arrays, and patch.ROW.PICTURE and projection.ROW.PICTURE."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "channels": np.array([row[0].channel for row in self.rows]),
            "layer": np.array(self.layer),
            "method": np.array(self.method),
        }
        for name in ("picture", "name", "score", "position", "box"):
            arrays[name] = np.array([[getattr(one, name) for one in row] for row in self.rows])
        for r, row in enumerate(self.rows):
            for i, one in enumerate(row):
                arrays[f"patch.{r}.{i}"] = one.patch
                arrays[f"projection.{r}.{i}"] = one.projection
        return arrays


def strongest_pictures(
    engine: Engine,
    model: Model,
    pictures: Sequence[Picture],
    layer: str | None = None,
    channels: Sequence[int] = (),
    count: int = 9,
    method: str = "deconvnet",
    *,
    names: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    preprocess: Preprocess | str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Strongest:
    """Find for each channel the `count` pictures that excite it most.

    names: of the pictures, default their files'. One patch a picture, as in Zeiler and Fergus 2014,
    figure 2. Raises OptionError without pictures or channels, and what `Engine.explain` raises.
    """
    if not len(pictures) or not len(channels) or count < 1:
        raise OptionError(
            f"{len(pictures)} pictures, {len(channels)} channels and a count of {count}: give at "
            "least one of each"
        )
    declared = find_method(method)
    if declared.over != "target" or declared.drawn == "picture":
        raise OptionError(
            f"method '{method}' does not carry a layer's units back to the pixels: choose "
            "deconvnet, guided_backprop or another that does"
        )
    called = name_pictures(pictures, names)
    seen = engine.explain(
        model, read_picture(pictures[0], called[0]), layer, "activation", channels,
        preprocess=preprocess, labels=labels,
    )  # fmt: skip
    opened = engine.open(model)
    field = next(known for known in opened.layers if known.tensor == seen.layer)
    # A layer of rank 2 has no positions to be strongest at.
    spatial = len(field.shape or ()) != 2
    scores: list[Any] = []
    places: list[Any] = []
    notes = dict.fromkeys(seen.notes)
    for number, picture in enumerate(pictures):
        progress(number, len(pictures))
        found = engine.explain(
            model, read_picture(picture, called[number]), layer, "activation", channels,
            position="max" if spatial else None, preprocess=preprocess,
        )  # fmt: skip
        scores.append(found.score[0])
        places.append(found.position[0] if found.position is not None else [()] * len(channels))
        notes |= dict.fromkeys(found.notes)
    ranked = np.argsort(-np.stack(scores), axis=0, kind="stable")[:count]
    rows = []
    for unit, channel in enumerate(channels):
        row = []
        for number in ranked[:, unit].tolist():
            place = tuple(map(int, places[number][unit]))
            result = engine.explain(
                model, pictures[number], layer, method, channel, position=place or None,
                preprocess=preprocess,
            )  # fmt: skip
            (pixels,) = result.pictures
            box = seen_pixels(field, place, pixels.shape[:2])
            top, left, bottom, right = box
            part = (slice(top, bottom), slice(left, right))
            back = result.attribution[0, 0]
            row.append(
                Found(
                    picture=number,
                    name=called[number],
                    channel=int(channel),
                    score=float(scores[number][unit]),
                    position=place,
                    box=box,
                    patch=pixels[part],
                    projection=back[part] if opened.input.channels_last else back[(..., *part)],
                )
            )
        rows.append(tuple(row))
    return Strongest(tuple(rows), seen.layer, method, result.preprocess, seen.labels, tuple(notes))


def rows(arrays: Mapping[str, npt.NDArray[Any]], pictures: Sequence[str]) -> list[dict[str, Any]]:
    """Return a dictionary for each channel and picture, the strongest picture of a channel first.

    arrays: those of `Strongest.arrays`. pictures: the paths of all the pictures.
    """
    return [
        {
            "channel": channel,
            "picture": pictures[arrays["picture"][row, i]],
            "score": arrays["score"][row, i].item(),
            "position": arrays["position"][row, i].tolist(),
            "box": arrays["box"][row, i].tolist(),
        }
        for row, channel in enumerate(arrays["channels"].tolist())
        for i in range(arrays["picture"].shape[1])
    ]


def seen_pixels(
    layer: Layer, position: Sequence[int], size: tuple[int, ...]
) -> tuple[int, int, int, int]:
    """Return the part of a picture that a unit sees, (top, left, bottom, right)."""
    starts, ends = [0, 0], list(size)
    if layer.receptive_field and layer.stride and layer.offset and len(position) == 2:
        for axis in range(2):
            field, stride, offset = (
                numbers[axis] for numbers in (layer.receptive_field, layer.stride, layer.offset)
            )
            if field is not None and stride is not None and offset is not None:
                first = offset + position[axis] * stride
                starts[axis] = min(max(first, 0), size[axis] - 1)
                ends[axis] = max(min(first + field, size[axis]), starts[axis] + 1)
    return starts[0], starts[1], ends[0], ends[1]
