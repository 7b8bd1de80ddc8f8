"""A caller's arguments as the fields of a request."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from grpc import StatusCode

from onnxplain.client.errors import ClientError
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import tensors

__all__ = [
    "Images",
    "Position",
    "Preprocess",
    "Units",
    "enum",
    "explain_request",
    "fitting",
    "model_name",
    "options_of_method",
    "pictures",
    "preprocessing",
    "units_fields",
]

Picture: TypeAlias = str | os.PathLike[str] | bytes | npt.NDArray[np.uint8]
Images: TypeAlias = Picture | Sequence[Picture] | npt.NDArray[Any]
Units: TypeAlias = str | int | Sequence[int] | None
Position: TypeAlias = str | npt.NDArray[np.int64] | None
Preprocess: TypeAlias = str | Mapping[str, Any] | None


def model_name(name: str) -> str:
    """Return the resource name of a model: `squeezenet` and `models/squeezenet` mean the same."""
    return name if name.startswith("models/") else f"models/{name}"


def enum(field: str, value_of: Callable[[str], int], word: str | None) -> Any:
    """Return an enum's value for a word such as `auto`, the unspecified one for None."""
    try:
        return value_of(f"{field}_{word or 'unspecified'}".upper())
    except ValueError:
        raise _wrong(f"no {field.replace('_', ' ')} '{word}'", "OptionError") from None


def explain_request(
    name: str,
    images: Images,
    *,
    layer: str | None,
    method: str,
    units: Units,
    position: Position,
    seed_value: str | None,
    to: str | None,
    unpool: str | None,
    channel_axis: int | None,
    preprocess: Preprocess,
    labels: Sequence[str] | None,
    return_pictures: bool,
    method_options: Mapping[str, Any],
) -> pb.ExplainRequest:
    """Return the request of Explain and ExplainUnits. See `Client.explain` for the arguments."""
    options = options_of_method(method_options)
    with fitting():
        request = pb.ExplainRequest(
            model=model_name(name),
            images=pictures(images),
            layer=layer or "",
            method=method,
            seed_value=enum("seed_value", pb.SeedValue.Value, seed_value),
            to=to or "",
            unpool=enum("unpool", pb.Unpool.Value, unpool),
            channel_axis=channel_axis,
            labels=labels,
            return_pictures=return_pictures,
            method_options=options,
            **units_fields(units),
            **preprocessing(preprocess),
        )
        _set_position(request, position)
    return request


@contextlib.contextmanager
def fitting() -> Iterator[None]:
    """Raise ClientError for what does not fit into a request made inside.

    Such as numbers beyond 64 bits, text that is none, words where numbers belong.
    """
    try:
        yield
    except (OverflowError, UnicodeEncodeError, TypeError, ValueError) as e:
        reason = " ".join(str(e).split())
        raise _wrong(f"an argument does not fit into a request: {reason}", "OptionError") from e


def options_of_method(given: Mapping[str, Any]) -> pb.MethodOptions | None:
    """Return what a method takes besides, None where nothing is given."""
    known = pb.MethodOptions.DESCRIPTOR.fields_by_name
    for name in given:
        if name not in known:
            raise TypeError(f"unexpected keyword argument '{name}'; methods take {sorted(known)}")
    fields = {name: value for name, value in given.items() if value is not None}
    if "baseline" in fields:
        fields["baseline"] = tensors.from_array(np.asarray(fields["baseline"], np.float32))
    with fitting():
        return pb.MethodOptions(**fields) if fields else None


def pictures(images: Images) -> list[pb.Image]:
    """Return pictures, or the rows of one float array, as messages. Raises ClientError."""
    if isinstance(images, np.ndarray) and images.dtype != np.uint8:
        return [pb.Image(input=_tensor(row)) for row in images]
    if isinstance(images, np.ndarray) and images.ndim == 4:
        return [_picture(picture) for picture in images]
    if isinstance(images, (str, bytes, np.ndarray, os.PathLike)):
        return [_picture(images)]
    return [_picture(picture) for picture in images]


def _picture(source: Picture) -> pb.Image:
    if isinstance(source, bytes):
        return pb.Image(encoded=source)
    if isinstance(source, np.ndarray):
        return pb.Image(pixels=_tensor(source))
    try:
        return pb.Image(encoded=Path(source).read_bytes())
    except (FileNotFoundError, NotADirectoryError) as e:
        raise ClientError(StatusCode.NOT_FOUND, f"no file '{source}'", "MissingFile") from e
    except OSError as e:
        raise _wrong(f"cannot read '{source}': {e.strerror}", "PictureError") from e


def _tensor(array: npt.NDArray[Any]) -> pb.Tensor:
    try:
        return tensors.from_array(array)
    except ValueError as e:
        raise _wrong(str(e), "PictureError") from e


def units_fields(units: Units) -> dict[str, Any]:
    """Return which units, as the fields that say so in a request. Raises ClientError."""
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
        f"no units '{units}': give channel numbers, 'all', 'whole', or 'top:K' as 'top:9'",
        "OptionError",
    )


def _set_position(request: pb.ExplainRequest, position: Position) -> None:
    if position is None or isinstance(position, str):
        request.position = enum("position", pb.Position.Value, position)
        return
    request.position = pb.POSITION_GIVEN
    request.positions.CopyFrom(tensors.from_array(np.asarray(position, np.int64)))


def preprocessing(given: Preprocess) -> dict[str, Any]:
    """Return how pictures become inputs, as the fields that say so. Raises ClientError."""
    if given is None:
        return {}
    if isinstance(given, str):
        return {"preset": given}
    fields = dict(given)
    height, width = fields.pop("size", None) or (0, 0)
    try:
        return {"preprocess": pb.Preprocess(height=height, width=width, **fields)}
    except (TypeError, ValueError) as e:
        raise _wrong(f"preprocess: {e}", "OptionError") from e


def _wrong(message: str, kind: str) -> ClientError:
    return ClientError(StatusCode.INVALID_ARGUMENT, message, kind)
