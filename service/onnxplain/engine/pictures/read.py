"""Reading pictures from files, bytes, Pillow images and arrays."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps

from onnxplain.graphops.errors import PictureError, missing_file

__all__ = [
    "ARRAY_BYTES", "FORMATS", "Loaded", "Picture", "Pixels", "as_array", "is_array_file", "load",
    "names_in_errors", "read_arrays", "read_picture", "read_pictures", "read_with_notes",
]  # fmt: skip

# Without the formats for which Pillow starts other programs or reads further files. The first five
# need not all of its plug-ins.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "AVIF", "TIFF", "WEBP")
LARGE = 2**25  # pixels above which a JPEG may be decoded at a reduced size
MAX_PAGES = 100  # of a TIFF that are counted: a small file may claim a million
TURNED = (5, 6, 7, 8)  # EXIF orientations that swap height and width
ARRAY_FILES = (".npy", ".npz")
ARRAY_BYTES = (b"\x93NUMPY", b"PK\x03\x04")  # what a .npy and a .npz file begin with
# Pillow refuses pictures over 179 megapixels; its warning from half of that on helps nobody.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# Nor do its warnings of damaged metadata: the picture is read, or the error names the file.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

Pixels = npt.NDArray[np.uint8]
Picture = str | os.PathLike[str] | bytes | Image.Image | npt.NDArray[Any]


@dataclass(frozen=True)
class Loaded:
    """A picture as its file shows it.

    image: upright, in mode RGB. size: its height and width in the file, where the image may be
    smaller. notes: sentences about what of the file was left out.
    """

    image: Image.Image
    size: tuple[int, int]
    notes: tuple[str, ...] = ()


def read_picture(source: Picture, name: str = "the picture") -> Pixels:
    """Read a picture.

    Transparency is dropped, a camera's rotation is applied, and the first frame of an animation or
    page of a TIFF counts.

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
    return read_with_notes(source, name)[0]


def read_with_notes(source: Picture, name: str = "the picture") -> tuple[Pixels, tuple[str, ...]]:
    """Return the result of `read_picture`, and sentences about what of the file was left out."""
    source = as_array(source)
    if isinstance(source, np.ndarray):
        return _from_array(source, name), ()
    loaded = load(source, name)
    return np.asarray(loaded.image), loaded.notes


def load(
    source: Picture, name: str, reduction: Callable[[int, int], float] | None = None
) -> Loaded:
    """Read a picture as `read_picture` does, as a Pillow image.

    reduction: how many times smaller a JPEG of over LARGE pixels may be, for its height and width;
        None for 1. Raises as `read_picture`.
    """
    source = as_array(source)
    if isinstance(source, np.ndarray):
        return _loaded(Image.fromarray(_from_array(source, name)), name)
    if isinstance(source, Image.Image):
        return _loaded(source, name)
    if not isinstance(source, str | bytes | os.PathLike):
        raise TypeError(
            f"{name} must be a path, the bytes of a file, a Pillow image or a NumPy array, not "
            f"{source!r:.60} ({type(source).__name__})"
        )
    name = name if isinstance(source, bytes) else f"'{os.fspath(source)}'"
    arrays = read_arrays(source, name)
    if arrays is not None:
        return load(_from_file_of_arrays(arrays, name), name)
    with open_file(source, name) as file:
        try:
            with Image.open(file, formats=FORMATS) as image:
                pages = _pages(image) if image.format == "TIFF" else 1
                size = _decode(image, reduction)
        except Image.DecompressionBombError as e:
            most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
            raise PictureError(f"{name} has more than {most:,} pixels: make it smaller") from e
        except MemoryError:
            raise
        # Broken files make Pillow's decoders raise OSError, SyntaxError, struct.error, IndexError
        # and more.
        except Exception as e:
            raise PictureError(
                f"{name} is not a picture that can be read ({type(e).__name__}): "
                "give a PNG, a JPEG or another common format"
            ) from e
    count = f"over {MAX_PAGES}" if pages > MAX_PAGES else str(pages)
    note = f"{name} has {count} pages, and the first is read: save another as a file of its own"
    return Loaded(_to_rgb(image, name), size, (note,) if pages > 1 else ())


def _pages(image: Image.Image) -> int:
    """Return the number of a TIFF's pages, counted to one more than MAX_PAGES."""
    pages = 1
    try:
        while pages <= MAX_PAGES:
            image.seek(pages)
            pages += 1
    except EOFError:
        pass
    image.seek(0)
    return pages


def _loaded(image: Image.Image, name: str) -> Loaded:
    return Loaded(_to_rgb(image, name), (image.height, image.width))


def _decode(image: Image.Image, reduction: Callable[[int, int], float] | None) -> tuple[int, int]:
    """Decode an opened file and turn it upright. Return its height and width before a reduction."""
    size = None
    is_large = image.width * image.height > LARGE
    if reduction is not None and is_large and image.format in ("JPEG", "MPO"):
        turned = image.getexif().get(ExifTags.Base.Orientation) in TURNED
        size = image.size if turned else (image.height, image.width)
        factor = reduction(*size)
        if factor >= 2:  # the decoder can halve it, and halve it again
            image.draft(None, (int(image.width // factor), int(image.height // factor)))
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    return size or (image.height, image.width)


def read_arrays(source: object, name: str) -> Mapping[str, npt.NDArray[Any]] | None:
    """Return the arrays of a .npy or .npz file or its bytes, None for anything else.

    An array of a .npy file has the name "". name: that of the source in errors. Raises MissingFile,
    PictureError.
    """
    if not isinstance(source, (str, bytes, os.PathLike)) or not is_array_file(source):
        return None
    try:
        with open_file(source, name) as file:
            loaded = np.load(file, allow_pickle=False)
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
    for source, name in zip(sources, names_in_errors(len(sources), what), strict=True):
        yield read_picture(source, name)


def names_in_errors(count: int, what: str = "picture") -> list[str]:
    """Return names of pictures without a file for errors. what: the word for one."""
    if count == 1:
        return [f"the {what}"]
    return [f"{what} {number} of {count}" for number in range(1, count + 1)]


def as_array(source: Any) -> Any:
    """Return an array of another library, such as PyTorch's, as NumPy's, and all else as it is.

    Raises TypeError where it cannot be had as NumPy's.
    """
    if isinstance(source, np.ndarray | type) or not hasattr(source, "__array__"):
        return source
    try:
        return np.asarray(source)
    except (TypeError, RuntimeError) as e:  # PyTorch: on another device, or part of a graph
        raise TypeError(
            f"a {type(source).__name__} cannot be read as a NumPy array: give tensor.detach().cpu()"
        ) from e


def is_array_file(source: object) -> bool:
    """Tell whether a path or the bytes of a file are those of a NumPy file, .npy or .npz."""
    if isinstance(source, bytes):
        return source.startswith(ARRAY_BYTES)
    return isinstance(source, str | os.PathLike) and str(source).lower().endswith(ARRAY_FILES)


def open_file(source: str | os.PathLike[str] | bytes, name: str) -> BinaryIO:
    """Open a file, or the bytes of one, for reading at any place.

    name: that of the file in errors. Raises MissingFile, PictureError.
    """
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        file = open(source, "rb")  # noqa: SIM115
        if file.seekable():
            return file
        with file:
            return io.BytesIO(file.read())
    except (FileNotFoundError, NotADirectoryError) as e:
        raise missing_file(source, name) from e
    except IsADirectoryError as e:
        raise PictureError(
            f"{name} is a folder: name its pictures, such as {source!s}/*.png"
        ) from e
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


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode.startswith("I;16"):  # Pillow clips 16 bits to 8 instead of scaling
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise PictureError(
            f"{name} has 32-bit values, whose range is unknown: scale it to 8 bits first"
        )
    return image if image.mode == "RGB" else image.convert("RGB")
