"""The Open Inference Protocol's request parameters as arguments of `Engine.explain`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from onnxplain.engine.methods import find_method, method_options
from onnxplain.graphops.errors import InputError, nearest
from onnxplain.graphops.options import CHANNEL_AXIS, NEGATE, SEED_VALUE, TO, UNPOOL, Option
from onnxplain.inference import open_inference_pb2 as pb
from onnxplain.server.worker.bounds import MAX_TEXT

__all__ = ["PARAMETERS", "RESERVED", "explanation_of"]

# What stock clients send beside their callers' parameters; it has no effect here.
RESERVED = re.compile(
    "sequence_id|sequence_start|sequence_end|priority|timeout|headers|binary_data_output|triton_.*"
)

OPTIONS: Mapping[str, Option] = {
    **{option.name: option for option in (SEED_VALUE, NEGATE, TO, UNPOOL, CHANNEL_AXIS)},
    **method_options(),
}
PARAMETERS = ("method", "layer", "channel", "position", *OPTIONS)

NUMBERS = re.compile(r"-?[0-9]{1,18}(,-?[0-9]{1,18})*")


def explanation_of(parameters: Mapping[str, pb.InferParameter]) -> dict[str, Any] | None:
    """Return the arguments of `Engine.explain` besides model and images, None without a method.

    Raises InputError, or UnknownMethod, for an invalid parameter.
    """
    arguments: dict[str, Any] = {}
    for name in sorted(parameters):
        if RESERVED.fullmatch(name):
            continue
        if name not in PARAMETERS:
            raise InputError(f"parameters: no '{name:.100}' is known ({nearest(name, PARAMETERS)})")
        kind = parameters[name].WhichOneof("parameter_choice")
        if kind is None:
            raise InputError(f"parameters.{name}: has no value: set one, or leave it out")
        value = getattr(parameters[name], kind)
        try:
            if isinstance(value, str) and len(value) > MAX_TEXT:
                raise ValueError(f"at most {MAX_TEXT} characters")
            arguments[name] = _argument(name, value)
        except ValueError as e:
            raise InputError(f"parameters.{name}: '{value!s:.100}': give {e}") from e
    if arguments and "method" not in arguments:
        raise InputError(
            f"parameters.{next(iter(arguments))}: belongs to an explanation: name its `method` too"
        )
    if not arguments:
        return None
    find_method(arguments["method"])
    return {"units": arguments.pop("channel", None), **arguments}


def _argument(name: str, value: bool | int | float | str) -> Any:
    """Return a parameter's value as the engine takes it. Raises ValueError with what it must be."""
    if name in OPTIONS:
        return _option_value(OPTIONS[name], value)
    if name in ("method", "layer"):
        return _text(value)
    numbers = _whole_numbers(value)
    if numbers is not None:
        return numbers
    words = "all|whole|top:[0-9]{1,18}" if name == "channel" else "all|max"
    if isinstance(value, str) and re.fullmatch(words, value):
        return value
    if name == "channel":
        raise ValueError("a channel's number, several such as '3,7', or 'all', 'whole' or 'top:5'")
    raise ValueError("'all', 'max', or the coordinates of a position such as '5,7'")


def _option_value(option: Option, value: bool | int | float | str) -> Any:
    if option.type is str:
        return _text(value)
    if option.type is bool:
        words = {"true": True, "false": False}
        value = words.get(value, value) if isinstance(value, str) else value
        if not isinstance(value, bool):
            raise ValueError("true or false")
        return value
    numbers = _whole_numbers(value) if option.type is int else _numbers(value)
    if numbers is None or (len(numbers) > 1 and not option.each):
        number = "a whole number" if option.type is int else "a number"
        each = f", or one for each {option.each} with commas between" if option.each else ""
        raise ValueError(number + each)
    return numbers[0] if len(numbers) == 1 else numbers


def _text(value: bool | int | float | str) -> str:
    if not isinstance(value, str):
        raise ValueError("a text")
    return value


def _whole_numbers(value: bool | int | float | str) -> tuple[int, ...] | None:
    if isinstance(value, str) and NUMBERS.fullmatch(value):
        return tuple(map(int, value.split(",")))
    return (value,) if isinstance(value, int) and not isinstance(value, bool) else None


def _numbers(value: bool | int | float | str) -> tuple[float, ...] | None:
    parts = value.split(",") if isinstance(value, str) else [value]
    if any(isinstance(part, bool) for part in parts):
        return None
    try:
        numbers = tuple(map(float, parts))
    except ValueError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None
