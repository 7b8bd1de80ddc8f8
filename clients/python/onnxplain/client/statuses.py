"""A gRPC status, with its metadata and its google.rpc details, as a ClientError."""

from __future__ import annotations

from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode
from grpc_status import rpc_status

from onnxplain.client.errors import ClientError, error_class

__all__ = ["never_begun", "translated"]


def translated(error: grpc.RpcError, address: str, timeout: float | None) -> ClientError:
    """Return gRPC's error of a call to `address`, which could take `timeout` seconds."""
    code: StatusCode = error.code()
    text = " ".join((error.details() or "").split())
    metadata: Any = error.trailing_metadata() or ()
    kind = next((str(value) for key, value in metadata if key == "onnxplain-error"), "")
    if not kind:  # else the text is the service's own
        text, kind = _explained(code, text, address, timeout)
    failure = error_class(code)(text, kind, code)
    _add_details(failure, error)
    return failure


def never_begun(error: grpc.RpcError, failure: ClientError) -> bool:
    """Return whether no work was done for a call, so that it is safe to repeat."""
    if failure.kind in ("NoWorker", "QueueFull"):
        return True
    # gRPC has no status of its own for a call that never left: "Socket closed", the text of a
    # connection lost on the way, is UNAVAILABLE too.
    text = (error.details() or "").lower()
    return failure.kind == "ServiceError" and text.startswith(
        ("failed to connect to all addresses", "dns resolution failed")
    )


def _explained(code: StatusCode, text: str, address: str, timeout: float | None) -> tuple[str, str]:
    """Return text and kind of an error that gRPC itself, or another server, has raised."""
    if code is StatusCode.UNAVAILABLE:
        return (
            f"no service can be reached at {address}: start one with `onnxplain serve`, or check "
            f"the address, and whether it has TLS and a certificate that you trust ({text})",
            "ServiceError",
        )
    if code is StatusCode.DEADLINE_EXCEEDED:
        limit = "the time allowed" if timeout is None else f"{timeout:g} seconds"
        return (
            f"no answer within {limit} from the service at {address}: allow more time, "
            "or request less",
            "Cancelled",
        )
    if code is StatusCode.RESOURCE_EXHAUSTED:
        return f"a message is too large: send fewer or smaller images per call ({text})", ""
    if code is StatusCode.UNIMPLEMENTED:
        return (
            f"the server at {address} is no onnxplain service, or an older version: {text}",
            "",
        )
    return f"the call to {address} failed with {code.name}: {text}", ""


def _add_details(failure: ClientError, error: grpc.RpcError) -> None:
    try:
        status: status_pb2.Status | None = rpc_status.from_call(error)  # type: ignore[arg-type]
    except ValueError:  # they contradict the status itself
        return
    for detail in status.details if status else ():
        retry = error_details_pb2.RetryInfo()
        request = error_details_pb2.BadRequest()
        resource = error_details_pb2.ResourceInfo()
        if detail.Unpack(retry):
            failure.retry_delay = retry.retry_delay.ToTimedelta().total_seconds()
        elif detail.Unpack(request):
            failure.violations = {one.field: one.description for one in request.field_violations}
        elif detail.Unpack(resource):
            failure.resource = resource.resource_name
