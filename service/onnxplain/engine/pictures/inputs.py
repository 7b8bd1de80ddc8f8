"""The preprocessing of pictures, and arrays of network inputs, as what the network takes."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from PIL import Image

from onnxplain.engine.pictures.arrays import fitting, split_images
from onnxplain.engine.pictures.network_input import Input, picture_input
from onnxplain.engine.pictures.photographs import fit_pictures
from onnxplain.engine.pictures.preprocess import Preprocess
from onnxplain.engine.pictures.presets import PRESETS, parse
from onnxplain.engine.pictures.read import Picture, as_array, read_arrays
from onnxplain.graphops import read_metadata
from onnxplain.graphops.errors import OptionError, PictureError, UnsupportedModel

__all__ = [
    "Images",
    "NamedInputs",
    "PreparedInputs",
    "prepare",
    "prepare_named",
    "stored_preprocess",
]

METADATA = "onnxplain.preprocess"

Images = Picture | Sequence[Picture]
NamedInputs: TypeAlias = "Mapping[str, Images | float | Sequence[float]]"
Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class PreparedInputs:
    """Preprocessed pictures.

    rows: the network's input for each picture, without the batch axis. pictures: the pictures as
    the network sees them, uint8 [H, W, 3] each; empty for arrays. names: their file names, "" for
    pictures without a file; empty for arrays without one. sizes: the heights and widths of the
    pictures before; empty for arrays. named: arrays of an .npz file for further inputs, by name.
    others: for each picture, the values of the network's further inputs by name, without the batch
    axis. photographs: the pictures as their files show them, uint8 [H, W, 3], of a bounded size;
    `Preprocess.seen_box` tells which part the network sees. Empty for arrays.
    """

    rows: tuple[Array, ...]
    pictures: tuple[npt.NDArray[np.uint8], ...]
    preprocess: Preprocess | None
    notes: tuple[str, ...]
    names: tuple[str, ...] = ()
    sizes: tuple[tuple[int, ...], ...] = ()
    named: NamedInputs = field(default_factory=dict)
    others: tuple[Mapping[str, Array], ...] = ()
    photographs: tuple[npt.NDArray[np.uint8], ...] = ()

    @staticmethod
    def join(pieces: Sequence[PreparedInputs]) -> PreparedInputs:
        """Return the images of several, all pictures or all arrays, as one without notes."""
        joined: dict[str, Any] = {
            name: tuple(itertools.chain.from_iterable(getattr(piece, name) for piece in pieces))
            for name in ("rows", "pictures", "names", "sizes", "others", "photographs")
        }
        return replace(pieces[0], **joined, notes=())


def prepare(
    model: onnx.ModelProto,
    images: Images,
    preprocess: Preprocess | str | None = None,
    target: Input | None = None,
) -> PreparedInputs:
    """Preprocess images for the model's input.

    images: one or several pictures; or arrays that are already preprocessed, or .npy and .npz files
        of them: one image without a batch axis, or several with one.
    preprocess: the preprocessing or its text, see `parse`; None for the model's own (its metadata
        `onnxplain.preprocess`), or else a guess, which a note states.
    target: the input that takes the images; None for the only one.

    Raises PictureError where they do not fit the input, MissingFile, OptionError, UnsupportedModel.
    """
    target = picture_input(model) if target is None else target
    sources, pictures, arrays = _load(images, target)
    if arrays:
        return _prepared_arrays(sources, arrays, target, preprocess)
    if not _takes_pictures(target):
        raise PictureError(
            f"the input '{target.name}' has {len(target.shape)} dimensions, and a batch of "
            "pictures has 4, [N, C, H, W]: give explain a .npy file or an array of the input's "
            "shape"
        )
    chosen, notes = _choose(model, target, preprocess)
    if chosen.size is None:
        chosen = chosen.at(target.size)
    shown = list(fit_pictures(pictures, chosen))
    return PreparedInputs(
        rows=tuple(_row(chosen, one.pixels, target) for one in shown),
        pictures=tuple(one.pixels for one in shown),
        preprocess=chosen,
        notes=tuple(dict.fromkeys((*notes, *(note for one in shown for note in one.notes)))),
        names=tuple(map(_file_name, sources)),
        sizes=tuple(one.size for one in shown),
        photographs=tuple(one.photograph for one in shown),
    )


def _load(
    images: Images, target: Input
) -> tuple[list[Picture], list[Picture], list[dict[str, Array]]]:
    """Return the images one by one, those that are pictures, and the arrays of the others."""
    sources = _sources(images, target)
    loaded = [_loaded(source, target) for source in sources]
    arrays = [one for one in loaded if isinstance(one, dict)]
    pictures = [one for one in loaded if not isinstance(one, dict)]
    if arrays and pictures:
        raise PictureError("pictures and arrays are mixed: explain them one after the other")
    return sources, pictures, arrays


def _row(how: Preprocess, fitted: npt.NDArray[np.uint8], target: Input) -> Array:
    row = how.values(fitted)
    return fitting(row.transpose(1, 2, 0) if target.channels_last else row, target)


def _prepared_arrays(
    sources: Sequence[Picture],
    arrays: Sequence[Mapping[str, Array]],
    target: Input,
    preprocess: Preprocess | str | None,
) -> PreparedInputs:
    """Return the images of arrays, whose values are by the names of inputs, see `_loaded`."""
    if preprocess is not None:
        raise OptionError(
            "an array counts as already preprocessed: leave the preprocessing out, or give pictures"
        )
    rows: list[Array] = []
    names: list[str] = []
    for source, named in zip(sources, arrays, strict=True):
        images = split_images(named[target.name], target)
        rows += [fitting(image, target) for image in images]
        name = _file_name(source)
        several = len(images) > 1 and name
        names += [f"{name}[{i}]" if several else name for i in range(len(images))]
    further = {name: [named[name] for named in arrays] for name in arrays[0] if name != target.name}
    kept = tuple(names) if any(names) else ()
    joined = {name: one[0] if len(one) == 1 else one for name, one in further.items()}
    return PreparedInputs(tuple(rows), (), None, (), kept, named=joined)


def _loaded(source: Picture, target: Input) -> Picture | dict[str, Array]:
    """Return the arrays of a source by the names of inputs, or the source itself if a picture.

    A uint8 array is a picture, unless it has the rank of an input that takes none. The only array
    of a file is the target's.
    """
    if isinstance(source, np.ndarray):
        ranks = (len(target.image_shape), len(target.image_shape) + 1)
        is_picture = _takes_pictures(target) or source.ndim not in ranks
        return source if source.dtype == np.uint8 and is_picture else {target.name: source}
    name = f"'{os.fspath(source)}'" if isinstance(source, str | os.PathLike) else "the array"
    found = read_arrays(source, name)
    if found is None:
        return source
    if len(found) == 1:
        (array,) = found.values()
        return _loaded(array, target)
    if target.name not in found:
        raise PictureError(
            f"{name} holds {', '.join(map(repr, found))}, but not '{target.name}', the input that "
            "takes the images: name the arrays as the inputs, or keep only one"
        )
    return dict(found)


def _takes_pictures(target: Input) -> bool:
    """Tell whether an input has the dimensions of a picture: channels, height and width."""
    return len(target.image_shape) == 3


def _sources(images: Images, target: Input) -> list[Picture]:
    """Return the images one by one; an array of network inputs stays whole."""
    images = as_array(images)
    if isinstance(images, np.ndarray) and images.ndim == 4 and images.dtype == np.uint8:
        return list(images) if _takes_pictures(target) else [images]
    if isinstance(images, (str, bytes, Image.Image, np.ndarray)) or hasattr(images, "__fspath__"):
        return [images]
    sources = list(map(as_array, images))
    if not sources:
        raise PictureError("there is no picture to explain: give at least one")
    return sources


def prepare_named(
    model: onnx.ModelProto, inputs: Sequence[Input], given: NamedInputs, prepared: PreparedInputs
) -> PreparedInputs:
    """Add the values of further inputs to prepared images.

    inputs: those that are needed. given: their values, as `prepare` takes images: one for all
        images, or one for each. Further pictures are preprocessed as the images are.

    Raises OptionError where one is missing, else as `prepare`.
    """
    values = {**prepared.named, **given}
    missing = [one for one in inputs if one.name not in values]
    if missing:
        raise OptionError(
            f"the layer depends on {', '.join(map(str, missing))} too: explain, but no other "
            f"command, takes {'it' if len(missing) == 1 else 'each'} by `inputs`, on the command "
            f"line by --input {missing[0].name}=FILE (a .npy file or a picture)"
        )
    count, notes = len(prepared.rows), list(prepared.notes)
    others: list[dict[str, Array]] = [{} for _ in prepared.rows]
    for one in inputs:
        found = _like(model, _numbers_as_array(values[one.name]), one, prepared.preprocess)
        if len(found.rows) not in (1, count):
            raise PictureError(
                f"the input '{one.name}' has values for {len(found.rows)} images, and there are "
                f"{count}: give one for all of them, or one for each"
            )
        for i, row in enumerate(found.rows * (count // len(found.rows))):
            others[i][one.name] = row
        notes += found.notes
    return replace(prepared, others=tuple(others), notes=tuple(dict.fromkeys(notes)))


def _numbers_as_array(values: Any) -> Any:
    """Return a number, or a list of numbers, as an array, and other values as they are."""
    listed = isinstance(values, list | tuple) and len(values) > 0
    first = values[0] if listed else values
    return np.asarray(values) if isinstance(first, int | float | np.number | np.bool_) else values


def _like(
    model: onnx.ModelProto, images: Images, target: Input, how: Preprocess | None
) -> PreparedInputs:
    """Prepare the values of a further input; pictures as the images, but of the input's size."""
    sources, _, arrays = _load(images, target)
    if arrays:
        return _prepared_arrays(sources, arrays, target, None)
    return prepare(model, images, how and how.at(target.size or how.size), target)


def _file_name(source: Picture) -> str:
    return os.path.basename(source) if isinstance(source, str | os.PathLike) else ""


def _choose(
    model: onnx.ModelProto, target: Input, preprocess: Preprocess | str | None
) -> tuple[Preprocess, tuple[str, ...]]:
    """Return the preprocessing, and a note if it is a guess."""
    if preprocess is not None:
        return (parse(preprocess) if isinstance(preprocess, str) else preprocess), ()
    if (stored := stored_preprocess(model)) is not None:
        return stored, ()
    if isinstance(target.channels, int) and target.channels not in (1, 3):
        raise PictureError(
            f"the input '{target.name}' has {target.channels} channels, and a picture has 1 or 3: "
            "give explain a .npy file or a float array of the input's shape"
        )
    return _guess(target)


def stored_preprocess(model: onnx.ModelProto) -> Preprocess | None:
    """Return the preprocessing in the model's metadata. Raises UnsupportedModel for an invalid one.

    None where there is none.
    """
    stored = read_metadata(model).get(METADATA)
    try:
        return None if stored is None else Preprocess.from_json(stored)
    except OptionError as e:
        raise UnsupportedModel(
            f"the model's metadata '{METADATA}' is invalid ({e}): name the preprocessing"
        ) from e


def _guess(target: Input) -> tuple[Preprocess, tuple[str, ...]]:
    if target.dtype.kind in "iu":
        grey = target.channels == 1
        name = "gray_raw" if grey else "raw"
        meaning = "one grey channel of 0 to 255" if grey else "RGB of 0 to 255"
    elif target.channels == 1:
        name, meaning = "gray", "one grey channel of 0 to 1"
    else:
        name, meaning = "imagenet", "RGB with ImageNet's mean and standard deviation"
    height, width = target.size or (0, 0)
    size = f"at {height}x{width}" if target.size else "at the picture's own size"
    note = (
        f"assumed preprocessing '{name}' ({meaning}, {size}), since the model does not say: "
        "choose another with --preprocess"
    )
    return PRESETS[name], (note,)
