"""How true a map is, in numbers: pure functions of maps, masks and curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

__all__ = [
    "area_under",
    "blurred",
    "mass_inside",
    "points_inside",
    "rank_correlation",
    "ranked_pixels",
    "replaced",
    "strength",
]

Map = npt.NDArray[np.float64]


def strength(attribution: npt.NDArray[Any], height: int, width: int) -> Map:
    """Return how strong an attribution [C, h, w] is at each pixel, [height, width], 0 or more.

    Over several channels the Euclidean norm; of a single one, such as that of a class activation
    map, what is positive: there the negative speaks against the unit. Maps of another size are
    resized.
    """
    values = np.nan_to_num(np.asarray(attribution, np.float64))
    if len(values) == 1:
        found = np.maximum(values[0], 0)
    else:
        found = np.sqrt((values**2).sum(axis=0))
    if found.shape == (height, width):
        return found
    image = Image.fromarray(found.astype(np.float32))
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.maximum(np.asarray(resized, np.float64), 0)


def ranked_pixels(strengths: Map, seed: int = 0) -> npt.NDArray[np.int64]:
    """Return the flat numbers of the pixels, the strongest first; equal ones in random order."""
    shuffled = np.random.default_rng(seed).permutation(strengths.size)
    order = np.argsort(-strengths.ravel()[shuffled], kind="stable")
    return np.asarray(shuffled[order], np.int64)


def replaced(
    start: npt.NDArray[Any], end: npt.NDArray[Any], order: npt.NDArray[np.int64], steps: int
) -> npt.NDArray[Any]:
    """Return [steps + 1, C, H, W]: `start`, with ever more pixels, in their order, as in `end`."""
    pixels = start.shape[1] * start.shape[2]
    frames = np.repeat(start[None], steps + 1, axis=0)
    for step in range(1, steps + 1):
        taken = np.unravel_index(order[: round(pixels * step / steps)], start.shape[1:])
        frames[step][:, taken[0], taken[1]] = end[:, taken[0], taken[1]]
    return frames


def area_under(curve: npt.NDArray[Any]) -> float:
    """Return the area under values at equal steps from 0 to 1, by the trapezoidal rule."""
    values = np.asarray(curve, np.float64)
    return float((values[1:] + values[:-1]).mean() / 2)


def points_inside(strengths: Map, mask: npt.NDArray[np.bool_]) -> bool:
    """Tell whether the strongest pixel lies in the mask (the pointing game, Zhang et al. 2016)."""
    return bool(mask.ravel()[strengths.argmax()]) and bool(strengths.any())


def mass_inside(strengths: Map, mask: npt.NDArray[np.bool_]) -> float:
    """Return which part of the strength lies in the mask; 0 for a map of zeros."""
    total = float(strengths.sum())
    return float(strengths[mask].sum()) / total if total else 0.0


def rank_correlation(one: Map, other: Map) -> float:
    """Return Spearman's rank correlation; 0 where one of the maps is constant."""
    ranks = [_ranks(np.asarray(values, np.float64).ravel()) for values in (one, other)]
    deviations = [r - r.mean() for r in ranks]
    norm = float(np.sqrt((deviations[0] ** 2).sum() * (deviations[1] ** 2).sum()))
    return float((deviations[0] * deviations[1]).sum()) / norm if norm else 0.0


def blurred(row: npt.NDArray[Any], radius: float) -> npt.NDArray[Any]:
    """Return [C, H, W] values under a Gaussian blur of that radius, in pixels."""
    channels = [Image.fromarray(np.asarray(c, np.float32)) for c in row]
    soft = [np.asarray(c.filter(ImageFilter.GaussianBlur(radius))) for c in channels]
    return np.stack(soft).astype(row.dtype)


def _ranks(values: Map) -> Map:
    """Return each value's rank; equal ones share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return ((ends - counts + ends - 1) / 2)[inverse]
