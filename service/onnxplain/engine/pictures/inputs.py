"""The model's input that takes the picture, and the preprocessing of pictures for it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from PIL import Image

from onnxplain.engine.pictures.preprocess import PRESETS, Preprocess, parse
from onnxplain.engine.pictures.read import Picture, read_pictures
from onnxplain.graphops import read_metadata
from onnxplain.graphops.errors import OptionError, PictureError, UnsupportedModel

__all__ = ["Images", "Input", "PreparedInputs", "picture_input", "prepare"]

METADATA = "onnxplain.preprocess"

Images = Picture | Sequence[Picture]
Dimensions = tuple[int | str | None, ...]


@dataclass(frozen=True)
class Input:
    """The model's input that takes the picture.

    shape: a number, a name or None for each dimension. dtype: that of its values.
    """

    name: str
    shape: Dimensions
    dtype: np.dtype[Any]

    @property
    def channels_last(self) -> bool:
        """Whether the channel axis is the last (NHWC): only a size of 1 or 3 there shows it."""
        return len(self.shape) == 4 and self.shape[1] not in (1, 3) and self.shape[3] in (1, 3)

    @property
    def channels(self) -> int | str | None:
        """The size of the channel axis, if the model fixes it."""
        return self.shape[3 if self.channels_last else 1]

    @property
    def size(self) -> tuple[int, int] | None:
        """The height and width if the model fixes them, else None."""
        height, width = self.shape[1:3] if self.channels_last else self.shape[2:4]
        if isinstance(height, int) and isinstance(width, int):
            return height, width
        return None


@dataclass(frozen=True)
class PreparedInputs:
    """Preprocessed pictures.

    rows: the network's input for each picture, without the batch axis. pictures: the pictures as
    the network sees them, uint8 [H, W, 3] each; empty for a float array. names: their file names,
    "" for pictures without a file; empty for a float array.
    """

    rows: tuple[npt.NDArray[Any], ...]
    pictures: tuple[npt.NDArray[np.uint8], ...]
    preprocess: Preprocess | None
    notes: tuple[str, ...]
    names: tuple[str, ...] = ()


def picture_input(model: onnx.ModelProto) -> Input:
    """Return the only input of the model without a default value.

    Raises UnsupportedModel where there is none, more than one, or one of an unsuitable type.
    """
    defaults = {tensor.name for tensor in model.graph.initializer}
    needed = [value for value in model.graph.input if value.name not in defaults]
    if not needed:
        raise UnsupportedModel("the model has no input that could take a picture")
    ranks = [len(value.type.tensor_type.shape.dim) for value in needed]
    first = next((i for i, rank in enumerate(ranks) if rank >= 3), 0)
    for i, value in enumerate(needed):
        if i != first:
            raise UnsupportedModel(
                f"the model needs the input '{value.name}' besides the picture's "
                f"'{needed[first].name}': give it a default value (an initialiser of that name), "
                "or rewrite the model and run it yourself"
            )
    kind = needed[first].type.tensor_type
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    except KeyError as e:
        raise UnsupportedModel(f"the input '{needed[first].name}' is not a tensor") from e
    if dtype.kind not in "fiu":
        raise UnsupportedModel(
            f"the input '{needed[first].name}' takes {dtype} values, and a picture has floats or "
            "integers: export the model with such an input"
        )
    return Input(needed[first].name, tuple(_dimension(d) for d in kind.shape.dim), dtype)


def prepare(
    model: onnx.ModelProto, images: Images, preprocess: Preprocess | str | None = None
) -> PreparedInputs:
    """Preprocess images for the model's input.

    images: one or several pictures, or one float array [N, ...] that is already preprocessed.
    preprocess: the preprocessing or its text, see `parse`; None for the model's own (its metadata
        `onnxplain.preprocess`), or else a guess, which a note states.

    Raises PictureError where they do not fit the input, MissingFile, OptionError, UnsupportedModel.
    """
    target = picture_input(model)
    if isinstance(images, np.ndarray) and images.dtype.kind == "f":
        if preprocess is not None:
            raise OptionError(
                "a float array counts as already preprocessed: leave the preprocessing out, or "
                "give pictures"
            )
        return PreparedInputs(tuple(_fitting_rows(images, target)), (), None, ())
    sources = _pictures(images)
    if len(target.shape) != 4:
        raise UnsupportedModel(
            f"the input '{target.name}' has {len(target.shape)} dimensions, and a batch of "
            "pictures 4, [N, C, H, W]: give a float array of the input's shape instead"
        )
    chosen, notes = _choose(model, target, preprocess)
    if chosen.size is None:
        chosen = replace(chosen, size=target.size)
    fitted = tuple(chosen.fit(picture) for picture in read_pictures(sources))
    rows = []
    for picture in fitted:
        row = chosen.values(picture)
        batch = (row.transpose(1, 2, 0) if target.channels_last else row)[None]
        rows += _fitting_rows(batch, target)
    files = (os.path.basename(s) if isinstance(s, str | os.PathLike) else "" for s in sources)
    return PreparedInputs(tuple(rows), fitted, chosen, notes, tuple(files))


def _pictures(images: Images) -> list[Picture]:
    if isinstance(images, np.ndarray) and images.ndim == 4:
        return list(images)
    if isinstance(images, (str, bytes, Image.Image, np.ndarray)) or hasattr(images, "__fspath__"):
        return [images]
    sources = list(images)
    if not sources:
        raise PictureError("there is no picture to explain: give at least one")
    return sources


def _choose(
    model: onnx.ModelProto, target: Input, preprocess: Preprocess | str | None
) -> tuple[Preprocess, tuple[str, ...]]:
    """Return the preprocessing, and a note if it is a guess."""
    if preprocess is not None:
        return (parse(preprocess) if isinstance(preprocess, str) else preprocess), ()
    stored = read_metadata(model).get(METADATA)
    if stored is not None:
        try:
            return Preprocess.from_json(stored), ()
        except OptionError as e:
            raise UnsupportedModel(
                f"the model's metadata '{METADATA}' is invalid ({e}): name the preprocessing"
            ) from e
    if isinstance(target.channels, int) and target.channels not in (1, 3):
        raise UnsupportedModel(
            f"the input '{target.name}' has {target.channels} channels, and a picture 1 or 3: give "
            "a float array of the input's shape instead"
        )
    return _guess(target)


def _guess(target: Input) -> tuple[Preprocess, tuple[str, ...]]:
    if target.dtype.kind in "iu":
        grey = target.channels == 1
        name = "gray_raw" if grey else "raw"
        meaning = "one grey channel of 0 to 255" if grey else "RGB of 0 to 255"
    elif target.channels == 1:
        name, meaning = "gray", "one grey channel of 0 to 1"
    else:
        name, meaning = "imagenet", "RGB with ImageNet's mean and standard deviation"
    size = f"at {target.size[1]}x{target.size[0]}" if target.size else "at the picture's own size"
    note = (
        f"assumed preprocessing '{name}' ({meaning}, {size}), since the model does not say: "
        "choose another with --preprocess"
    )
    return PRESETS[name], (note,)


def _fitting_rows(batch: npt.NDArray[Any], target: Input) -> list[npt.NDArray[Any]]:
    """Return the images of a batch, in the input's dtype. Raises PictureError for other shapes."""
    wanted, shape = target.shape, batch.shape
    fits = len(wanted) == len(shape) and all(
        not isinstance(w, int) or w == n for w, n in zip(wanted[1:], shape[1:], strict=True)
    )
    if not fits or 0 in shape:
        raise PictureError(
            f"images of shape {_shape(shape)} do not fit the input '{target.name}', which takes "
            f"{_shape(wanted)}: choose a fitting size and number of channels"
        )
    if target.dtype.kind in "iu":
        limits = np.iinfo(target.dtype)
        batch = np.clip(np.rint(batch), limits.min, limits.max)
    return list(batch.astype(target.dtype))


def _shape(shape: Sequence[int | str | None]) -> str:
    return "[" + ", ".join(["N", *("?" if d is None else str(d) for d in shape[1:])]) + "]"


def _dimension(dim: onnx.TensorShapeProto.Dimension) -> int | str | None:
    # Some exporters write 0 or -1 for a free dimension.
    return dim.dim_value if dim.dim_value > 0 else dim.dim_param or None
