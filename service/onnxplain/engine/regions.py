"""A region of the picture or the layer as a weight for each of the layer's positions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from onnxplain.engine.pictures import Images, read_arrays, read_picture
from onnxplain.engine.run import Run
from onnxplain.graphops.errors import OptionError

__all__ = ["area_mean", "regions_of"]

Weights = npt.NDArray[np.float32]
Array = npt.NDArray[Any]


def regions_of(run: Run, region: Images, sizes: Sequence[tuple[int, ...]]) -> list[Weights]:
    """Return the weights of the layer's positions for each image, [*spatial] each.

    region: one mask for all images, or one for each: a picture that is light inside, a .npy file or
        an array of weights. It has the size of the layer; or that of the picture, or of the
        network's input, and is resized to the layer by the mean over each position's area.
    sizes: the layer's spatial shape for each image.

    Raises OptionError where a mask has another size, or is zero everywhere.
    """
    masks = _masks(region, len(sizes[0]))
    if len(masks) not in (1, len(sizes)):
        raise OptionError(
            f"there are {len(masks)} regions, for {len(sizes)} image(s): give one for all of them, "
            "or one for each"
        )
    fitted = [
        _fitted(run, i, mask, size)
        for i, (mask, size) in enumerate(
            zip(masks * (len(sizes) // len(masks)), sizes, strict=True)
        )
    ]
    for weights in fitted:
        if not np.isfinite(weights).all() or not weights.any():
            raise OptionError(
                "a region is zero everywhere, or not finite, at the positions of layer "
                f"'{run.subject.layer.tensor}': give a mask that is light inside the region"
            )
    return fitted


def area_mean(values: Array, size: Sequence[int]) -> npt.NDArray[np.float64]:
    """Return an array resized so that each element is the mean over its part of the original.

    size: the new sizes of its axes.
    """
    resized = np.asarray(values, np.float64)
    for axis, (before, after) in enumerate(zip(values.shape, size, strict=True)):
        edges = np.arange(after + 1) * before / after
        low, high = edges[:-1, None], edges[1:, None]
        cells = np.arange(before)
        part = np.minimum(high, cells + 1) - np.maximum(low, cells)
        weights = np.maximum(part, 0) * after / before
        resized = np.moveaxis(np.tensordot(weights, resized, axes=(1, axis)), 0, axis)
    return resized


def _masks(region: Images, rank: int) -> list[Array]:
    """Return the masks of a region one by one."""
    if isinstance(region, np.ndarray):
        return list(region) if region.ndim == rank + 1 else [region]
    single = isinstance(region, str | bytes | os.PathLike | Image.Image)
    sources: list[Any] = [region] if single else list(region)  # type: ignore[arg-type]
    masks: list[Array] = []
    for one in sources:
        name = f"the region '{os.fspath(one)}'" if isinstance(one, str | os.PathLike) else "it"
        arrays = read_arrays(one, name)
        if isinstance(one, np.ndarray):
            masks.append(one)
        elif arrays is None:
            masks.append(read_picture(one, "the region").max(axis=2))
        elif len(arrays) > 1:
            raise OptionError(f"{name} holds {len(arrays)} arrays: give a file of one")
        else:
            masks += _masks(next(iter(arrays.values())), rank)
    return masks


def _fitted(run: Run, image: int, mask: Array, size: tuple[int, ...]) -> Weights:
    """Return a mask in the layer's size."""
    row, subject = run.rows[image], run.subject
    if mask.dtype.kind not in "fiub":
        raise OptionError(f"a region of {mask.dtype} is no mask: give numbers")
    if mask.dtype == np.uint8 and mask.size and mask.max() > 1:  # levels of grey
        own: Array | None = mask
        mask = mask / np.float64(255)
    else:
        own = (np.clip(mask, 0, 1) * 255).astype(np.uint8) if mask.dtype.kind in "iub" else None
    axis = subject.input.channel_axis
    seen = row.shape[:axis] + row.shape[axis + 1 :]
    original = run.sizes[image] if run.sizes else seen
    if mask.shape == size:
        return np.asarray(mask, np.float32)
    if mask.shape == original != seen and own is not None and run.preprocess is not None:
        mask = run.preprocess.fit(np.repeat(own[:, :, None], 3, axis=2))[:, :, 0] / np.float64(255)
    if mask.shape != seen or len(seen) != len(size):
        known = dict.fromkeys(map(str, (list(size), list(seen), list(original))))
        raise OptionError(
            f"a region of shape {list(mask.shape)} fits neither layer '{subject.layer.tensor}' nor "
            f"the picture: give a mask of one of the shapes {', '.join(known)}"
        )
    return area_mean(mask, size).astype(np.float32)
