"""The pictures of a collection that excite a layer's channels most, and the pixels that do so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.drawing import (
    Frame,
    Page,
    Panel,
    Style,
    View,
    attribution_panel,
    kind_of,
    name_pictures,
    number,
    picture_panel,
)
from onnxplain.engine.engine import Engine
from onnxplain.engine.methods import drawn_as, find_method
from onnxplain.engine.pictures import Picture, Preprocess, is_array_file, read_picture
from onnxplain.engine.runtime import Model
from onnxplain.graphops.errors import OptionError, PictureError
from onnxplain.graphops.methods import DEFAULT_METHOD

__all__ = ["Found", "Strongest", "rows", "strongest_pictures"]


@dataclass(frozen=True, eq=False)
class Found:
    """A channel's strongest position in one picture.

    picture, name: the picture's index, from 0, and its name.
    channel, score: the channel and its value at the position.
    position: (row, column) in the layer.
    box: the position's receptive field within the picture as the network sees it, (top, left,
        bottom, right) in pixels.
    patch: the pixels in the box, uint8 [h, w, 3].
    projection: the projection to them, [C, h, w] or [h, w, C] as the network's input has it.
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
    """The pictures that excite channels of a layer most.

    rows: one per channel, the strongest picture first. layer: its tensor. method: the method of the
    projections. preprocess: the preprocessing of the pictures. labels: class names by channel, if
    the layer is the class score. notes: sentences about assumptions and oddities.
    """

    rows: tuple[tuple[Found, ...], ...]
    layer: str
    method: str
    preprocess: Preprocess | None
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def page(self, style: Style) -> Page:
        """Draw one row per channel: each patch, and beside it its projection.

        Args:
            style: how the figure looks.

        Returns:
            The page.
        """
        rows: list[list[Panel | None]] = []
        for found in self.rows:
            row: list[Panel | None] = []
            for one in found:
                channel = (*self.labels[one.channel : one.channel + 1], str(one.channel))[0]
                score = number(one.score) if one.score > 0 or self.labels else "not active"
                captions = (
                    f"{channel}: {one.name} ({score})", f"{channel}: {one.name}", f"{channel}",
                )  # fmt: skip
                frame = Frame.whole(one.patch.shape[:2], one.patch)
                kind = kind_of(one.projection, drawn_as(self.method), self.preprocess)
                row.append(picture_panel(captions, frame, f"{channel}_{one.name}_patch"))
                row.append(
                    attribution_panel(
                        (), partial(getattr, one, "projection"), kind, self.preprocess, frame,
                        f"{channel}_{one.name}_projection",
                    )
                )  # fmt: skip
            rows.append(row)
        legend = ["Each patch is what the unit sees of the picture; beside it, its projection"]
        return Page(f"What excites {self.layer} most · {self.method}", rows, legend, self.notes)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return arrays [rows, pictures], and patch.ROW.PICTURE and projection.ROW.PICTURE."""
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
    method: str = DEFAULT_METHOD,
    *,
    names: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    preprocess: Preprocess | str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Strongest:
    """Find the pictures that excite channels of a layer most, and what excites the channels there.

    One patch per picture, after Zeiler and Fergus 2014, figure 2.

    Args:
        engine: the engine that explains.
        model: a path, the bytes of a file, a ModelProto, or the result of `Engine.open`.
        pictures: paths, bytes, Pillow images or uint8 arrays [H, W, 3].
        layer: a tensor, node or module; None for the class score.
        channels: channels of the layer, at least one.
        count: the number of pictures per channel.
        method: the method of the projections.
        names: the pictures' names; None for their file names.
        labels: class names by channel; None for the model's own.
        preprocess: the preprocessing; None for the model's own, or a guess.
        progress: called with the steps done and their total.

    Returns:
        For each channel its pictures, the strongest first.

    Raises:
        OptionError: there are no pictures or channels, or the method has no projections.
        InputError, ModelError, DeviceError, Cancelled: as `Engine.explain`.
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
    titles = name_pictures(pictures, names)
    first = engine.explain(
        model, _read(pictures[0], titles[0]), layer, "activation", channels,
        preprocess=preprocess, labels=labels,
    )  # fmt: skip
    opened = engine.open(model)
    field = next(known for known in opened.layers if known.tensor == first.layer)
    spatial = len(field.shape or ()) != 2  # a layer of rank 2 has no positions
    scores: list[Any] = []
    positions: list[Any] = []
    notes = dict.fromkeys(first.notes)
    for index, picture in enumerate(pictures):
        progress(index, len(pictures))
        result = engine.explain(
            model, _read(picture, titles[index]), layer, "activation", channels,
            position="max" if spatial else None, preprocess=preprocess,
        )  # fmt: skip
        if len(result.score) != 1:
            raise PictureError(f"'{titles[index]}' holds {len(result.score)} images: split it")
        scores.append(result.score[0])
        positions.append(
            result.position[0] if result.position is not None else [()] * len(channels)
        )
        notes |= dict.fromkeys(result.notes)
    ranked = np.argsort(-np.stack(scores), axis=0, kind="stable")[:count]
    rows = []
    for unit, channel in enumerate(channels):
        row = []
        for index in ranked[:, unit].tolist():
            position = tuple(map(int, positions[index][unit]))
            result = engine.explain(
                model, pictures[index], layer, method, channel, position=position or None,
                preprocess=preprocess,
            )  # fmt: skip
            shown = result.shown_pictures()
            if not shown:
                raise OptionError(
                    f"the input '{opened.input.name}' is no picture to cut patches from: `explain` "
                    "draws signals and volumes"
                )
            (pixels,) = shown
            box = (0, 0, *pixels.shape[:2])
            if result.box is not None:
                box = tuple(result.box[0, 0].tolist())
            top, left, bottom, right = box
            patch = (slice(top, bottom), slice(left, right))
            back = result.attribution[0, 0]
            row.append(
                Found(
                    picture=index,
                    name=titles[index],
                    channel=int(channel),
                    score=float(scores[index][unit]),
                    position=position,
                    box=box,
                    patch=pixels[patch],
                    projection=back[patch] if opened.input.channels_last else back[(..., *patch)],
                )
            )
        rows.append(tuple(row))
    return Strongest(tuple(rows), first.layer, method, first.preprocess, first.labels, tuple(notes))


def _read(source: Picture, title: str) -> Picture:
    """Return a picture that was read, under its own name in errors; files of arrays stay."""
    return source if is_array_file(source) else read_picture(source, title)


def rows(arrays: Mapping[str, npt.NDArray[Any]], pictures: Sequence[str]) -> list[dict[str, Any]]:
    """Return one dictionary per channel and picture, the strongest picture of a channel first.

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
