"""A caller's arguments converted to requests."""

from __future__ import annotations

import contextlib
import io
import os
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from google.protobuf.message import Message

from onnxplain.client.errors import InvalidArgumentError, NotFoundError
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import tensors

__all__ = [
    "Images",
    "Position",
    "Preprocess",
    "Region",
    "Units",
    "arrays_of",
    "evaluate_request",
    "explain_request",
    "invalid_arguments",
    "model_name",
    "options_of_method",
    "pictures",
    "preprocessing",
    "request_of",
    "units_fields",
]

Request = TypeVar("Request", bound=Message)

Picture: TypeAlias = str | os.PathLike[str] | bytes | npt.NDArray[np.uint8]
Images: TypeAlias = Picture | Sequence[Picture] | npt.NDArray[Any]
Units: TypeAlias = str | int | Sequence[int] | None
Position: TypeAlias = str | npt.NDArray[np.int64] | None
Preprocess: TypeAlias = str | Mapping[str, Any] | None
Region: TypeAlias = str | os.PathLike[str] | npt.NDArray[Any] | None

ARRAY_FILES = (".npy", ".npz")


def model_name(name: str) -> str:
    """Return the resource name of a model: `models/squeezenet` for `squeezenet` and for itself.

    Raises ClientError for the path of a file.
    """
    if name.endswith(".onnx"):
        raise InvalidArgumentError(
            f"'{name}' is a file: give a service the name of one of its models, such as "
            f"'{Path(name).stem}' (`onnxplain models --server` lists them)",
            "InputError",
        )
    return name if name.startswith("models/") else f"models/{name}"


def request_of(kind: type[Request], name: str, **values: Any) -> Request:
    """Return a request about a model, whose enum fields are set by words such as "auto".

    name: the model. values: by field; None is left out. Raises ClientError for a value that does
    not fit its field.
    """
    fields = {}
    for field, value in values.items():
        enum = kind.DESCRIPTOR.fields_by_name[field].enum_type
        if enum is not None:
            word = f"{field}_{value or 'unspecified'}".upper()
            if word not in enum.values_by_name:
                raise _wrong(f"no {field.replace('_', ' ')} '{value}'", "OptionError")
            value = enum.values_by_name[word].number
        if value is not None:
            fields[field] = value
    with invalid_arguments():
        return kind(model=model_name(name), **fields)


def explain_request(
    name: str,
    images: Images,
    units: Units,
    position: Position,
    preprocess: Preprocess,
    method_options: Mapping[str, Any],
    region: Region = None,
    inputs: Mapping[str, Images] | None = None,
    **fields: Any,
) -> pb.ExplainRequest:
    """Return the request of ExplainUnits. See `Client.explain` for the arguments."""
    options = options_of_method(method_options)
    with invalid_arguments():
        if region is not None:
            fields["region"] = _tensor(_mask(region))
            position = "region" if position is None else position
        fields["inputs"] = [
            pb.NamedInput(name=one, images=pictures(_numbers_as_array(values)))
            for one, values in (inputs or {}).items()
        ]
        if position is not None and not isinstance(position, str):
            fields["positions"] = tensors.from_array(np.asarray(position, np.int64))
            position = "given"
        return request_of(
            pb.ExplainRequest,
            name,
            images=pictures(images),
            position=position,
            method_options=options,
            **units_fields(units),
            **preprocessing(preprocess),
            **fields,
        )


def evaluate_request(
    name: str,
    images: Images,
    methods: Sequence[str],
    masks: Images | None,
    randomize: int,
    class_index: int | None,
    preprocess: Preprocess,
) -> pb.EvaluateRequest:
    """Return the request of Evaluate. See `Client.evaluate` for the arguments."""
    with invalid_arguments():
        return request_of(
            pb.EvaluateRequest,
            name,
            images=pictures(images),
            masks=None if masks is None else pictures(masks),
            methods=methods,
            randomize=randomize,
            class_index=class_index,
            **preprocessing(preprocess),
        )


@contextlib.contextmanager
def invalid_arguments() -> Iterator[None]:
    """Raise ClientError for a value that does not fit into a request constructed inside.

    Such as a number beyond 64 bits, invalid Unicode, or a word where a number belongs.
    """
    try:
        yield
    except (OverflowError, UnicodeEncodeError, TypeError, ValueError) as e:
        reason = " ".join(str(e).split())
        raise _wrong(f"an argument does not fit into a request: {reason}", "OptionError") from e


def options_of_method(options: Mapping[str, Any]) -> pb.MethodOptions | None:
    """Return the method's own options as a message, None where none is set.

    Raises TypeError for a name that no method takes, ClientError for a value that does not fit.
    """
    known = pb.MethodOptions.DESCRIPTOR.fields_by_name
    for name in options:
        if name not in known:
            raise TypeError(f"unexpected keyword argument '{name}'; methods take {sorted(known)}")
    fields = {name: value for name, value in options.items() if value is not None}
    if "baseline" in fields:
        fields["baseline"] = tensors.from_array(np.asarray(fields["baseline"], np.float32))
    for name, value in fields.items():
        if known[name].is_repeated and not isinstance(value, str):  # one number is a list of one
            fields[name] = np.atleast_1d(np.asarray(value)).tolist()
    with invalid_arguments():
        return pb.MethodOptions(**fields) if fields else None


def pictures(images: Images) -> list[pb.Image]:
    """Return pictures, or the images of arrays of network inputs, as messages.

    Raises ClientError.
    """
    if isinstance(images, np.ndarray) and images.dtype != np.uint8:
        return [pb.Image(input=_tensor(image)) for image in (images if images.ndim else [images])]
    if isinstance(images, np.ndarray) and images.ndim == 4:
        return [_picture(picture) for picture in images]
    if isinstance(images, (str, bytes, np.ndarray, os.PathLike)):
        return [_picture(images)]
    return [_picture(picture) for picture in images]


def _picture(source: Picture) -> pb.Image:
    if isinstance(source, bytes):
        return pb.Image(encoded=source)
    if isinstance(source, np.ndarray):
        values = _tensor(source)
        return pb.Image(pixels=values) if source.dtype == np.uint8 else pb.Image(input=values)
    if str(source).lower().endswith(ARRAY_FILES):
        return pb.Image(input=_tensor(_only_array(source)))
    return pb.Image(encoded=_bytes(source))


def arrays_of(source: str | os.PathLike[str]) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a .npy or .npz file, that of the former by "". Raises ClientError."""
    try:
        loaded = np.load(io.BytesIO(_bytes(source)), allow_pickle=False)
        return {"": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as e:
        raise _wrong(f"'{source}' is not a NumPy file that can be read", "PictureError") from e


def _numbers_as_array(values: Any) -> Any:
    """Return a number, or a list of numbers, as an array, and other values as they are."""
    listed = isinstance(values, list | tuple) and len(values) > 0
    first = values[0] if listed else values
    return np.asarray(values) if isinstance(first, int | float | np.number) else values


def _only_array(source: str | os.PathLike[str]) -> npt.NDArray[Any]:
    arrays = arrays_of(source)
    if len(arrays) != 1:
        raise _wrong(
            f"'{source}' holds {len(arrays)} arrays: give a file of one, or explain it alone",
            "PictureError",
        )
    return next(iter(arrays.values()))


def _mask(region: str | os.PathLike[str] | npt.NDArray[Any]) -> npt.NDArray[Any]:
    if isinstance(region, np.ndarray):
        return region
    if not str(region).lower().endswith(ARRAY_FILES):
        raise _wrong(f"region '{region}': give an array, or a .npy file of one", "OptionError")
    return _only_array(region)


def _bytes(source: str | os.PathLike[str]) -> bytes:
    try:
        return Path(source).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as e:
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(source)):
            text = f"'{source}' is a URL: download it first, and give the file"
        else:
            text = f"no file '{source}'"
        raise NotFoundError(text, "MissingFile") from e
    except OSError as e:
        raise _wrong(f"cannot read '{source}': {e.strerror}", "PictureError") from e


def _tensor(array: npt.NDArray[Any]) -> pb.Tensor:
    try:
        return tensors.from_array(array)
    except ValueError as e:
        raise _wrong(str(e), "PictureError") from e


def units_fields(units: Units) -> dict[str, Any]:
    """Return the fields of a request that select units. Raises ClientError."""
    if units is None:
        return {}
    if not isinstance(units, str):
        numbers = np.atleast_1d(np.asarray(units, np.int64)).tolist()
        return {"channels": pb.Channels(channels=numbers)}
    word, _, count = units.partition(":")
    if units in ("all", "whole"):
        return {units: True}
    if word == "top" and count.isdecimal():
        return {"top": int(count)}
    raise _wrong(
        f"no units '{units}': give channel numbers, 'all', 'whole', or 'top:K' such as 'top:9'",
        "OptionError",
    )


def preprocessing(steps: Preprocess) -> dict[str, Any]:
    """Return the fields of a request that set the preprocessing. Raises ClientError."""
    if steps is None:
        return {}
    if isinstance(steps, str):
        return {"preset": steps}
    fields = dict(steps)
    height, width = fields.pop("size", None) or (0, 0)
    try:
        return {"preprocess": pb.Preprocess(height=height, width=width, **fields)}
    except (TypeError, ValueError) as e:
        raise _wrong(f"preprocess: {e}", "OptionError") from e


def _wrong(message: str, kind: str) -> InvalidArgumentError:
    return InvalidArgumentError(message, kind)
