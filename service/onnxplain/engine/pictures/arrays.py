"""Arrays of network inputs: read from .npy and .npz files, and split into images."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from onnxplain.engine.pictures.network_input import Input, shape_text
from onnxplain.engine.pictures.read import is_array_file, read_file
from onnxplain.graphops.errors import PictureError

__all__ = ["fitting", "misfit", "read_arrays", "split_images"]

Array: TypeAlias = npt.NDArray[Any]
NUMBERS = "fiub"  # the kinds of dtypes that an input can have


def read_arrays(source: object, name: str) -> Mapping[str, Array] | None:
    """Return the arrays of a .npy or .npz file or its bytes, None for anything else.

    An array of a .npy file has the name "". name: that of the source in errors. Raises MissingFile,
    PictureError.
    """
    if not isinstance(source, (str, bytes, os.PathLike)) or not is_array_file(source):
        return None
    try:
        loaded = np.load(io.BytesIO(read_file(source, name)), allow_pickle=False)
        arrays = {"": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    except Exception as e:  # zipfile, numpy and zlib raise errors of their own
        if isinstance(e, PictureError) or type(e).__module__.startswith("onnxplain."):
            raise
        raise PictureError(
            f"{name} is not a NumPy file that can be read ({type(e).__name__}): write it by "
            "numpy.save or numpy.savez"
        ) from e
    if not arrays:
        raise PictureError(f"{name} holds no array: write it by numpy.savez")
    return arrays


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
