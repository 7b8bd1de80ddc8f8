"""Failed calls as errors, one class per gRPC status.

    ClientError
    ├── InvalidArgumentError     an argument or a picture is wrong
    ├── NotFoundError            no such model, version, layer, operation or file
    ├── OutOfRangeError          a channel or position that the layer does not have
    ├── FailedPreconditionError  the model cannot be read or explained, or is in quarantine
    ├── AlreadyExistsError       the service has that version of the model already
    ├── UnauthenticatedError     the service needs a token, or does not know the one given
    ├── PermissionDeniedError    the token lacks the scope that the call needs
    ├── ResourceExhaustedError   too large, or, with `retry_delay`, too many calls at once
    ├── UnavailableError         no service can be reached, or it cannot do the work now
    ├── AbortedError             the process that ran the call died
    ├── DeadlineExceededError    no answer within the time allowed
    ├── UnimplementedError       the server is no onnxplain service, or an older version
    ├── DataLossError            the answer arrived damaged
    └── InternalError            a defect of the service

A status that is not listed here is a plain ClientError.
"""

from __future__ import annotations

from collections.abc import Mapping

from grpc import StatusCode

__all__ = [
    "AbortedError",
    "AlreadyExistsError",
    "ClientError",
    "DataLossError",
    "DeadlineExceededError",
    "FailedPreconditionError",
    "InternalError",
    "InvalidArgumentError",
    "NotFoundError",
    "OutOfRangeError",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "error_class",
]


class ClientError(Exception):
    """A call failed; the text says what was wrong, where, and what to do.

    code: the gRPC status.
    kind: the service's name of the error, such as `UnknownLayer` or `QueueFull`.
    violations: what is wrong with single fields of the request, by their names.
    resource: the model, layer or operation that the error is about, if the service names one.
    retry_delay: seconds after which the call may be repeated; None unless the service names them.
    """

    code = StatusCode.UNKNOWN
    violations: Mapping[str, str] = {}
    resource = ""
    retry_delay: float | None = None

    def __init__(self, message: str, kind: str = "", code: StatusCode | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        if code is not None:
            self.code = code


class InvalidArgumentError(ClientError):
    """An argument or a picture is wrong."""

    code = StatusCode.INVALID_ARGUMENT


class NotFoundError(ClientError):
    """No such model, version, layer, operation or file."""

    code = StatusCode.NOT_FOUND


class OutOfRangeError(ClientError):
    """A channel or position that the layer does not have."""

    code = StatusCode.OUT_OF_RANGE


class FailedPreconditionError(ClientError):
    """The model cannot be read or explained, or is in quarantine."""

    code = StatusCode.FAILED_PRECONDITION


class AlreadyExistsError(ClientError):
    """The service has that version of the model already."""

    code = StatusCode.ALREADY_EXISTS


class UnauthenticatedError(ClientError):
    """The service needs a token, or does not know the one given."""

    code = StatusCode.UNAUTHENTICATED


class PermissionDeniedError(ClientError):
    """The token lacks the scope that the call needs."""

    code = StatusCode.PERMISSION_DENIED


class ResourceExhaustedError(ClientError):
    """Too large, or, with `retry_delay`, too many calls at once."""

    code = StatusCode.RESOURCE_EXHAUSTED


class UnavailableError(ClientError):
    """No service can be reached, or it cannot do the work now."""

    code = StatusCode.UNAVAILABLE


class AbortedError(ClientError):
    """The process that ran the call died."""

    code = StatusCode.ABORTED


class DeadlineExceededError(ClientError):
    """No answer within the time allowed."""

    code = StatusCode.DEADLINE_EXCEEDED


class UnimplementedError(ClientError):
    """The server is no onnxplain service, or an older version."""

    code = StatusCode.UNIMPLEMENTED


class DataLossError(ClientError):
    """The answer arrived damaged."""

    code = StatusCode.DATA_LOSS


class InternalError(ClientError):
    """A defect of the service."""

    code = StatusCode.INTERNAL


_CLASSES = {kind.code: kind for kind in ClientError.__subclasses__()}


def error_class(code: StatusCode) -> type[ClientError]:
    """Return the class of the errors with a status."""
    return _CLASSES.get(code, ClientError)
