"""The pictures of a collection that excite a layer's channels most, and the pixels that do so."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.argument_checks import checked
from onnxplain.engine.drawing import Page, Style, View, name_pictures
from onnxplain.engine.explainer import Explainer
from onnxplain.engine.labels import Labels
from onnxplain.engine.methods import find_method
from onnxplain.engine.named_arrays import AxisNames, Coordinates, counted
from onnxplain.engine.pictures import Picture, Preprocess, folder_pictures, names_in, prepare
from onnxplain.engine.progress import Progress, unreported
from onnxplain.engine.runtime import Model
from onnxplain.engine.units import Units, top_count
from onnxplain.engine.views.top_figure import strongest_pages
from onnxplain.engine.views.top_projection import Found, project
from onnxplain.engine.views.top_search import Collection, search
from onnxplain.graphops.errors import OptionError
from onnxplain.graphops.methods import DEFAULT_METHOD

__all__ = ["Found", "Strongest", "rows", "top"]

NAMED = 10  # skipped pictures that a note names


@dataclass(frozen=True, eq=False, repr=False)
class Strongest(View):
    """The pictures that excite channels of a layer most.

    `to_numpy()` is the score, [channels, pictures], of the strongest picture first.

    rows: one per channel, the strongest picture first. layer: its tensor. asked: its name as the
    caller gave it. method: the method of the
    projections. preprocess: the preprocessing of the pictures. labels: class names by channel, if
    the layer is the class score. notes: sentences about assumptions and oddities. skipped: the
    names of the pictures that could not be read.
    """

    main = "score"
    rows: tuple[tuple[Found, ...], ...]
    layer: str
    method: str
    preprocess: Preprocess | None
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    asked: str = ""

    def page(self, style: Style) -> Page:
        """Return the first page, see `pages`.

        Args:
            style: how the figure looks; `columns` are the channels of a row.

        Returns:
            The page.

        Raises:
            OptionError: a projection cannot be drawn.
        """
        return self.pages(style)[0]

    def pages(self, style: Style) -> Sequence[Page]:
        """Return the pages: for each channel its projections beside their patches, in blocks.

        All tiles are of one size, and the unit is in the middle of each. Up to 24 channels are on
        one page, more on pages of the proportions of A4.

        Args:
            style: how the figures look; `columns` are the channels of a row.

        Returns:
            The pages, each of whole rows of channels.

        Raises:
            OptionError: a projection cannot be drawn.
        """
        return strongest_pages(self, style)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return arrays [rows, pictures], and patch.ROW.PICTURE and projection.ROW.PICTURE."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "channels": np.array([row[0].channel for row in self.rows]),
            "layer": np.array(self.layer),
            "method": np.array(self.method),
            "skipped": np.array(self.skipped, np.str_),
        }
        for name in ("picture", "name", "score", "position", "box"):
            arrays[name] = np.array([[getattr(one, name) for one in row] for row in self.rows])
        for r, row in enumerate(self.rows):
            for i, one in enumerate(row):
                arrays[f"patch.{r}.{i}"] = one.patch
                arrays[f"projection.{r}.{i}"] = one.projection
        return arrays

    def _axes(self) -> AxisNames:
        axes = dict.fromkeys(("picture", "name", "score"), ("unit", "rank"))
        return {**axes, "position": ("unit", "rank", "axis"), "box": ("unit", "rank", "side")}

    def _coordinates(self) -> Coordinates:
        return {"unit": (("unit",), [row[0].channel for row in self.rows])}

    def _told(self) -> tuple[str, str]:
        first = self.rows[0][0]
        return (
            f"the pictures that excite '{self.layer}' most [{counted(len(self.rows), 'channel')}, "
            f"{counted(len(self.rows[0]), 'picture')} each]",
            f"channel {first.channel}: {first.name} ({first.score:.3g})",
        )


@checked
def top(
    engine: Explainer,
    model: Model,
    pictures: str | os.PathLike[str] | Sequence[Picture],
    layer: str | None = None,
    channels: Units = None,
    count: int = 9,
    method: str = DEFAULT_METHOD,
    *,
    names: Sequence[str] | None = None,
    labels: Labels | None = None,
    preprocess: Preprocess | str | None = None,
    progress: Progress | None = None,
) -> Strongest:
    """Find the pictures that excite channels of a layer most, and what excites the channels there.

    One patch per picture, after Zeiler and Fergus 2014, figure 2. "top:K" takes the channels whose
    strongest pictures stand out most: the mean of the maxima in them, less the mean of all the
    channel's values, in standard deviations of these; of the class score, the largest scores.

    Args:
        model: a path, the bytes of a file, a ModelProto, or the result of `Engine.open`.
        pictures: a folder, which is searched with its subfolders; or paths, bytes, Pillow images or
            uint8 arrays [H, W, 3]. Files that cannot be read are skipped, and named in a note.
        layer: a tensor, node or module; None for the class score.
        channels: "top:K", "all", or channels of the layer; None for the 9 that stand out most.
        count: the number of pictures per channel.
        method: the method of the projections.
        names: the pictures' names; None for their file names, or their paths in the folder.
        labels: class names by channel, a list, a text file or "imagenet"; None for the model's
            own.
        preprocess: the preprocessing; None for the model's own, or a guess.
        progress: called with the steps done and their total.

    Returns:
        For each channel its pictures, the strongest first.

    Raises:
        OptionError: there are no pictures or channels, or the method has no projections.
        MissingFile: there is no such folder, or no picture in it.
        PictureError: none of the pictures can be read.
        AnswerTooLarge: the projections exceed a limit.
        InputError, ModelError, DeviceError, Cancelled: as `Engine.explain`.
    """
    if isinstance(pictures, str | os.PathLike):
        paths = folder_pictures(pictures)
        names = names_in(pictures, paths) if names is None else names
        pictures = paths
    if count < 1:
        raise OptionError(f"a count of {count} pictures per channel: give at least 1")
    top_count(channels)  # refuses other words before the work
    declared = find_method(method)
    if declared.over != "target" or declared.drawn == "picture":
        raise OptionError(
            f"method '{method}' does not carry a layer's units back to the pixels: choose "
            "deconvnet, guided_backprop or another that does"
        )
    report = progress or unreported
    collection, steps = Collection(pictures, name_pictures(pictures, names)), 2 * len(pictures)
    _, sample = next(iter(collection))
    opened = engine.open(model)
    prepared = prepare(opened.model, sample, preprocess, opened.inputs(layer)[0])
    first = engine.explain(
        opened, sample, layer, "activation", 0, position="all", preprocess=preprocess, labels=labels
    )
    if not first.shown_pictures():
        raise OptionError(
            f"the input '{opened.input.name}' is no picture to cut patches from: `explain` draws "
            "signals and volumes"
        )
    field = next(known for known in opened.layers if known.tensor == first.layer)
    maxima = search(
        engine, opened, collection, field, channels, count, preprocess,
        lambda done: report(done, steps),
    )  # fmt: skip
    found, further = project(
        engine, opened, collection, field, method, preprocess, maxima,
        lambda done: report(len(pictures) + done, steps),
    )  # fmt: skip
    skipped = tuple(collection.titles[number] for number in sorted(collection.skipped))
    paged = [collection.titles[number] for number in sorted(collection.with_pages)]
    notes = dict.fromkeys(
        [*prepared.notes, *further, *_paged_notes(paged), *_skipped_notes(skipped, len(pictures))]
    )
    return Strongest(
        found, first.layer, method, first.preprocess, first.labels, tuple(notes), skipped,
        layer or "",
    )  # fmt: skip


def _paged_notes(paged: Sequence[str]) -> Iterator[str]:
    """Yield a note that names the files of several pages."""
    if paged:
        yield f"of files of several pages, the first page is searched: {_listed(paged)}"


def _skipped_notes(skipped: Sequence[str], total: int) -> Iterator[str]:
    """Yield a note that names the pictures that could not be read."""
    if skipped:
        yield (
            f"{len(skipped)} of {total} pictures could not be read and were skipped: "
            f"{_listed(skipped)}"
        )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def rows(arrays: Mapping[str, npt.NDArray[Any]], pictures: Sequence[str]) -> list[dict[str, Any]]:
    """Return one dictionary per channel and picture, the strongest picture of a channel first.

    arrays: those of `Strongest.arrays`. pictures: the paths of all the pictures. The position is
    None where all are the first, as in a layer of one place.
    """
    placed = arrays["position"].any()
    return [
        {
            "channel": channel,
            "picture": pictures[arrays["picture"][row, i]],
            "name": str(arrays["name"][row, i]),
            "activity": arrays["score"][row, i].item(),
            "position": arrays["position"][row, i].tolist() if placed else None,
            "box": arrays["box"][row, i].tolist(),
        }
        for row, channel in enumerate(arrays["channels"].tolist())
        for i in range(arrays["picture"].shape[1])
    ]
