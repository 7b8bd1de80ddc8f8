"""Colour maps, reconstructions and overlays of attributions.

Every function is pure: arrays in, a uint8 RGB array or a Pillow image out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

__all__ = [
    "channels_last",
    "diverging",
    "enlarged",
    "heat",
    "heat_grid",
    "is_picture",
    "overlay",
    "reconstruction",
    "signed_map",
]

Pixels = npt.NDArray[np.uint8]
Values = npt.NDArray[Any]

PERCENTILE = 99.5  # of the magnitudes, drawn at full strength: a few extremes do not dim the rest
OPACITY = 0.75  # of a grid of heat over a picture
BLUR = 1 / 120  # of the longer side: joins the dots of a strided network, keeps its outlines

# Blue, white, red: negative, zero, positive. The anchors are ColorBrewer's RdBu, whose halves are
# equally dark at equal magnitude and which colour-blind readers can distinguish.
_SIGNED = np.array(
    [
        (5, 48, 97), (33, 102, 172), (67, 147, 195), (146, 197, 222), (209, 229, 240),
        (247, 247, 247),
        (253, 219, 199), (244, 165, 130), (214, 96, 77), (178, 24, 43), (103, 0, 31),
    ],
    np.float64,
)  # fmt: skip
# ColorBrewer's YlOrRd, without its near-white end, since it lies on a pale picture.
_HEAT = np.array(
    [(254, 217, 118), (254, 178, 76), (253, 141, 60), (252, 78, 42), (227, 26, 28), (177, 0, 38)],
    np.float64,
)
_GREY = 127.5


def signed_map(attribution: Values) -> npt.NDArray[np.float64]:
    """Return one attribution [C, H, W], [H, W, C] or [H, W] summed over its channels, [H, W]."""
    return np.asarray(channels_last(attribution).sum(axis=2))


def is_picture(attribution: Values) -> bool:
    """Tell whether an attribution has the three channels of a colour picture."""
    return bool(channels_last(attribution).shape[2] == 3)


def reconstruction(attribution: Values) -> Pixels:
    """Draw an attribution of three channels as a picture [H, W, 3] in which zero is mid-grey."""
    return _bytes(_GREY + _GREY * _scaled(channels_last(attribution)))


def diverging(values: Values) -> Pixels:
    """Draw signed [H, W] values: blue below zero, white at zero, red above."""
    return _bytes(_looked_up(_scaled(values), np.linspace(-1, 1, len(_SIGNED)), _SIGNED))


def overlay(attribution: Values, picture: Pixels) -> Pixels:
    """Draw the strength of an attribution, regardless of its sign, over a picture [H, W, 3].

    The Euclidean norm over the channels, slightly blurred, is laid as heat over the picture in pale
    grey. An attribution of another height or width is resized to the picture's.
    """
    height, width = picture.shape[:2]
    strength = np.sqrt((_finite(channels_last(attribution)) ** 2).sum(axis=2))
    image = Image.fromarray(_bytes(255 * _scaled(strength)))
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    image = image.filter(ImageFilter.GaussianBlur(BLUR * max(height, width)))
    heat_map = _scaled(np.asarray(image))
    pale = _pale(picture)
    opacity = heat_map[:, :, None]
    return _bytes((1 - opacity) * pale + opacity * heat(heat_map))


def heat(values: Values) -> Pixels:
    """Colour magnitudes 0 to 1: yellow, orange, dark red."""
    return _bytes(_looked_up(np.clip(values, 0, 1), np.linspace(0, 1, len(_HEAT)), _HEAT))


def heat_grid(
    values: Values,
    low: float,
    high: float,
    picture: Pixels,
    centres: Sequence[Sequence[float] | Values],
    reach: float,
) -> Pixels:
    """Draw a grid of values [rows, columns] as heat over a picture, each around its centre.

    low, high: the values drawn weak and strong. centres: those of the grid's rows and columns, in
    pixels. reach: the largest distance from a centre that is coloured; beyond, the picture is pale.
    """
    nearest, near = [], []
    for size, along in zip(picture.shape, centres, strict=False):
        distance = np.abs(np.arange(size)[:, None] + 0.5 - np.asarray(along, np.float64))
        nearest.append(distance.argmin(axis=1))
        near.append(distance.min(axis=1) <= reach)
    pale = _pale(picture)
    known = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    strength = ((known - low) / ((high - low) or 1))[np.ix_(*nearest)]
    covered = np.ix_(*near)
    pale[covered] = (1 - OPACITY) * pale[covered] + OPACITY * heat(strength[covered])
    return _bytes(pale)


def enlarged(pixels: Pixels, side: int) -> Image.Image:
    """Return the picture with its longer side near `side`: enlarged by a whole factor, or reduced.

    A whole factor keeps pixels square and sharp: 64 pixels become 128 or 192, never 150.
    """
    image = Image.fromarray(pixels)
    longer = max(image.size)
    if longer > side:
        width, height = (max(1, round(n * side / longer)) for n in image.size)
        return image.resize((width, height), Image.Resampling.BOX)
    factor = side // longer
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def _pale(picture: Pixels) -> npt.NDArray[np.float64]:
    """Return the picture in pale grey, the background of heat, [H, W, 3]."""
    grey = picture.astype(np.float64) @ (0.299, 0.587, 0.114)
    return np.repeat((0.6 * grey + 0.4 * 255)[:, :, None], 3, axis=2)


def channels_last(attribution: Values) -> npt.NDArray[np.float64]:
    """Return [H, W, C]; the channel axis is the one with a size of 1 or 3."""
    values = np.asarray(attribution, np.float64)
    if values.ndim == 2:
        return values[:, :, None]
    if values.shape[0] not in (1, 3) and values.shape[2] in (1, 3):
        return values
    return values.transpose(1, 2, 0)


def _scaled(values: Values) -> npt.NDArray[np.float64]:
    """Divide by a high percentile of the magnitude and clip to -1..1. Zeros stay zeros."""
    finite = _finite(np.asarray(values, np.float64))
    magnitude = np.abs(finite)
    # The percentile of a sparse map can be zero: then the maximum scales it.
    limit = float(np.percentile(magnitude, PERCENTILE)) or float(magnitude.max())
    return np.clip(finite / limit, -1, 1) if limit else finite


def _finite(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the values with zeros for those that are not finite."""
    return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)


def _looked_up(values: Values, stops: Values, colours: Values) -> npt.NDArray[np.float64]:
    """Interpolate a colour for each value; a last axis of red, green, blue is added."""
    return np.stack([np.interp(values, stops, colours[:, c]) for c in range(3)], axis=-1)


def _bytes(values: npt.NDArray[np.float64]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
