"""Every error that onnxplain raises on purpose, as one tree.

    OnnxplainError
    ├── InputError                an argument of the caller is wrong
    │   ├── UnknownLayer          no tensor, node or module of that name
    │   ├── UnknownMethod         no method of that name
    │   ├── OptionError           an option's value is wrong, or two options exclude each other
    │   ├── ChannelError          a channel, image index or position is out of range
    │   ├── MissingFile           a file or folder does not exist
    │   ├── MissingModel          the service lists no such model or version
    │   ├── PictureError          a picture cannot be read, or does not fit the network
    │   ├── AnswerTooLarge        an answer exceeds the size of one gRPC message
    │   ├── ModelExists           the service has that version of the model already
    │   ├── MissingOperation      the service knows no such operation
    │   ├── UnfinishedOperation   the operation has not ended, or ended without results
    │   ├── UnknownCall           the service does not offer the call
    │   ├── Unauthenticated       the call has no token that the service knows
    │   └── Forbidden             the token of the call lacks the scope that the call needs
    ├── ModelError                the model is wrong
    │   ├── CorruptModel          not ONNX, or not valid ONNX
    │   ├── UnsafeModel           the model refers to files outside its folder
    │   ├── UnsupportedOperator   no rule for an operator on the path
    │   ├── UnsupportedModel      a graph, opset or shape that onnxplain cannot process
    │   └── QuarantinedModel      the model made workers of the service die
    ├── OutputError               a result could not be written
    ├── DeviceError               the requested device is missing, or cannot run the graph
    │   ├── OutOfMemory           the work needs more memory than there is, or than its limit
    │   └── MissingRuntime        ONNX Runtime is not installed, too old, or cannot be imported
    ├── ServiceError              the service could not start, or cannot be reached
    │   ├── QueueFull             too many calls wait for the model already
    │   ├── NoWorker              no worker took the call, which is safe to repeat
    │   └── WorkerDied            the worker that ran the call died
    └── Cancelled                 the caller cancelled, or the deadline passed

Each message says what is wrong, where, and what to do.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable

__all__ = [
    "AnswerTooLarge",
    "Cancelled",
    "ChannelError",
    "CorruptModel",
    "DeviceError",
    "Forbidden",
    "InputError",
    "MissingFile",
    "MissingModel",
    "MissingOperation",
    "MissingRuntime",
    "ModelError",
    "ModelExists",
    "NoWorker",
    "OnnxplainError",
    "OptionError",
    "OutOfMemory",
    "OutputError",
    "PictureError",
    "QuarantinedModel",
    "QueueFull",
    "ServiceError",
    "Unauthenticated",
    "UnfinishedOperation",
    "UnknownCall",
    "UnknownLayer",
    "UnknownMethod",
    "UnsafeModel",
    "UnsupportedModel",
    "UnsupportedOperator",
    "WorkerDied",
    "listed",
    "missing_file",
    "nearest",
    "one_line",
]


class OnnxplainError(Exception):
    """The base class of all errors."""


class InputError(OnnxplainError):
    """An argument of the caller is wrong."""


class UnknownLayer(InputError):
    """No tensor, node or module of that name."""


class UnknownMethod(InputError):
    """No method of that name."""


class OptionError(InputError):
    """An option's value is wrong, or two options exclude each other."""


class ChannelError(InputError):
    """A channel, image index or position is out of range."""


class MissingFile(InputError):
    """A file or folder does not exist."""


class MissingModel(InputError):
    """The service lists no such model or version."""


class PictureError(InputError):
    """A picture cannot be read, or does not fit the network."""


class AnswerTooLarge(InputError):
    """An answer exceeds the size of one gRPC message."""


class ModelExists(InputError):
    """The service has that version of the model already."""


class MissingOperation(InputError):
    """The service knows no such operation."""


class UnfinishedOperation(InputError):
    """The operation has not ended, or ended without results."""


class UnknownCall(InputError):
    """The service does not offer the call."""


class Unauthenticated(InputError):
    """The call has no token that the service knows."""


class Forbidden(InputError):
    """The token of the call lacks the scope that the call needs."""


class ModelError(OnnxplainError):
    """The model is wrong."""


class CorruptModel(ModelError):
    """The model is not ONNX, or not valid ONNX."""


class UnsafeModel(ModelError):
    """The model refers to files outside its folder."""


class UnsupportedOperator(ModelError):
    """No rule for an operator on the path between the layer and the pixels."""


class UnsupportedModel(ModelError):
    """A graph, opset or shape that onnxplain cannot process."""


class QuarantinedModel(ModelError):
    """The model made workers of the service die."""


class OutputError(OnnxplainError):
    """A result could not be written."""


class DeviceError(OnnxplainError):
    """The requested device is missing, or cannot run the graph."""


class OutOfMemory(DeviceError):
    """The work needs more memory than there is, or than its limit."""


class MissingRuntime(DeviceError):
    """ONNX Runtime is not installed, too old, or cannot be imported."""


class ServiceError(OnnxplainError):
    """The service could not start, or cannot be reached."""


class QueueFull(ServiceError):
    """Too many calls wait for the model already.

    retry_seconds: after which a place may be free.
    """

    retry_seconds = 1.0


class NoWorker(ServiceError):
    """No worker took the call, which is safe to repeat."""


class WorkerDied(ServiceError):
    """The worker that ran the call died."""


class Cancelled(OnnxplainError):
    """The caller cancelled, or the deadline passed."""


def listed(words: Iterable[str]) -> str:
    """Return 'a, b or c'."""
    *first, last = list(words) or [""]
    return f"{', '.join(first)} or {last}" if first else last


def nearest(name: str, known: Iterable[str], count: int = 5) -> str:
    """Return a phrase with the known names closest to `name`, for an error message."""
    names = sorted(set(known))
    name = name[:200]  # a request may have megabytes of it
    close = difflib.get_close_matches(name, names, n=count, cutoff=0.3) or names[:count]
    return "nearest: " + ", ".join(repr(n) for n in close) if close else "there are none"


def one_line(error: Exception) -> str:
    """Return an error's text on one line, to quote it in another message."""
    return " ".join(str(error).split())


def missing_file(path: str | os.PathLike[str], name: str = "", what: str = "file") -> MissingFile:
    """Return the error for a file that does not exist, or that is a URL and so never read.

    name: the file in the text, by default its path in quotes. what: the word for it.
    """
    text = os.fspath(path)
    name = name or f"'{text}'"
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text):  # pathlib drops the second slash
        return MissingFile(f"{name} is a URL: download it first, and give the {what}")
    return MissingFile(f"no {what} {name}")
