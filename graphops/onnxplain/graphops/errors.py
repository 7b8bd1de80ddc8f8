"""Every error that onnxplain raises on purpose, as one tree.

OnnxplainError
├── InputError                what the caller gave is wrong
│   ├── UnknownLayer          no tensor, node or module of that name
│   ├── UnknownMethod         no method of that name
│   ├── OptionError           an option's value is wrong, or two options exclude each other
│   ├── ChannelError          a channel, image index or position is out of range
│   ├── MissingFile           a file or folder that is not there
│   ├── MissingModel          a model or version that the service does not list
│   ├── PictureError          a picture that is not one, or does not fit the network
│   └── AnswerTooLarge        an answer that one message cannot hold
├── ModelError                the model is wrong
│   ├── CorruptModel          not ONNX, or not valid ONNX
│   ├── UnsafeModel           reads files that it must not
│   ├── UnsupportedOperator   no rule for an operator on the path
│   └── UnsupportedModel      a form of graph, opset or shape that cannot be explained
├── OutputError               a result could not be written
├── DeviceError               the device asked for is not there, or cannot run the graph
├── ServiceError              the service could not start, or could not be reached
└── Cancelled                 the caller gave up, or the deadline passed

Each message names what was wrong, where, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "AnswerTooLarge",
    "Cancelled",
    "ChannelError",
    "CorruptModel",
    "DeviceError",
    "InputError",
    "MissingFile",
    "MissingModel",
    "ModelError",
    "OnnxplainError",
    "OptionError",
    "OutputError",
    "PictureError",
    "ServiceError",
    "UnknownLayer",
    "UnknownMethod",
    "UnsafeModel",
    "UnsupportedModel",
    "UnsupportedOperator",
    "nearest",
]


class OnnxplainError(Exception):
    """Root of the tree."""


class InputError(OnnxplainError):
    """What the caller gave is wrong."""


class UnknownLayer(InputError):
    """No tensor, node or module of that name."""


class UnknownMethod(InputError):
    """No method of that name."""


class OptionError(InputError):
    """An option's value is wrong, or two options exclude each other."""


class ChannelError(InputError):
    """A channel, image index or position is out of range."""


class MissingFile(InputError):
    """A file or folder that is not there."""


class MissingModel(InputError):
    """A model or version that the service does not list."""


class PictureError(InputError):
    """A picture that is not one, or does not fit the network."""


class AnswerTooLarge(InputError):
    """An answer that one message of the service cannot hold."""


class ModelError(OnnxplainError):
    """The model is wrong."""


class CorruptModel(ModelError):
    """Not ONNX, or not valid ONNX."""


class UnsafeModel(ModelError):
    """Reads files that it must not."""


class UnsupportedOperator(ModelError):
    """No rule for an operator on the path between the layer and the pixels."""


class UnsupportedModel(ModelError):
    """A form of graph, opset or shape that cannot be explained."""


class OutputError(OnnxplainError):
    """A result could not be written."""


class DeviceError(OnnxplainError):
    """The device asked for is not there, or cannot run the graph."""


class ServiceError(OnnxplainError):
    """The service could not start, or could not be reached."""


class Cancelled(OnnxplainError):
    """The caller gave up, or the deadline passed."""


def nearest(name: str, known: Iterable[str], count: int = 5) -> str:
    """Return a phrase that names the known names closest to `name`, for an error message."""
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=count, cutoff=0.3) or names[:count]
    return "nearest: " + ", ".join(repr(n) for n in close) if close else "there are none"
