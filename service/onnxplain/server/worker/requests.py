"""Requests converted to the arguments of the rewriter and the engine.

An invalid field raises InputError, whose text begins with the field's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine import Preprocess
from onnxplain.engine.methods import find_method
from onnxplain.engine.pictures import ARRAY_BYTES, parse
from onnxplain.graphops import Options
from onnxplain.graphops.errors import InputError
from onnxplain.graphops.methods import DEFAULT_METHOD
from onnxplain.graphops.options import GENERAL, OPTIONS
from onnxplain.server.worker.bounds import check_bounds, check_pictures, check_preprocess
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import tensors

__all__ = [
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


def check_arguments(request: pb.CheckRequest) -> dict[str, Any]:
    """Return the arguments of `graphops.check`, except the model. Raises InputError."""
    own = method_options_of(request)
    return {
        "layer": request.layer or None,
        "method": find_method(request.method or DEFAULT_METHOD),
        **_general_options(request),
        **{name: own.get(name) for name in ("score_layer", "score_channel_axis")},
    }


def rewrite_arguments(request: pb.RewriteRequest) -> dict[str, Any]:
    """Return the arguments of `graphops.rewrite`, except the model. Raises InputError."""
    options = _general_options(request) | _exported_options(request)
    return {
        "layer": request.layer or None,
        "method": find_method(request.method or DEFAULT_METHOD),
        "options": Options(**options),
    }


def explain_arguments(request: pb.ExplainRequest) -> dict[str, Any]:
    """Return the arguments of `Engine.explain`, except the model. Raises InputError."""
    return {
        "images": images_of("images", request.images),
        "layer": request.layer or None,
        "method": request.method or DEFAULT_METHOD,
        "units": units_of(request),
        "position": _position(request),
        "region": _array("region", request.region) if request.HasField("region") else None,
        "inputs": {
            one.name: images_of(f"inputs[{i}].images", one.images)
            for i, one in enumerate(request.inputs)
        },
        **{
            n: _option(request, n) for n in ("seed_value", "negate", "to", "unpool", "channel_axis")
        },
        "preprocess": preprocess_of(request),
        "labels": tuple(request.labels) or None,
        **method_options_of(request),
    }


def images_of(field: str, images: Sequence[pb.Image]) -> list[Any] | Array:
    """Return pictures as a list, or network inputs as one array [N, ...]. Raises InputError."""
    kinds = [image.WhichOneof("source") for image in images]
    if not kinds:
        raise InputError(f"{field}: empty; send at least one image")
    if None in kinds:
        raise InputError(f"{field}[{kinds.index(None)}]: set one of encoded, pixels and input")
    for i, image in enumerate(images):
        if image.encoded.startswith(ARRAY_BYTES):  # whose header may claim any size
            raise InputError(f"{field}[{i}].encoded: a NumPy file; send its array as `input`")
    check_pictures(field, images)
    if "input" not in kinds:
        return [
            image.encoded if kind == "encoded" else _pixels(f"{field}[{i}].pixels", image.pixels)
            for i, (kind, image) in enumerate(zip(kinds, images, strict=True))
        ]
    if set(kinds) != {"input"}:
        raise InputError(f"{field}: send either pictures or network inputs, not both in a request")
    inputs = [_array(f"{field}[{i}].input", image.input) for i, image in enumerate(images)]
    first = inputs[0]
    for i, array in enumerate(inputs):
        if array.shape != first.shape or array.dtype != first.dtype:
            raise InputError(
                f"{field}[{i}].input: {array.dtype}{list(array.shape)} differs from the first "
                f"image's {first.dtype}{list(first.shape)}; send inputs of one shape and type"
            )
    stacked = np.stack(inputs)  # the engine takes bytes for pixels
    return stacked.astype(np.int16) if stacked.dtype == np.uint8 else stacked


def _pixels(field: str, tensor: pb.Tensor) -> Array:
    array = _array(field, tensor)
    if array.dtype != np.uint8:
        raise InputError(
            f"{field}: {array.dtype}{list(array.shape)} is no picture, which is uint8 [height, "
            "width, 3]; send a network input as `input`"
        )
    return array


def units_of(request: pb.ExplainRequest | pb.Units) -> str | list[int] | None:
    """Return the units to explain, None for the strongest."""
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
    position = _option(request, "position")
    has_positions = request.HasField("positions")
    if has_positions != (position == "given"):
        raise InputError("positions: set them together with position POSITION_GIVEN, and only then")
    if position == "region" and not request.HasField("region"):
        raise InputError("region: not set; POSITION_REGION needs it")
    return _array("positions", request.positions) if has_positions else position


def preprocess_of(
    request: pb.ExplainRequest | pb.ViewRequest | pb.EvaluateRequest,
) -> Preprocess | None:
    """Return the preprocessing of pictures, None for the model's own. Raises InputError."""
    match request.WhichOneof("preprocessing"):
        case "preset":
            how = parse(request.preset)
        case "preprocess":
            steps = request.preprocess
            how = Preprocess(
                size=(steps.height, steps.width) if steps.height or steps.width else None,
                crop=steps.crop or "none",
                color=steps.color or "RGB",
                mean=tuple(steps.mean) or (0.0,),
                std=tuple(steps.std) or (1.0,),
                scale=steps.scale if steps.HasField("scale") else 1.0,
                resize=steps.resize or None,
                interpolation=steps.interpolation or "bilinear",
            )
        case _:
            return None
    check_preprocess(how, len(request.images))
    return how


def method_options_of(request: Request | pb.MapsView) -> dict[str, Any]:
    """Return the method's options that are set, by name. Raises InputError."""
    options: dict[str, Any] = {}
    for field, value in request.method_options.ListFields():
        if field.name == "baseline":
            value = _array("method_options.baseline", value)
        options[field.name] = tuple(value) if field.is_repeated else value
    return options


def _exported_options(request: pb.RewriteRequest) -> dict[str, Any]:
    """Return the method's options that are constants of the artefact. Raises InputError."""
    options = method_options_of(request)
    for name, value in options.items():
        option = OPTIONS.get(name)
        if option is None or option.input:
            raise InputError(f"method_options.{name}: not an option of Rewrite; leave it out")
        if option.type is int and option.checked(value) > option.most_exported:
            raise InputError(
                f"method_options.{name}: {value} exceeds {option.most_exported}, the limit for a "
                "rewritten model; Explain takes more"
            )
    return options


def _array(field: str, tensor: pb.Tensor) -> Array:
    check_bounds(tensor, field)
    try:
        return tensors.to_array(tensor)
    except ValueError as e:
        raise InputError(f"{field}: {e}") from e


def _general_options(request: pb.CheckRequest | pb.RewriteRequest) -> dict[str, Any]:
    """Return the options of all methods for which the request has a field. Raises InputError."""
    fields = request.DESCRIPTOR.fields_by_name
    return {name: _option(request, name) for name in GENERAL if name in fields}


def _option(request: Request, name: str) -> Any:
    """Return the value of an option of all methods, None for its default. Raises InputError."""
    field, value = request.DESCRIPTOR.fields_by_name[name], getattr(request, name)
    if field.enum_type is not None:
        words = field.enum_type.values_by_number
        if value not in words:
            raise InputError(f"{name}: {value} is not a value of its enum")
        word = words[value].name.removeprefix(f"{name.upper()}_").lower()
        return None if word == "unspecified" else word
    if field.is_repeated:
        return tuple(value)
    if field.has_presence:
        return value if request.HasField(name) else None
    return value or None
