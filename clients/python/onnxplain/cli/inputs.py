"""The files of pictures and arrays that the commands take, and standard input."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxplain.cli.arguments import channel_list
from onnxplain.cli.failures import UsageError

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "IMAGE_HELP",
    "add_inputs",
    "given_arrays",
    "image_names",
    "named_inputs",
    "opened",
    "opened_once",
    "read_region",
    "stem",
]

STDIN = "-"
IMAGE_HELP = "a PNG, JPEG or other picture; - reads it from standard input"


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """Add the flags of further inputs and of a region."""
    parser.add_argument(
        "--input",
        dest="inputs",
        metavar="NAME=FILE",
        type=_named_file,
        action="append",
        default=[],
        help="the value of a further input that the layer depends on, a .npy or .npz file or a "
        "picture; repeat it for other inputs, or with the same name for each IMAGE",
    )
    parser.add_argument(
        "--region",
        metavar="MASK",
        help="a picture that is light where the signal starts, or a .npy file of weights, of the "
        "size of the layer or of the picture; instead of --position",
    )
    parser.add_argument(
        "--bands",
        metavar="C[,C,C]",
        type=channel_list,
        help="the channels of a .npy picture that the drawing shows as grey, or as red, green and "
        "blue (default: all three, or the mean of more)",
    )


def opened_once(paths: Sequence[str]) -> None:
    """Raise UsageError if standard input is named twice among the paths of a command."""
    if list(paths).count(STDIN) > 1:
        raise UsageError("standard input (-) holds one picture: name it once")


def opened(paths: Sequence[str]) -> list[str | bytes]:
    """Return the files to read, standard input as its bytes."""
    return [_opened(path) for path in paths]


def named_inputs(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the files of further inputs by name: one, or several in the order of the images."""
    files: dict[str, list[str | bytes]] = {}
    for name, path in arguments.inputs:
        files.setdefault(name, []).append(_opened(path))
    return {name: some[0] if len(some) == 1 else some for name, some in files.items()}


def read_region(arguments: argparse.Namespace) -> npt.NDArray[Any] | None:
    """Return the mask of --region as an array. Raises MissingFile, PictureError."""
    if arguments.region is None:
        return None
    from onnxplain.engine import pictures
    from onnxplain.graphops.errors import PictureError

    name = f"the region '{arguments.region}'"
    source = _opened(arguments.region)
    arrays = pictures.read_arrays(source, name)
    if arrays is None:
        mask: npt.NDArray[Any] = pictures.read_picture(source, name).max(axis=2)
        return mask
    if len(arrays) > 1:
        raise PictureError(f"{name} holds {len(arrays)} arrays: give a file of one")
    return next(iter(arrays.values()))


def given_arrays(images: Sequence[str | bytes], count: int, rank: int) -> tuple[Any, ...]:
    """Return the network's inputs in .npy files, to draw the explanations of a server.

    count: their number. rank: that of one. Empty for pictures, and where they do not fit.
    """
    from onnxplain.engine.pictures import read_arrays

    rows: list[Any] = []
    for image in images:
        arrays = read_arrays(image, "the array")
        if arrays is None or len(arrays) > 1:
            return ()
        (array,) = arrays.values()
        if array.ndim < rank:
            return ()
        rows += list(array.reshape(-1, *array.shape[array.ndim - rank :]))
    return tuple(rows) if len(rows) == count else ()


def image_names(images: Sequence[str], count: int) -> list[str]:
    """Return a name for each image; a file of several arrays has that many images."""
    if count == len(images):
        return list(images)
    if len(images) == 1:
        return [f"{images[0]}[{i}]" for i in range(count)]
    return [str(i) for i in range(count)]


def stem(path: str) -> str:
    """Return the name of a file without its folder and suffix, "stdin" for standard input."""
    return "stdin" if path == STDIN else Path(path).stem


def _opened(path: str) -> str | bytes:
    if path != STDIN:
        return path
    data = sys.stdin.buffer.read()
    if not data:
        raise UsageError("standard input (-) is empty: pipe a picture into it")
    return data


def _named_file(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"'{text}' names no input: write NAME=FILE")
    return name, path
