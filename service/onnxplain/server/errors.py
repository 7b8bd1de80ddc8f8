"""Errors as gRPC statuses: one table, which one interceptor applies to every call."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError
from grpc import StatusCode

from onnxplain.graphops import errors
from onnxplain.server.error_details import DETAILS_KEY, status_details
from onnxplain.server.listening import MAX_REQUEST_BYTES

__all__ = ["KIND_KEY", "STATUS", "ErrorInterceptor", "Failure", "failure", "out_of_memory"]

log = logging.getLogger(__name__)

KIND_KEY = "onnxplain-error"
LOST_SECONDS = 0.05  # within which gRPC cancels a call whose message it could not read

# Status texts travel in HTTP/2 headers, which gRPC limits to 8 KiB: once with every byte escaped,
# and up to twice within the details.
MAX_TEXT_BYTES = 1000

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
    errors.UnfinishedOperation: StatusCode.FAILED_PRECONDITION,
    errors.UnknownCall: StatusCode.UNIMPLEMENTED,
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


# The kinds of statuses that gRPC itself gives to a call of a worker.
TRANSPORT = {
    StatusCode.DEADLINE_EXCEEDED: "Cancelled",
    StatusCode.CANCELLED: "Cancelled",
    StatusCode.RESOURCE_EXHAUSTED: "AnswerTooLarge",
    StatusCode.UNIMPLEMENTED: "UnknownCall",
    StatusCode.UNAVAILABLE: "ServiceError",
}


@dataclass(frozen=True)
class Failure:
    """How a call ends that raised.

    code, text: its status. kind: the name of the error's class, in the trailing metadata. metadata:
    the rest of the trailing metadata, if a worker gave it; empty if it is still to be made.
    """

    code: StatusCode
    text: str
    kind: str
    metadata: Mapping[str, str | bytes] = field(default_factory=dict)


def failure(error: Exception) -> Failure:
    """Return how a call ends that raised an error. A worker's own failure stays as it is.

    An exception outside the table is a defect: the client receives an id, under which the log has
    the traceback.
    """
    if isinstance(error, grpc.aio.AioRpcError):
        metadata = dict(error.trailing_metadata() or ())
        kind = metadata.pop(KIND_KEY, None) or TRANSPORT.get(error.code(), "InternalError")
        return Failure(error.code(), error.details() or "", str(kind), metadata)
    if out_of_memory(error):
        error = errors.OutOfMemory("out of memory: explain fewer or smaller pictures at once")
    code = next((STATUS[c] for c in type(error).__mro__ if c in STATUS), None)
    if code is not None:
        text = str(error).encode(errors="replace")[:MAX_TEXT_BYTES].decode(errors="ignore")
        return Failure(code, text, type(error).__name__)
    if "identity" not in vars(error):  # once, however often it is asked
        vars(error)["identity"] = secrets.token_hex(4)
        log.error("internal error, id %s", vars(error)["identity"], exc_info=error)
    text = f"internal error, id {vars(error)['identity']}: look it up in the service's log"
    return Failure(StatusCode.INTERNAL, text, "InternalError")


Room = AbstractAsyncContextManager[Callable[[int], None]]


@asynccontextmanager
async def _any_room(_: str) -> AsyncIterator[Callable[[int], None]]:
    yield lambda size: None


def out_of_memory(error: BaseException | None) -> bool:
    """Tell whether an error of Python says that there is no memory left, if only for a thread."""
    no_thread = isinstance(error, RuntimeError) and "can't start new thread" in str(error)
    return no_thread or isinstance(error, MemoryError)


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Ends a call that raised, with the error's status, text, kind and details.

    It comes before the interceptors whose errors are to be told as well. It also reads the
    requests: gRPC calls one that it cannot read an internal error, and never ends a call that came
    without the one that it should have.

    room: holds room for a request of a method, from before it is read until the call has ended; it
    yields what is to be told the request's size.
    """

    def __init__(self, room: Callable[[str], Room] | None = None) -> None:
        self._room = room or _any_room

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return the call's handler, wrapped to report its errors."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None:
            handler = grpc.stream_stream_rpc_method_handler(_no_such_call)
        guard, serializer = _Guard(method, handler, self._room), handler.response_serializer
        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(guard.stream, None, serializer)
        return grpc.stream_unary_rpc_method_handler(guard.single, None, serializer)


class _Guard:
    """The behaviors of one call, which take its requests as a stream of bytes."""

    def __init__(self, method: str, handler: Any, room: Callable[[str], Room]) -> None:
        self._call = method.rpartition("/")[2]
        self._method = method
        self._room = room
        self._deserializer = handler.request_deserializer or (lambda data: data)
        self._streaming = handler.request_streaming
        self._read_one = False
        ways = (handler.request_streaming, handler.response_streaming)
        self._behavior = getattr(handler, "_".join("stream" if way else "unary" for way in ways))

    async def single(self, messages: AsyncIterator[bytes], context: Any) -> Any:
        """Return the response of a call."""
        try:
            async with AsyncExitStack() as held:
                return await self._behavior(await self._request(messages, held), context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            await self._abort(context, error)

    async def stream(self, messages: AsyncIterator[bytes], context: Any) -> AsyncIterator[Any]:
        """Yield the responses of a call."""
        try:
            async with AsyncExitStack() as held:
                responses = self._behavior(await self._request(messages, held), context)
                if not hasattr(responses, "__aiter__"):  # it writes to the context
                    await responses
                    return
                async for response in responses:
                    yield response
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            await self._abort(context, error)

    async def _request(self, messages: Any, held: AsyncExitStack) -> Any:
        """Return the request, or a stream of them, once `held` has room for it."""
        if self._streaming:
            return self._read_all(messages, held)
        keep = await held.enter_async_context(self._room(self._method))
        # gRPC's generator would take a task of its own to end, once it is collected.
        async with aclosing(aiter(messages)) as requests:
            async for message in requests:
                keep(len(message))
                return self._read(message)
        raise errors.InputError(f"{self._call} came without a request: send one message")

    async def _read_all(
        self, messages: AsyncIterator[bytes], held: AsyncExitStack
    ) -> AsyncIterator[Any]:
        keep = await held.enter_async_context(self._room(self._method))
        async for message in messages:
            keep(MAX_REQUEST_BYTES)  # the next one may be large
            yield self._read(message)

    def _read(self, message: bytes) -> Any:
        self._read_one = True
        try:
            return self._deserializer(message)
        except DecodeError as e:
            raise errors.InputError(
                f"the request is no message of {self._call}: send what the service's proto files "
                "declare"
            ) from e

    async def _abort(self, context: Any, error: Exception) -> NoReturn:
        if isinstance(error, errors.InputError) and (self._streaming or not self._read_one):
            await _require_whole_messages(context)
        if isinstance(error, NotImplementedError) and context.code():  # a generated stub's
            error = errors.UnknownCall(
                f"this service does not offer {self._call}; in one process (`--in-process`) it has "
                "only the calls on models"
            )
        end = failure(error)
        metadata = dict(context.trailing_metadata() or ()) | {KIND_KEY: end.kind, **end.metadata}
        if DETAILS_KEY not in metadata:
            metadata[DETAILS_KEY] = status_details(end.code, end.text, end.kind, self._method)
        _drop_frames(error)
        await context.abort(end.code, end.text, tuple(metadata.items()))
        raise error  # not reached: `abort` raises


async def _require_whole_messages(context: Any) -> None:
    """Raise CancelledError, with the status for the log, if gRPC has ended the call itself.

    It does so with a message that is too large, or cannot be decompressed; here it only looks as if
    the client had sent no more.
    """
    try:
        await asyncio.sleep(LOST_SECONDS)
    except asyncio.CancelledError:
        context.set_code(StatusCode.RESOURCE_EXHAUSTED)
        context.set_trailing_metadata(((KIND_KEY, "RequestTooLarge"),))
        raise


def _drop_frames(error: BaseException) -> None:
    """Let go of an error's frames, whose arrays would live until cycles are collected.

    The frames hold the futures that hold the error. Its causes can form a ring.
    """
    left, seen = [error], set()
    while left:
        one = left.pop()
        if id(one) not in seen:
            seen.add(id(one))
            one.__traceback__ = None
            left += [cause for cause in (one.__cause__, one.__context__) if cause is not None]


async def _no_such_call(_: Any, context: Any) -> AsyncIterator[bytes]:
    raise errors.UnknownCall(
        "the service has no such call: it may be older than the client, or the call an extension "
        "that it does not offer"
    )
    yield b""
