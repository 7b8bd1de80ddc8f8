"""Arrays of network inputs: split into images, and fitted to the input."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from onnxplain.engine.pictures.network_input import Input, shape_text
from onnxplain.graphops.errors import PictureError

__all__ = ["fitting", "misfit", "split_images"]

Array: TypeAlias = npt.NDArray[Any]
NUMBERS = "fiub"  # the kinds of dtypes that an input can have


def split_images(array: Array, target: Input) -> list[Array]:
    """Return the images of an array: one without a batch axis, or several along it.

    A further axis in front is a list of such arrays. Raises PictureError for other ranks.
    """
    rank = len(target.image_shape)
    if not rank <= array.ndim <= rank + 2:
        raise PictureError(
            f"an array of shape {list(array.shape)} does not fit the input '{target.name}', which "
            f"takes {shape_text(target.shape, target.batched)}, or one image without the batch axis"
        )
    if not array.size:
        raise PictureError(
            f"the array for the input '{target.name}' is empty: its shape is {list(array.shape)}, "
            f"and the input takes {shape_text(target.shape, target.batched)}"
        )
    return list(array.reshape(-1, *array.shape[array.ndim - rank :]))


def fitting(image: Array, target: Input) -> Array:
    """Return the values of one image in the input's dtype. Raises PictureError for other shapes."""
    wanted = target.image_shape
    fits = len(wanted) == image.ndim and all(
        not isinstance(w, int) or w == n for w, n in zip(wanted, image.shape, strict=True)
    )
    if not fits or 0 in image.shape:
        raise misfit((1, *image.shape), target)
    if image.dtype.kind not in NUMBERS:
        raise PictureError(
            f"an array of {image.dtype} is no input of a network: give floats or integers"
        )
    if target.dtype.kind in "iu" and image.dtype != target.dtype:
        limits = np.iinfo(target.dtype)
        whole = np.rint(image) if image.dtype.kind == "f" else image
        image = np.clip(whole, limits.min, limits.max)
    return image.astype(target.dtype)


def misfit(shape: tuple[int, ...], target: Input) -> PictureError:
    """Return the error for images of a shape that the input does not take."""
    return PictureError(
        f"images of shape {shape_text(shape)} do not fit the input '{target.name}', which takes "
        f"{shape_text(target.shape, target.batched)}: choose a fitting size and number of channels"
    )
