"""The search for the pictures of a collection that excite the channels of a layer most."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.explainer import Explainer
from onnxplain.engine.pictures import (
    Picture,
    Preprocess,
    is_array_file,
    read_arrays,
    read_with_notes,
)
from onnxplain.engine.runtime import Model
from onnxplain.engine.units import Units, choose_channels, top_count
from onnxplain.graphops import Layer
from onnxplain.graphops.errors import MissingFile, OptionError, PictureError

__all__ = ["Collection", "Maxima", "search"]

BATCH = 32  # pictures of one batch
BATCH_BYTES = 2**26  # of the pictures of one batch as they are read
DEFAULT_CHANNELS = 9
KEPT_BYTES = 2**28  # of pictures that are kept rather than read again for their projections


class Collection:
    """Pictures that are read when they are needed; those that cannot be read are skipped.

    sources: the pictures. titles: their names. skipped: by the index of each picture that was tried
    and could not be read, the reason. with_pages: the indices of files of several pages, of which
    the first is read.

    Raises OptionError where there are none.
    """

    def __init__(self, sources: Sequence[Picture], titles: Sequence[str]) -> None:
        if not len(sources):
            raise OptionError("there are no pictures to search: give at least one")
        self.sources = sources
        self.titles = titles
        self.skipped: dict[int, str] = {}
        self.with_pages: set[int] = set()
        self._kept: dict[int, Picture] = {}
        self._free = KEPT_BYTES

    def read(self, number: int) -> Picture:
        """Return a picture's pixels, or a file of the network's input as it is.

        Raises PictureError, MissingFile.
        """
        if number in self._kept:
            return self._kept[number]
        source, title = self.sources[number], self.titles[number]
        if is_array_file(source):
            read_arrays(source, f"'{title}'")  # refuses a damaged one
            return source
        picture, unread = read_with_notes(source, title)
        if unread:
            self.with_pages.add(number)
        if picture.nbytes <= self._free:
            self._free -= picture.nbytes
            self._kept[number] = picture
        return picture

    def __iter__(self) -> Iterator[tuple[int, Picture]]:
        """Yield the index of each picture that can be read, and the picture.

        Raises PictureError at the end if there was none.
        """
        for number, source in enumerate(self.sources):
            if number in self.skipped:
                continue
            try:
                picture = self.read(number)
            except (PictureError, MissingFile) as e:
                if isinstance(source, np.ndarray):  # no damaged file, but a wrong argument
                    raise
                self.skipped[number] = str(e)
                continue
            yield number, picture
        if len(self.skipped) == len(self.sources):
            reason = next(iter(self.skipped.values()))
            if len(self.sources) > 1:
                reason = f"none of the {len(self.sources)} pictures can be read; {reason}"
            raise PictureError(reason)

    def batches(self) -> Iterator[tuple[list[int], list[Picture]]]:
        """Yield batches of bounded size: the indices of the pictures, and the pictures."""
        numbers: list[int] = []
        pictures: list[Picture] = []
        size = 0
        for number, picture in self:
            # Files of the network's input come one by one: each may hold several images.
            own = picture.nbytes if isinstance(picture, np.ndarray) else BATCH_BYTES
            if numbers and (len(numbers) == BATCH or size + own > BATCH_BYTES):
                yield numbers, pictures
                numbers, pictures, size = [], [], 0
            numbers.append(number)
            pictures.append(picture)
            size += own
        yield numbers, pictures


@dataclass(frozen=True, eq=False)
class Maxima:
    """The strongest pictures of channels, the strongest first.

    channels: int64 [rows]. picture: int64 [rows, count], indices. score: float32 [rows, count], the
    channel's maximum in the picture. position: int64 [rows, count, rank], the maximum's place.
    """

    channels: npt.NDArray[np.int64]
    picture: npt.NDArray[np.int64]
    score: npt.NDArray[np.float32]
    position: npt.NDArray[np.int64]


def search(
    engine: Explainer,
    model: Model,
    pictures: Collection,
    layer: Layer,
    channels: Units,
    count: int,
    preprocess: Preprocess | str | None,
    progress: Callable[[int], None],
) -> Maxima:
    """Find the strongest pictures of a layer's channels in one pass over the pictures.

    channels: None for the 9 that stand out most, or all of fewer. progress: called with the number
    of pictures searched.

    Raises ChannelError, OptionError, PictureError and what `Engine.values` raises.
    """
    runs = _runs(engine, model, pictures, layer, preprocess)
    first = next(runs)
    values = first[1][0]
    channels = _asked(channels, len(values))
    best = _Best(_searched(channels, len(values), layer.tensor), values.ndim - 1, count)
    for numbers, batch in itertools.chain([first], runs):
        progress(numbers[0])
        best.add(numbers, batch)
    if top_count(channels) is None:
        return best.found()
    strength = best.score[0] if "class score" in layer.marks else best.contrast()
    rows = choose_channels(channels, 1, len(strength), strength[None], layer.tensor)[0]
    return best.found(rows)


def _runs(
    engine: Explainer,
    model: Model,
    pictures: Collection,
    layer: Layer,
    preprocess: Preprocess | str | None,
) -> Iterator[tuple[list[int], list[npt.NDArray[np.float32]]]]:
    """Yield the indices of the pictures of each batch, and the layer's values for each."""
    for numbers, batch in pictures.batches():
        values = list(engine.values(model, batch, layer.tensor, preprocess))
        if len(values) != len(batch):
            title = pictures.titles[numbers[0]]
            raise PictureError(f"'{title}' holds {len(values)} images: split it")
        yield numbers, values


def _asked(channels: Units, known: int) -> Units:
    """Return the channels that are asked for, of a layer that has `known` of them."""
    return f"top:{min(DEFAULT_CHANNELS, known)}" if channels is None else channels


def _searched(channels: Units, known: int, layer: str) -> npt.NDArray[np.int64]:
    """Return the channels to search: for top:K, all."""
    none = np.zeros((1, known), np.float32)  # an impossible top:K is refused before the work
    chosen = choose_channels(channels, 1, known, none, layer)[0]
    return chosen if top_count(channels) is None else np.arange(known)


class _Best:
    """The strongest pictures of channels so far, and the mean and deviation of their values."""

    def __init__(self, channels: npt.NDArray[np.int64], rank: int, count: int) -> None:
        self.channels = channels
        self.count = count
        self.picture = np.zeros((0, len(channels)), np.int64)
        self.score = np.zeros((0, len(channels)), np.float32)
        self.position = np.zeros((0, len(channels), rank), np.int64)
        self._images = self._values = 0
        self._sum, self._squares = np.zeros((2, len(channels)))

    def add(self, numbers: Sequence[int], values: Sequence[npt.NDArray[Any]]) -> None:
        """Take the layer's values [channels, ...] for some pictures into account."""
        scores, positions = [self.score], [self.position]
        for own in values:
            spatial = own.shape[1:]
            flat = own[self.channels].reshape(len(self.channels), -1)
            places = flat.argmax(axis=1)
            scores.append(np.take_along_axis(flat, places[:, None], axis=1).T)
            where = np.stack(np.unravel_index(places, spatial or (1,)), axis=-1)
            positions.append(where[None, :, : len(spatial)])
            with np.errstate(invalid="ignore", over="ignore"):
                self._sum += flat.sum(axis=1, dtype=np.float64)
                self._squares += np.square(flat, dtype=np.float64).sum(axis=1)
            self._values += flat.shape[1]
        self._images += len(values)
        score, position = np.concatenate(scores), np.concatenate(positions)
        indices = np.repeat(np.array(numbers, np.int64)[:, None], len(self.channels), axis=1)
        picture = np.concatenate([self.picture, indices])
        order = np.argsort(-score, axis=0, kind="stable")[: self.count]
        self.score, self.picture = (np.take_along_axis(a, order, axis=0) for a in (score, picture))
        self.position = np.take_along_axis(position, order[..., None], axis=0)

    def contrast(self) -> npt.NDArray[np.float32]:
        """Return how far each channel's strongest pictures stand above its usual values.

        The mean of its maxima in them, less the mean of all its values, over their standard
        deviation: raw maxima would favour channels of a large scale, which the next layer's weights
        can make up for. At most half of the pictures count as strongest.
        """
        strongest = self.score[: max(1, self._images // 2)].mean(axis=0, dtype=np.float64)
        mean = self._sum / self._values
        deviation = np.sqrt(np.maximum(self._squares / self._values - mean**2, 0))
        varies = deviation > 1e-6 * np.abs(mean)
        contrast = np.divide(strongest - mean, deviation, where=varies, out=np.zeros_like(mean))
        return np.asarray(np.nan_to_num(contrast, nan=-np.inf), np.float32)

    def found(self, rows: npt.NDArray[np.int64] | slice = slice(None)) -> Maxima:
        """Return the maxima of some of the channels."""
        return Maxima(
            self.channels[rows],
            self.picture.T[rows],
            self.score.T[rows],
            self.position.transpose(1, 0, 2)[rows],
        )
