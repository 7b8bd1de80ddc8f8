"""Failed calls as one error with a readable text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from grpc import StatusCode

__all__ = ["ClientError", "plain_errors"]


class ClientError(Exception):
    """A call failed; the text says what was wrong, where, and what to do.

    code: the gRPC status. kind: the service's name of the error, such as `UnknownLayer`.
    """

    def __init__(self, code: StatusCode, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.kind = kind


@contextmanager
def plain_errors(address: str, timeout: float | None) -> Iterator[None]:
    """Raise ClientError for gRPC's errors raised inside."""
    try:
        yield
    except grpc.RpcError as error:
        # `from None`: gRPC's own text is a page of internals and adds nothing.
        raise _translated(error, address, timeout) from None


def _translated(error: grpc.RpcError, address: str, timeout: float | None) -> ClientError:
    code: StatusCode = error.code()
    text = " ".join((error.details() or "").split())
    metadata = error.trailing_metadata() or ()
    kind = next((entry.value for entry in metadata if entry.key == "onnxplain-error"), "")
    if kind:  # the text is the service's own
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
            f"no answer within {timeout:g} seconds from the service at {address}: allow more time, "
            "or request less",
            "Cancelled",
        )
    if code is StatusCode.RESOURCE_EXHAUSTED:
        return ClientError(
            code, f"a message is too large: send fewer or smaller images per call ({text})"
        )
    if code is StatusCode.UNIMPLEMENTED:
        return ClientError(
            code, f"the server at {address} is no onnxplain service, or an older version: {text}"
        )
    return ClientError(code, f"the call to {address} failed with {code.name}: {text}")
