"""Requests as the arguments of the functions that do the work.

What a request gets wrong raises InputError, with the name of the field in front.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine import Preprocess
from onnxplain.engine.methods import find_method
from onnxplain.graphops import Options
from onnxplain.graphops.errors import InputError
from onnxplain.graphops.options import OPTIONS
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import tensors

__all__ = [
    "DEFAULT_METHOD",
    "check_arguments",
    "explain_arguments",
    "images_of",
    "method_options_of",
    "preprocess_of",
    "rewrite_arguments",
    "units_of",
]

Array = npt.NDArray[Any]
Request = pb.CheckRequest | pb.RewriteRequest | pb.ExplainRequest

DEFAULT_METHOD = "deconvnet"


def check_arguments(request: pb.CheckRequest) -> dict[str, Any]:
    """Return the arguments of `graphops.check`, all but the model. Raises InputError."""
    return {
        "layer": request.layer or None,
        "method": find_method(request.method or DEFAULT_METHOD),
        "to": request.to or None,
        "unpool": _unpool(request),
        "channel_axis": _channel_axis(request),
        "keep_shape": request.keep_shape,
        "target": _choice("target", pb.Target.Name, request.target) or "cpu",
        "score_layer": method_options_of(request).get("score_layer"),
    }


def rewrite_arguments(request: pb.RewriteRequest) -> dict[str, Any]:
    """Return the arguments of `graphops.rewrite`, all but the model. Raises InputError."""
    options: dict[str, Any] = {
        "select": _choice("select", pb.Select.Name, request.select),
        "channels": tuple(request.channels),
        "position": _choice("position", pb.Position.Name, request.position),
        "seed_value": _choice("seed_value", pb.SeedValue.Name, request.seed_value),
        "to": request.to or None,
        "unpool": _unpool(request),
        "channel_axis": _channel_axis(request),
        "keep_outputs": request.keep_outputs if request.HasField("keep_outputs") else True,
        "keep_shape": request.keep_shape,
        "target": _choice("target", pb.Target.Name, request.target) or "cpu",
        "backward": _choice("backward", pb.Backward.Name, request.backward) or "same",
        **_baked_in(request),
    }
    return {
        "layer": request.layer or None,
        "method": find_method(request.method or DEFAULT_METHOD),
        "options": Options(**options),
    }


def explain_arguments(request: pb.ExplainRequest) -> dict[str, Any]:
    """Return the arguments of `Engine.explain`, all but the model. Raises InputError."""
    return {
        "images": images_of("images", request.images),
        "layer": request.layer or None,
        "method": request.method or DEFAULT_METHOD,
        "units": units_of(request),
        "position": _position(request),
        "seed_value": _choice("seed_value", pb.SeedValue.Name, request.seed_value),
        "to": request.to or None,
        "unpool": _unpool(request),
        "channel_axis": _channel_axis(request),
        "preprocess": preprocess_of(request),
        "labels": tuple(request.labels) or None,
        **method_options_of(request),
    }


def images_of(field: str, images: Sequence[pb.Image]) -> list[Any] | Array:
    """Return pictures as a list, or network inputs as one array [N, ...]. Raises InputError."""
    kinds = [image.WhichOneof("source") for image in images]
    if not kinds:
        raise InputError(f"{field}: there is none; send at least one")
    if None in kinds:
        raise InputError(f"{field}[{kinds.index(None)}]: set one of encoded, pixels and input")
    if "input" not in kinds:
        return [
            image.encoded if kind == "encoded" else _array(f"{field}[{i}].pixels", image.pixels)
            for i, (kind, image) in enumerate(zip(kinds, images, strict=True))
        ]
    if set(kinds) != {"input"}:
        raise InputError(f"{field}: send either pictures or network inputs, not both at once")
    rows = [_array(f"{field}[{i}].input", image.input) for i, image in enumerate(images)]
    for i, row in enumerate(rows):
        if row.dtype.kind != "f":
            raise InputError(f"{field}[{i}].input: it holds {row.dtype}; send a float type")
        if row.shape != rows[0].shape or row.dtype != rows[0].dtype:
            raise InputError(
                f"{field}[{i}].input: {row.dtype}{list(row.shape)} differs from the first image's "
                f"{rows[0].dtype}{list(rows[0].shape)}; all inputs must be alike"
            )
    return np.stack(rows)


def units_of(request: pb.ExplainRequest | pb.Units) -> str | list[int] | None:
    """Return the units asked for, None for the strongest."""
    match request.WhichOneof("units"):
        case "top":
            return f"top:{request.top}"
        case "channels":
            return list(request.channels.channels)
        case "all" if request.all:
            return "all"
        case "whole" if request.whole:
            return "whole"
        case _:
            return None


def _position(request: pb.ExplainRequest) -> str | Array | None:
    position = _choice("position", pb.Position.Name, request.position)
    given = request.HasField("positions")
    if given != (position == "given"):
        raise InputError("positions: set them together with position POSITION_GIVEN, and only then")
    return _array("positions", request.positions) if given else position


def preprocess_of(
    request: pb.ExplainRequest | pb.ViewRequest | pb.EvaluateRequest,
) -> Preprocess | str | None:
    """Return how pictures become inputs, None for the model's own way."""
    match request.WhichOneof("preprocessing"):
        case "preset":
            return request.preset
        case "preprocess":
            given = request.preprocess
            return Preprocess(
                size=(given.height, given.width) if given.height or given.width else None,
                crop=given.crop or "none",
                color=given.color or "RGB",
                mean=tuple(given.mean) or (0.0,),
                std=tuple(given.std) or (1.0,),
                scale=given.scale if given.HasField("scale") else 1.0,
            )
        case _:
            return None


def method_options_of(request: Request | pb.MapsView) -> dict[str, Any]:
    """Return the method's options that are set, by their names. Raises InputError."""
    given: dict[str, Any] = {}
    for field, value in request.method_options.ListFields():
        if field.name == "baseline":
            value = _array("method_options.baseline", value)
        given[field.name] = tuple(value) if field.is_repeated else value
    return given


def _baked_in(request: pb.RewriteRequest) -> dict[str, Any]:
    """Return the method's options that an artefact holds. Raises InputError."""
    given = method_options_of(request)
    for name, value in given.items():
        option = OPTIONS.get(name)
        if option is None or option.input:
            raise InputError(f"method_options.{name}: no option of a rewritten model; leave it out")
        if option.type is int and option.checked(value) > option.most_exported:
            raise InputError(
                f"method_options.{name}: {value} in one run of a rewritten model is more than "
                f"{option.most_exported}; Explain takes any number"
            )
    return given


def _array(field: str, tensor: pb.Tensor) -> Array:
    try:
        return tensors.to_array(tensor)
    except ValueError as e:
        raise InputError(f"{field}: {e}") from e


def _unpool(request: Request) -> str:
    return _choice("unpool", pb.Unpool.Name, request.unpool) or "auto"


def _channel_axis(request: Request) -> int | None:
    return request.channel_axis if request.HasField("channel_axis") else None


def _choice(field: str, name_of: Callable[[Any], str], value: int) -> str | None:
    """Return an enum's value as the word that options use, None for the unspecified one."""
    try:
        word = name_of(value).removeprefix(f"{field.upper()}_").lower()
    except ValueError as e:
        raise InputError(f"{field}: {value} is no value of its enum") from e
    return None if word == "unspecified" else word
