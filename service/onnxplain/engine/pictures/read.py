"""Reading pictures from files, bytes, Pillow images and arrays."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from onnxplain.graphops.errors import PictureError, missing_file

__all__ = [
    "ARRAY_BYTES", "Picture", "is_array_file", "read_arrays", "read_file", "read_picture",
    "read_pictures",
]  # fmt: skip

# Without the formats for which Pillow starts other programs or reads further files.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
ARRAY_FILES = (".npy", ".npz")
ARRAY_BYTES = (b"\x93NUMPY", b"PK\x03\x04")  # what a .npy and a .npz file begin with
# Pillow refuses pictures over 179 megapixels; its warning from half of that on helps nobody.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

Pixels = npt.NDArray[np.uint8]
Picture = str | os.PathLike[str] | bytes | Image.Image | npt.NDArray[Any]


def read_picture(source: Picture, name: str = "the picture") -> Pixels:
    """Read a picture.

    Transparency is dropped, a camera's rotation is applied, and an animation's first frame counts.

    Args:
        source: a path, the bytes of a file, a Pillow image, or a uint8 array [H, W], [H, W, 1],
            [H, W, 3] or [H, W, 4]. The file may be .npy or .npz with one such array.
        name: the name of a picture without a file in errors.

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        MissingFile: there is no such file.
        PictureError: it cannot be read, or is not a picture.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, name)
    if isinstance(source, Image.Image):
        return _to_rgb(source, name)
    name = name if isinstance(source, bytes) else f"'{os.fspath(source)}'"
    arrays = read_arrays(source, name)
    if arrays is not None:
        return _from_file_of_arrays(arrays, name)
    data = read_file(source, name)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            image.load()
            upright = ImageOps.exif_transpose(image)
    # Broken files make Pillow's decoders raise OSError, SyntaxError, struct.error, IndexError,
    # DecompressionBombError and more.
    except Exception as e:
        raise PictureError(
            f"{name} is not a picture that can be read ({type(e).__name__}): "
            "give a PNG, a JPEG or another common format"
        ) from e
    return _to_rgb(upright, name)


def read_arrays(source: object, name: str) -> Mapping[str, npt.NDArray[Any]] | None:
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


def read_pictures(sources: Sequence[Picture], what: str = "picture") -> Iterator[Pixels]:
    """Yield the result of `read_picture` for each source. what: the word for one in errors."""
    for number, source in enumerate(sources, 1):
        numbered = f"{what} {number} of {len(sources)}"
        yield read_picture(source, numbered if len(sources) > 1 else f"the {what}")


def is_array_file(source: object) -> bool:
    """Tell whether a path or the bytes of a file are those of a NumPy file, .npy or .npz."""
    if isinstance(source, bytes):
        return source.startswith(ARRAY_BYTES)
    return isinstance(source, str | os.PathLike) and str(source).lower().endswith(ARRAY_FILES)


def read_file(source: str | os.PathLike[str] | bytes, name: str) -> bytes:
    """Return the bytes of a file, or the bytes themselves.

    name: that of the file in errors. Raises MissingFile, PictureError.
    """
    if isinstance(source, bytes):
        return source
    try:
        return Path(source).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as e:
        raise missing_file(source, name) from e
    except OSError as e:
        raise PictureError(f"cannot read {name}: {e.strerror}") from e


def _from_array(array: npt.NDArray[Any], name: str) -> Pixels:
    if array.ndim == 2:
        array = array[:, :, None]
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise PictureError(
            f"{name} is not a picture but a {array.dtype} array {list(array.shape)}: give uint8 "
            "[H, W, 3], or one float array [N, C, H, W] that is already preprocessed"
        )
    if 0 in array.shape:
        raise PictureError(f"{name} is empty: its array has the shape {list(array.shape)}")
    rgb = array[:, :, :3] if array.shape[2] >= 3 else np.repeat(array, 3, axis=2)
    return np.ascontiguousarray(rgb)


def _from_file_of_arrays(arrays: Mapping[str, npt.NDArray[Any]], name: str) -> Pixels:
    """Return the one picture of a .npy or .npz file. Values of a network input are none."""
    first, *others = arrays.values()
    if others or first.dtype != np.uint8:
        raise PictureError(
            f"{name} holds values of a network input, which only explain takes in place of a "
            "picture: give one uint8 array [H, W, 3], a PNG, a JPEG or another common format"
        )
    return _from_array(first, name)


def _to_rgb(image: Image.Image, name: str) -> Pixels:
    if image.mode.startswith("I;16"):  # Pillow clips 16 bits to 8 instead of scaling
        return _from_array((np.asarray(image) >> 8).astype(np.uint8), name)
    if image.mode in ("I", "F"):
        raise PictureError(
            f"{name} has 32-bit values, whose range is unknown: scale it to 8 bits first"
        )
    return _from_array(np.asarray(image.convert("RGB")), name)
