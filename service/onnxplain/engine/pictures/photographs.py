"""Pictures fitted to the network, each with its photograph for drawings.

A photograph is the picture as its file shows it, upright, of a bounded size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from onnxplain.engine.pictures.preprocess import Preprocess
from onnxplain.engine.pictures.read import Picture, Pixels, load, names_in_errors

__all__ = ["Fitted", "fit_pictures", "read_photographs"]

LONGER_SIDE = 2048  # the longer side of a photograph in pixels, at most
LEAST_SIDE = 256  # the same where there are very many
ALL_PIXELS = 2**24  # of all photographs of a call together, unless there are very many
FINER = 2  # how many times more pixels than the network's a reduced picture has, in each direction
STRETCHED = 1.05  # the change of the aspect ratio from which a stretch is told


@dataclass(frozen=True)
class Fitted:
    """A picture as the network sees it, and its photograph, uint8 [H, W, 3] both.

    size: its height and width in the file. notes: sentences about what the network does not see.
    """

    pixels: Pixels
    photograph: Pixels
    size: tuple[int, int]
    notes: tuple[str, ...]


def fit_pictures(sources: Sequence[Picture], how: Preprocess) -> Iterator[Fitted]:
    """Read pictures and fit them to the network. Raises MissingFile, PictureError."""
    side = _longer_side(len(sources))

    def reduction(height: int, width: int) -> float:
        if how.size is None:
            return 1
        top, left, bottom, right = how.seen_box(height, width)
        coarsest = min((bottom - top) / how.size[0], (right - left) / how.size[1])
        return min(coarsest / FINER, max(height, width) / LONGER_SIDE)

    for source, name in zip(sources, names_in_errors(len(sources)), strict=True):
        loaded = load(source, name, reduction)
        image = how.fit_image(loaded.image)
        pixels = np.asarray(image)
        # An array that the network takes as it is would otherwise be kept twice.
        shown = pixels if image is loaded.image else _photograph(loaded.image, side)
        notes = (*loaded.notes, *_stretch_note(how, loaded.size))
        yield Fitted(pixels, shown, loaded.size, notes)


def read_photographs(sources: Sequence[Picture]) -> tuple[Pixels, ...]:
    """Read pictures as photographs, uint8 [H, W, 3] each. Raises MissingFile, PictureError."""
    side = _longer_side(len(sources))

    def reduction(height: int, width: int) -> float:
        return max(height, width) / LONGER_SIDE

    return tuple(
        _photograph(load(source, name, reduction).image, side)
        for source, name in zip(sources, names_in_errors(len(sources)), strict=True)
    )


def _longer_side(count: int) -> int:
    """Return the longer side in pixels of photographs of which a call keeps this many."""
    return min(max(math.isqrt(ALL_PIXELS // count), LEAST_SIDE), LONGER_SIDE)


def _photograph(image: Image.Image, side: int) -> Pixels:
    scale = side / max(image.size)
    if scale < 1:
        width, height = (max(round(n * scale), 1) for n in image.size)
        image = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(image)


def _stretch_note(how: Preprocess, size: tuple[int, int]) -> Iterator[str]:
    """Yield a note where the picture's aspect ratio changes, the same text for every picture."""
    if how.size is None or how.crop != "none":
        return
    height, width = how.size
    change = (size[1] * height) / (size[0] * width)
    if max(change, 1 / change) > STRETCHED:
        yield (
            f"a picture is stretched to {height}x{width}, which changes its aspect ratio by "
            "over 5 %: add crop=center to --preprocess to keep it, as the preset torchvision does"
        )
