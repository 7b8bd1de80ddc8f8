"""RISE (Petsiuk et al. 2018): the mean score of masked pictures that show a pixel."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from onnxplain.engine.methods.masking import Masking, masked_scores
from onnxplain.engine.run import Chosen, ProjectedUnits, Run

__all__ = ["random_mask", "rise"]

CHANCE = 4.0  # standard deviations of chance that a map should exceed somewhere
ROUNDING = 1e-7  # the precision of a float32 score, relative to it


def rise(run: Run, chosen: Chosen) -> Iterator[ProjectedUnits]:
    """Yield Σ f(x · mask) · mask / Σ mask, less the mean of f(x · mask), [units, 1, H, W].

    The masks are DIANNA's: random cells of a coarse grid stay visible; the grid is enlarged
    bilinearly to one cell more than the picture, and shifted at random.
    """
    run.require_picture_target()
    own = run.own
    count, cells, keep = own["masks"], own["resolution"], own["keep"]
    for image, row in enumerate(run.rows):
        masking = Masking.of(run, row)
        mask_at = functools.partial(random_mask, own["noise_seed"], masking.sides, cells, keep)
        for chunk, units, total, scored in masked_scores(
            run, chosen, image, masking, count, mask_at
        ):
            scores_of: list[npt.NDArray[np.float64]] = []
            masks, squares = np.zeros(masking.sides), np.zeros(masking.sides)
            for _, mask, scores in scored:
                total += scores.reshape(-1, *masking.ones) * mask
                masks += mask
                squares += np.square(mask)
                scores_of.append(scores)
            shape = (-1, *masking.ones)
            mean = np.mean(scores_of, axis=0).reshape(shape)
            shown = np.maximum(masks, np.finfo(np.float32).tiny)  # never shown: no score, no mask
            maps = np.where(masks > 0, total / shown - mean, 0)
            maps[np.abs(maps) <= ROUNDING * np.abs(mean)] = 0
            spread = np.std(scores_of, axis=0).reshape(shape)
            by_chance = spread * np.sqrt(np.maximum(squares - masks**2 / count, 0)) / shown
            sides = tuple(range(1, maps.ndim))
            clear = (np.abs(maps) > CHANCE * by_chance).any(axis=sides)
            known = np.isfinite(maps).all(axis=sides)
            faint = (maps.any(axis=sides) & known & ~clear).any()
            result = masking.result(units, maps)
            yield image, chunk, replace(result, notes=(FAINT,) if faint else ())


FAINT = (
    "a map of rise is no stronger than what random masks leave by chance: take more --masks, or a "
    "smaller --resolution"
)


def random_mask(
    seed: int, sides: tuple[int, ...], cells: int, keep: float, number: int
) -> npt.NDArray[np.float32]:
    """Return one mask of values 0 to 1, determined by the seed and its number."""
    rng = np.random.default_rng([seed, number])
    mask = (rng.random((cells,) * len(sides)) < keep).astype(np.float64)
    for axis, side in enumerate(sides):
        cell = -(-side // cells)
        shift = int(rng.integers(cell))
        lines = _bilinear(cells, (cells + 1) * cell)[shift : shift + side]
        mask = np.moveaxis(np.tensordot(lines, mask, axes=(1, axis)), 0, axis)
    return mask.astype(np.float32)


def _bilinear(cells: int, size: int) -> npt.NDArray[np.float64]:
    """Return the weights [size, cells] of a bilinear enlargement with mirrored edges."""
    at = (np.arange(size) + 0.5) * cells / size - 0.5
    near = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(-1, cells + 1)))
    mirrored = np.pad(np.eye(cells), ((1, 1), (0, 0)), mode="reflect")
    weights: npt.NDArray[np.float64] = near @ mirrored
    return weights
