"""The types of the arguments that people pass, checked before the work.

An argument of one name means the same wherever it is taken, so that one table holds them all.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, TypeVar, cast

import numpy as np
import onnx
from PIL import Image

from onnxplain.engine.choices import Choices
from onnxplain.engine.methods import method_options
from onnxplain.engine.pictures import PreparedInputs, Preprocess
from onnxplain.engine.runtime import OpenedModel
from onnxplain.graphops import Method, Network

__all__ = ["checked", "require_type"]

F = TypeVar("F", bound=Callable[..., Any])
Test = Callable[[Any], bool]


@dataclass(frozen=True)
class Kind:
    """What an argument may be: the words for it, the test, and whether it may be None."""

    expected: str
    fits: Test
    optional: bool = False


def _is(*types: type) -> Test:
    return lambda value: (
        isinstance(value, types) and not (isinstance(value, bool) and bool not in types)
    )


def _each(test: Test, least: int = 0) -> Test:
    """Return a test of lists, tuples, arrays and other iterables, but not of texts."""

    def fits(value: Any) -> bool:
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
            return False
        if isinstance(value, Sequence | np.ndarray):  # an iterator would be used up
            return len(value) >= least and all(map(test, value))
        return True

    return fits


def _is_array(value: Any) -> bool:
    """Tell whether NumPy takes a value for an array: its own, PyTorch's, JAX's, xarray's."""
    return hasattr(value, "__array__") and not isinstance(value, type)


def _either(*tests: Test) -> Test:
    return lambda value: any(test(value) for test in tests)


PATH = _is(str, os.PathLike)
TEXT = _is(str)
WHOLE = _is(Integral)
NUMBER = _is(Real)
MODEL = _either(PATH, _is(bytes, onnx.ModelProto, Network, OpenedModel))
PICTURE = _either(PATH, _is(bytes, Image.Image), _is_array)
METHOD = _is(str, Method)

A_MODEL = (
    "the path or the bytes of an ONNX file, a ModelProto, a Network or the result of `open`; "
    "export a network of another framework first"
)
A_PICTURE = "a path, the bytes of a file, a Pillow image or a NumPy array"

KINDS: Mapping[str, Kind] = {
    "model": Kind(A_MODEL, MODEL),
    "checkpoints": Kind(f"a list of models, each {A_MODEL}", _each(MODEL)),
    "images": Kind(
        f"{A_PICTURE}, or a list of these",
        _either(PICTURE, _is(PreparedInputs), _each(PICTURE)),
    ),
    "picture": Kind(A_PICTURE, PICTURE),
    "pictures": Kind(f"{A_PICTURE}, or a list of these", _either(PICTURE, _each(PICTURE))),
    "masks": Kind(f"a list of masks, each {A_PICTURE}", _each(PICTURE)),
    "region": Kind(
        f"a mask or a list of masks, each {A_PICTURE}", _either(PICTURE, _each(PICTURE))
    ),
    "inputs": Kind("a dictionary of values by the names of inputs", _is(Mapping)),
    "layer": Kind("the name of a tensor, a node or a module", TEXT, optional=True),
    "layers": Kind("the names of tensors, nodes or modules", _either(TEXT, _each(TEXT))),
    "method": Kind(
        "the name of a method, a Method, or a list of these", _either(METHOD, _each(METHOD))
    ),
    "methods": Kind("a list of the names of methods", _either(METHOD, _each(METHOD))),
    "channel": Kind("a channel's number", WHOLE, optional=True),
    "class_index": Kind("the number of a class", WHOLE, optional=True),
    "count": Kind("a whole number", WHOLE),
    "window": Kind("a number of pixels", _either(WHOLE, _each(WHOLE)), optional=True),
    "stride": Kind("a number of pixels", _either(WHOLE, _each(WHOLE)), optional=True),
    "size": Kind("a height and a width in pixels, such as (224, 224)", _each(WHOLE, least=2)),
    "randomize": Kind("a number of pictures", WHOLE),
    "preprocess": Kind(
        "a Preprocess, or a text such as 'imagenet' or 'raw_bgr,size=224x224'", _is(str, Preprocess)
    ),
    "names": Kind("a list of names", _each(TEXT)),
    "bands": Kind("one or three numbers of channels", _either(WHOLE, _each(WHOLE))),
    "position": Kind("'all', 'max', or coordinates", _either(TEXT, _is_array, _is(Sequence))),
    "seed_value": Kind("'activation' or 'one'", TEXT),
    "negate": Kind("True or False", _is(bool, np.bool_)),
    "to": Kind("the name of a tensor or 'all'", TEXT, optional=True),
    "unpool": Kind("the name of a form of max-unpooling", TEXT, optional=True),
    "channel_axis": Kind("the number of an axis", WHOLE, optional=True),
    "timeout": Kind("seconds", NUMBER, optional=True),
    "cancel": Kind("a threading.Event", lambda value: hasattr(value, "is_set"), optional=True),
    "progress": Kind("a function of the steps done and their total", callable),
    "passes": Kind("a function of the runs done and their total", callable),
    "device": Kind("'auto', 'cpu', 'cuda' or 'cuda:N'", TEXT),
    "cache_bytes": Kind("a number of bytes", NUMBER),
    "memory_bytes": Kind("a number of bytes", NUMBER),
    "result_bytes": Kind("a number of bytes", NUMBER),
    "threads": Kind("a number of threads", WHOLE),
}


def require_type(function: str, name: str, value: Any) -> None:
    """Raise TypeError unless the value of a named argument has one of its types."""
    kind = KINDS.get(name)
    if kind is None or kind.fits(value) or (kind.optional and value is None):
        return
    expected = f"{kind.expected}, or None" if kind.optional else kind.expected
    raise TypeError(f"{function}(): {name} must be {expected}, not {_shown(value)}")


def checked(function: F) -> F:
    """Check the types of a function's arguments before it runs; its defaults are always valid."""
    defaults = {p.name: p.default for p in inspect.signature(function).parameters.values()}
    takes_choices = "seed_value" in defaults

    @functools.wraps(function)
    def wrapper(*arguments: Any, **options: Any) -> Any:
        own = method_options() if takes_choices else ()
        for name, value in [*zip(defaults, arguments, strict=False), *options.items()]:
            if takes_choices and name in Choices.__annotations__ and value is None:
                continue  # the default of every choice
            if name in own:
                continue  # checked against its declaration
            if value is not defaults.get(name, ...):
                require_type(function.__name__, name, value)
        return function(*arguments, **options)

    return cast(F, wrapper)


def _shown(value: Any) -> str:
    """Return a value's type and text, for an error."""
    if value is None:
        return "None"
    text = " ".join(f"{value!r:.200}".split())
    text = text if len(text) <= 60 else f"{text[:59]}…"
    return f"{text} ({type(value).__name__})"
