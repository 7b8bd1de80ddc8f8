"""The pictures of a collection that excite a layer's features most, and what excited them there."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from onnxplain.engine.engine import Engine
from onnxplain.engine.figure import Note, Panel, figure
from onnxplain.engine.pictures import enlarged, projection
from onnxplain.engine.preprocess import Preprocess
from onnxplain.graphops import Layer, layers, load

__all__ = ["Found", "draw_strongest", "strongest_pictures"]

SIDE = 112  # pixels of a drawn patch's longer side

Path = str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class Found:
    """Where a channel is strongest in one picture.

    score: its value there; position: the place in the layer [rows, columns]. box: the pixels that
    it sees there, (top, left, bottom, right), within the picture as the network saw it. patch:
    these, uint8 [h, w, 3]. projection: what they look like carried back, [C, h, w].
    """

    picture: Path
    channel: int
    score: float
    position: tuple[int, ...]
    box: tuple[int, int, int, int]
    patch: npt.NDArray[np.uint8]
    projection: npt.NDArray[np.float32]


def strongest_pictures(
    engine: Engine,
    model: Path,
    pictures: Sequence[Path],
    layer: str,
    channels: Sequence[int],
    count: int = 9,
    method: str = "deconvnet",
    *,
    preprocess: Preprocess | str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[list[Found]]:
    """Return for each channel the `count` pictures that excite it most, the strongest first.

    One patch a picture, as in Zeiler and Fergus 2014, figure 2. Raises what `Engine.explain` does.
    """
    scores: list[Any] = []
    for number, picture in enumerate(pictures):
        progress(number, len(pictures))
        seen = engine.explain(
            model, picture, layer, "activation", channels, position="max", preprocess=preprocess
        )
        scores.append(seen.score[0])
    ranked = np.argsort(-np.stack(scores), axis=0, kind="stable")[:count]
    field = next(known for known in layers(load(model)) if known.tensor == seen.layer)
    found = []
    for unit, channel in enumerate(channels):
        row = []
        for number in ranked[:, unit]:
            result = engine.explain(
                model, pictures[number], layer, method, channel, position="max",
                seed_value="activation", preprocess=preprocess,
            )  # fmt: skip
            place = () if result.position is None else tuple(result.position[0, 0].tolist())
            (pixels,) = result.pictures
            box = seen_pixels(field, place, pixels.shape[:2])
            top, left, bottom, right = box
            row.append(
                Found(
                    picture=pictures[number],
                    channel=int(channel),
                    score=float(scores[number][unit]),
                    position=place,
                    box=box,
                    patch=pixels[top:bottom, left:right],
                    projection=result.attribution[0, 0, :, top:bottom, left:right],
                )
            )
        found.append(row)
    return found


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


def draw_strongest(found: Sequence[Sequence[Found]], layer: str, method: str) -> Image.Image:
    """Draw one row a channel: each patch, and beside it its projection."""
    rows: list[list[Panel | None]] = []
    for row in found:
        panels: list[Panel | None] = []
        for one in row:
            name = os.path.basename(one.picture)
            captions = (f"{one.channel}: {name} ({one.score:.3g})", name, f"{one.score:.3g}")
            drawn = (enlarged(one.patch, SIDE), enlarged(projection(one.projection), SIDE))
            panels.append(Panel(captions, drawn))
        rows.append(panels)
    note = Note("Each patch is what the unit sees of the picture; beside it, its projection.")
    return figure(rows, f"What excites {layer} most · {method}", [note])
