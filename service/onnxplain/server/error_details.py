"""What a program reads of an error: the details that google.rpc defines for statuses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, ResourceInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode

__all__ = ["DETAILS_KEY", "status_details"]

DETAILS_KEY = "grpc-status-details-bin"

DOMAIN = "onnxplain"
RETRIED = ("QueueFull", "NoWorker")  # safe to repeat, and likely to succeed then
RETRY = Duration(seconds=1)
FIELDS = re.compile(r"[a-z_][\w.\[\]]*(?:, [a-z_][\w.\[\]]*)*(?=: )")
RESOURCE = re.compile(r"no (model|layer|operation) '(.*?)'(?= \(|[,;:]|$)")
VERSION = re.compile(r"no version '(.*?)' of model '(.*?)'(?= \(|[,;:]|$)")


def status_details(code: StatusCode, text: str, kind: str, method: str) -> bytes:
    """Return a failed call's serialised google.rpc.Status, for its trailing metadata.

    Everything in it is read off the text: the request's fields that it begins with, and the model,
    layer or operation that it calls missing.

    Args:
        code: the status of the call.
        text: its text.
        kind: the name of the error's class.
        method: the call's full name, /PACKAGE.SERVICE/CALL.
    """
    status = Status(code=code.value[0], message=text)
    for detail in _details(code, text, kind, method):
        status.details.add().Pack(detail)
    serialised: bytes = status.SerializeToString()
    return serialised


def _details(code: StatusCode, text: str, kind: str, method: str) -> Iterator[Message]:
    yield ErrorInfo(domain=DOMAIN, reason=re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).upper())
    wrong = code in (StatusCode.INVALID_ARGUMENT, StatusCode.OUT_OF_RANGE)
    if wrong and (fields := _fields(text, method)):
        violations = [BadRequest.FieldViolation(field=f, description=text) for f in fields]
        yield BadRequest(field_violations=violations)
    if code is StatusCode.NOT_FOUND and (missing := _missing(text)):
        yield ResourceInfo(resource_type=missing[0], resource_name=missing[1])
    if kind in RETRIED:
        yield RetryInfo(retry_delay=RETRY)


def _fields(text: str, method: str) -> list[str]:
    """Return the paths of request fields that a text begins with."""
    if (paths := FIELDS.match(text)) is None:
        return []
    try:
        call = descriptor_pool.Default().FindMethodByName(method.strip("/").replace("/", "."))
    except KeyError:
        return []
    fields = paths[0].split(", ")
    return fields if all(_leads_to_field(path, call.input_type) for path in fields) else []


def _leads_to_field(path: str, message: Descriptor | None) -> bool:
    """Tell whether a path such as `inputs[0].images` or `parameters.KEY` is in a message."""
    steps = iter(path.split("."))
    for step in steps:
        name = re.sub(r"\[\d+\]$", "", step)
        field = message.fields_by_name.get(name) if message else None
        if field is None or (name != step and not field.is_repeated):
            return False
        message = field.message_type
        if message is not None and message.GetOptions().map_entry:
            next(steps, None)  # any key
            message = message.fields_by_name["value"].message_type
    return True


def _missing(text: str) -> tuple[str, str] | None:
    """Return the type and the name of what a text calls missing."""
    if version := VERSION.search(text):
        return "model", f"models/{version[2]}/versions/{version[1]}"
    if found := RESOURCE.search(text):
        prefix = "models/" if found[1] == "model" else ""
        return found[1], prefix + found[2].removeprefix(prefix)
    return None
