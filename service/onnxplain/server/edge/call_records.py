"""The record of each call, from its first byte to its status, and the interceptor that keeps it."""

from __future__ import annotations

import math
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import grpc
from grpc import StatusCode

from onnxplain.server.caller import CALLER, Caller

__all__ = ["CallInterceptor", "CallRecord", "host_of", "note_model", "wrapped"]

Context = grpc.aio.ServicerContext[Any, Any]
Behavior = Callable[[Any, Context], Any]

KINDS = {
    (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
    (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
    (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
    (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
}


@dataclass
class CallRecord:
    """What is known of a call: when it has ended, all of it.

    method: such as "/onnxplain.v1.ExplainService/View". peer: the client's address. request_id:
    the client's `x-request-id`, or one of ours. traceparent: its header of that name, or "".
    caller: the name of its token, or its host. model: the full name of the model, where that
    exists. status: the name of the gRPC status. kind: of the error, or "". bytes_in, bytes_out: of
    all messages. started_ns: on the clock of the wall. seconds: how long it took. worker: what the
    worker says of the call, by the names of the trailing metadata without "onnxplain-"; numbers
    where they are.
    """

    method: str
    peer: str
    request_id: str
    traceparent: str = ""
    caller: str = ""
    model: str = ""
    status: str = "OK"
    kind: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    started_ns: int = field(default_factory=time.time_ns)
    seconds: float = 0.0
    worker: dict[str, float | str] = field(default_factory=dict)


RECORD: ContextVar[CallRecord | None] = ContextVar("onnxplain_call", default=None)


def note_model(name: str) -> None:
    """Record the full name of the model that the running call is about, once it is known."""
    if record := RECORD.get():
        record.model = name


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Records each call, and hands the record to `observers` when the call has ended.

    It comes first of the interceptors, so that it sees the status that the others give.

    name: returns the name of a call's client, "" for one that is known by its host.
    """

    def __init__(
        self,
        observers: Sequence[Callable[[CallRecord], None]],
        name: Callable[[Context], str] = lambda _: "",
    ) -> None:
        self._observers = observers
        self._name = name

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return the call's handler, wrapped to record it."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method

        def begin(context: Context) -> CallRecord:
            return self._begin(method, context)

        return wrapped(handler, begin)

    def _begin(self, method: str, context: Context) -> CallRecord:
        metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
        identity = metadata.get("x-request-id", "")
        if not re.fullmatch(r"[\w.:/+=-]{1,128}", identity, re.ASCII):
            identity = secrets.token_hex(8)
        peer = unquote(context.peer())
        caller = self._name(context) or host_of(peer)
        record = CallRecord(method, peer, identity, metadata.get("traceparent", ""), caller)
        RECORD.set(record)
        CALLER.set(Caller(record.caller, request_id=identity))
        start = time.monotonic()

        def end(context: Any) -> None:
            record.seconds = time.monotonic() - start
            record.status = _status(context)
            for key, value in context.trailing_metadata() or ():
                if key == "onnxplain-error":
                    record.kind = str(value)
                elif key.startswith("onnxplain-"):
                    record.worker[key.removeprefix("onnxplain-")] = _fact(str(value))
            for observe in self._observers:
                observe(record)

        context.add_done_callback(end)  # type: ignore[arg-type]  # wrong stub
        return record


def wrapped(handler: Any, begin: Callable[[Context], CallRecord | None]) -> Any:
    """Return a handler that runs `begin` before the behaviour of another, in the call's context.

    handler: of any kind, for bytes or messages. begin: may raise, and returns the record in which
    the bytes of the messages are counted, if they are to be.
    """
    kind, make = KINDS[handler.request_streaming, handler.response_streaming]
    behave: Behavior = getattr(handler, kind)

    async def single(request: Any, context: Context) -> Any:
        record = begin(context)
        answer = behave(_received(request, record), context)
        del request  # whoever needs it has it: it may be large
        response = await answer
        _count(record, "bytes_out", response)
        return response

    async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
        record = begin(context)
        responses = behave(_received(request, record), context)
        del request
        if not hasattr(responses, "__aiter__"):  # it writes to the context, as health's Watch does
            await responses
            return
        async for response in responses:
            _count(record, "bytes_out", response)
            yield response

    return make(
        stream if handler.response_streaming else single,
        handler.request_deserializer,
        handler.response_serializer,
    )


def host_of(peer: str) -> str:
    """Return the host of a peer such as "ipv4:10.0.0.7:41234", "unix" for a Unix socket."""
    family, _, address = peer.partition(":")
    return address.rpartition(":")[0].strip("[]") if family.startswith("ip") else family


def _received(request: Any, record: CallRecord | None) -> Any:
    """Count a request, or each of a stream of them."""
    if record is None or not hasattr(request, "__aiter__"):
        _count(record, "bytes_in", request)
        return request

    async def counted() -> AsyncIterator[Any]:
        async with aclosing(aiter(request)) as requests:
            async for each in requests:
                _count(record, "bytes_in", each)
                yield each

    return counted()


def _count(record: CallRecord | None, name: str, message: Any) -> None:
    if record is not None and message is not None:
        size = len(message) if isinstance(message, bytes) else message.ByteSize()
        setattr(record, name, getattr(record, name) + size)


def _fact(text: str) -> float | str:
    """Return a number as one, and other text as it is."""
    try:
        value = float(text)
    except ValueError:
        return text
    if not math.isfinite(value):
        return text
    return int(value) if value.is_integer() and "." not in text else value


def _status(context: Any) -> str:
    code: StatusCode | None = context.code()
    if not context.done() and not code:  # ended by the client, or by its deadline
        late = context.time_remaining() == 0
        return (StatusCode.DEADLINE_EXCEEDED if late else StatusCode.CANCELLED).name
    return (code or StatusCode.OK).name
