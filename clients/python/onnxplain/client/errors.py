"""What a call can end with, as one error that a person can read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from grpc import StatusCode

__all__ = ["ClientError", "plain_errors"]


class ClientError(Exception):
    """A call failed. The text says what was wrong, where, and what to do.

    code: the gRPC status. kind: the service's name for it, such as `UnknownLayer`.
    """

    def __init__(self, code: StatusCode, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.kind = kind


@contextmanager
def plain_errors(address: str, timeout: float | None) -> Iterator[None]:
    """Turn the errors of gRPC raised inside into ClientError."""
    try:
        yield
    except grpc.RpcError as error:
        # `from None`: gRPC's own text is a page of internals, and this has all that matters of it.
        raise _translated(error, address, timeout) from None


def _translated(error: grpc.RpcError, address: str, timeout: float | None) -> ClientError:
    code: StatusCode = error.code()
    text = " ".join((error.details() or "").split())
    metadata = error.trailing_metadata() or ()
    kind = next((entry.value for entry in metadata if entry.key == "onnxplain-error"), "")
    if kind:  # the service itself says what is wrong
        return ClientError(code, text, str(kind))
    if code is StatusCode.UNAVAILABLE:
        return ClientError(
            code,
            f"no service can be reached at {address}: start one with `onnxplain serve`, or check "
            f"the address ({text})",
            "ServiceError",
        )
    if code is StatusCode.DEADLINE_EXCEEDED:
        return ClientError(
            code,
            f"the service at {address} gave no answer within {timeout:g} seconds: allow more time, "
            "or ask for less",
            "Cancelled",
        )
    if code is StatusCode.RESOURCE_EXHAUSTED:
        return ClientError(
            code, f"a message is too large, send fewer or smaller images at a time: {text}"
        )
    if code is StatusCode.UNIMPLEMENTED:
        return ClientError(
            code, f"what answers at {address} is not an onnxplain service, or an older one: {text}"
        )
    return ClientError(code, f"the call to {address} failed with {code.name}: {text}")
