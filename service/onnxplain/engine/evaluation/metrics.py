"""Measures of a map's faithfulness: pure functions of maps, masks and curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

__all__ = [
    "area_under",
    "blurred",
    "grey",
    "mass_inside",
    "points_inside",
    "rank_correlation",
    "ranked_pixels",
    "replaced",
    "scaled_area",
    "strength",
]

Map = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]

BLUR = 1 / 16  # of the longer side


def strength(attribution: npt.NDArray[Any], height: int, width: int) -> Map:
    """Return the strength of an attribution [C, h, w] at each pixel, [height, width], 0 or more.

    For several channels it is the Euclidean norm; for a single one, such as a class activation
    map's, the positive part, since negative values speak against the unit. A single channel of one
    sign, such as RISE's, has a constant part: its minimum is subtracted. Other sizes are resized.
    """
    values = np.nan_to_num(np.asarray(attribution, np.float64))
    if len(values) == 1:
        strengths: Map = values[0]
        one_sign = (strengths > 0).all() or (strengths < 0).all()
        strengths = np.maximum(strengths - (float(strengths.min()) if one_sign else 0.0), 0)
    else:
        strengths = np.sqrt((values**2).sum(axis=0))
    if strengths.shape == (height, width):
        return strengths
    image = Image.fromarray(strengths.astype(np.float32))
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.maximum(np.asarray(resized, np.float64), 0)


def ranked_pixels(strengths: Map, seed: int = 0) -> npt.NDArray[np.int64]:
    """Return the flat indices of the pixels, the strongest first; equals in random order."""
    shuffled = np.random.default_rng(seed).permutation(strengths.size)
    order = np.argsort(-strengths.ravel()[shuffled], kind="stable")
    return np.asarray(shuffled[order], np.int64)


def replaced(
    start: Pixels, end: Pixels, order: npt.NDArray[np.int64], steps: int
) -> npt.NDArray[np.uint8]:
    """Return [steps + 1, H, W, 3], from `start` to `end`: pixels are replaced in their order."""
    frames = np.repeat(start[None], steps + 1, axis=0)
    for step in range(1, steps + 1):
        pixels = np.unravel_index(order[: round(len(order) * step / steps)], start.shape[:2])
        frames[step][pixels] = end[pixels]
    return frames


def area_under(curve: npt.NDArray[Any]) -> float:
    """Return the area under a curve at equal steps from 0 to 1, by the trapezoidal rule."""
    values = np.asarray(curve, np.float64)
    return float((values[1:] + values[:-1]).mean() / 2)


def scaled_area(curve: npt.NDArray[Any], untouched: float, blank: float) -> float:
    """Return the area under a curve scaled so that `untouched` is 1 and `blank` 0.

    NaN where these two are equal, so that there is nothing to measure.
    """
    if untouched == blank:
        return float("nan")
    return (area_under(curve) - blank) / (untouched - blank)


def points_inside(strengths: Map, mask: npt.NDArray[np.bool_]) -> bool:
    """Tell whether the strongest pixel lies in the mask (the pointing game, Zhang et al. 2016)."""
    return bool(mask.ravel()[strengths.argmax()]) and bool(strengths.any())


def mass_inside(strengths: Map, mask: npt.NDArray[np.bool_]) -> float:
    """Return the fraction of the strength that lies in the mask; 0 for a map of zeros."""
    total = float(strengths.sum())
    return float(strengths[mask].sum()) / total if total else 0.0


def rank_correlation(one: Map, other: Map) -> float:
    """Return Spearman's rank correlation; 0 where one of the maps is constant."""
    ranks = [_ranks(np.asarray(values, np.float64).ravel()) for values in (one, other)]
    deviations = [r - r.mean() for r in ranks]
    norm = float(np.sqrt((deviations[0] ** 2).sum() * (deviations[1] ** 2).sum()))
    return float((deviations[0] * deviations[1]).sum()) / norm if norm else 0.0


def blurred(picture: Pixels) -> Pixels:
    """Return a uint8 [H, W, 3] picture blurred until no shape is recognisable."""
    radius = BLUR * max(picture.shape[:2])
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius)))


def grey(picture: Pixels) -> Pixels:
    """Return a picture of the same size in its mean colour."""
    mean = np.rint(picture.reshape(-1, 3).mean(axis=0)).astype(np.uint8)
    return np.broadcast_to(mean, picture.shape)


def _ranks(values: Map) -> Map:
    """Return each value's rank; equal values share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return ((ends - counts + ends - 1) / 2)[inverse]
