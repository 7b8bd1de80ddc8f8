"""Errors as gRPC statuses: one table, which one interceptor applies to every call."""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn

import grpc
from grpc import StatusCode

from onnxplain.graphops import errors

__all__ = ["STATUS", "ErrorInterceptor"]

log = logging.getLogger(__name__)

OURS = ("/onnxplain.", "/inference.")  # the services whose errors are in the table

# Status texts travel in HTTP/2 headers, which gRPC limits to 8 KiB; every byte may be escaped.
MAX_TEXT = 1000

# A model that cannot be explained is FAILED_PRECONDITION, not UNIMPLEMENTED: gRPC tools read the
# latter as "the service has no such call".
STATUS: dict[type[Exception], StatusCode] = {
    errors.InputError: StatusCode.INVALID_ARGUMENT,
    errors.OptionError: StatusCode.INVALID_ARGUMENT,
    errors.UnknownMethod: StatusCode.INVALID_ARGUMENT,
    errors.PictureError: StatusCode.INVALID_ARGUMENT,
    errors.ChannelError: StatusCode.OUT_OF_RANGE,
    errors.UnknownLayer: StatusCode.NOT_FOUND,
    errors.MissingModel: StatusCode.NOT_FOUND,
    errors.MissingFile: StatusCode.NOT_FOUND,
    errors.AnswerTooLarge: StatusCode.RESOURCE_EXHAUSTED,
    errors.ModelExists: StatusCode.ALREADY_EXISTS,
    errors.MissingOperation: StatusCode.NOT_FOUND,
    errors.Unauthenticated: StatusCode.UNAUTHENTICATED,
    errors.Forbidden: StatusCode.PERMISSION_DENIED,
    errors.ModelError: StatusCode.FAILED_PRECONDITION,
    errors.CorruptModel: StatusCode.FAILED_PRECONDITION,
    errors.UnsafeModel: StatusCode.FAILED_PRECONDITION,
    errors.UnsupportedOperator: StatusCode.FAILED_PRECONDITION,
    errors.UnsupportedModel: StatusCode.FAILED_PRECONDITION,
    errors.QuarantinedModel: StatusCode.FAILED_PRECONDITION,
    errors.DeviceError: StatusCode.UNAVAILABLE,
    errors.OutOfMemory: StatusCode.RESOURCE_EXHAUSTED,
    errors.MissingRuntime: StatusCode.UNAVAILABLE,
    errors.ServiceError: StatusCode.UNAVAILABLE,
    errors.QueueFull: StatusCode.RESOURCE_EXHAUSTED,
    errors.NoWorker: StatusCode.UNAVAILABLE,
    errors.WorkerDied: StatusCode.ABORTED,
    errors.Cancelled: StatusCode.DEADLINE_EXCEEDED,
    errors.OutputError: StatusCode.INTERNAL,
    errors.OnnxplainError: StatusCode.INTERNAL,
}


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Ends a call that raised, with the error's status, text and kind.

    An exception outside the table is a defect: the client receives an id, under which the log has
    the traceback.
    """

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return the call's handler, wrapped to report its errors."""
        handler = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(OURS):
            return handler
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                _guard_stream(handler.unary_stream),
                handler.request_deserializer,
                handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            _guard(handler.unary_unary), handler.request_deserializer, handler.response_serializer
        )


def _guard(behavior: Callable[[Any, Any], Awaitable[Any]]) -> Any:
    async def guarded(request: Any, context: Any) -> Any:
        try:
            return await behavior(request, context)
        except Exception as error:
            await _abort(context, error)

    return guarded


def _guard_stream(behavior: Callable[[Any, Any], AsyncIterator[Any]]) -> Any:
    async def guarded(request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            async for response in behavior(request, context):
                yield response
        except Exception as error:
            await _abort(context, error)

    return guarded


async def _abort(context: grpc.aio.ServicerContext[Any, Any], error: Exception) -> NoReturn:
    code = next((STATUS[c] for c in type(error).__mro__ if c in STATUS), None)
    if code is None:
        code, identity = StatusCode.INTERNAL, secrets.token_hex(4)
        log.error("internal error, id %s", identity, exc_info=error)
        text, kind = (
            f"internal error, id {identity}: look it up in the service's log",
            "InternalError",
        )
    else:
        text, kind = str(error)[:MAX_TEXT], type(error).__name__
    await context.abort(code, text, trailing_metadata=(("onnxplain-error", kind),))
