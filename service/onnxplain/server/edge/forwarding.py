"""Calls on models, forwarded to workers as bytes; only the models' names are read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Protocol

import grpc
from google.protobuf.message import DecodeError

from onnxplain.server.edge.request_models import (
    INFERENCE,
    named_model,
    other_models,
    with_model,
    with_others,
)
from onnxplain.server.edge.workers import Workers, caller_metadata
from onnxplain.v1 import explain_pb2

__all__ = ["Forwarding", "Names"]

SERVICES = [explain_pb2.DESCRIPTOR.services_by_name["ExplainService"], INFERENCE]
# The methods with one request, and whether a stream of responses follows.
STREAMS = {
    f"/{service.full_name}/{method.name}": method.server_streaming
    for service in SERVICES
    for method in service.methods
    if not method.client_streaming
}

Context = grpc.aio.ServicerContext[bytes, bytes]


class Names(Protocol):
    """Knows the models' names."""

    async def resolve(self, name: str) -> str:
        """Return the full name of the version that `name` means. Raises InputError."""


class Forwarding(grpc.GenericRpcHandler):
    """Handles every call of the services that no handler before it takes.

    workers: take the calls. names: resolves the names of models.
    """

    def __init__(self, workers: Workers, names: Names) -> None:
        self._workers = workers
        self._names = names

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Return the handler of a method, None if it is not one of the services'."""
        method = handler_call_details.method
        match STREAMS.get(method):
            case True:
                return grpc.unary_stream_rpc_method_handler(partial(self._stream, method))
            case False:
                return grpc.unary_unary_rpc_method_handler(partial(self._unary, method))
        return None

    async def _unary(self, method: str, request: bytes, context: Context) -> bytes:
        model, _, request = await self._route(method, request)
        async with self._workers.lend(model, method) as link:
            call = link.unary(method)(
                request, timeout=context.time_remaining(), metadata=caller_metadata()
            )
            response: bytes = await call
            if header := await call.initial_metadata():
                await context.send_initial_metadata(tuple(header))
            context.set_trailing_metadata(tuple(await call.trailing_metadata()))
            return response

    async def _stream(self, method: str, request: bytes, context: Context) -> AsyncIterator[bytes]:
        model, others, request = await self._route(method, request)
        async with self._workers.lend(model, method, others) as link:
            call = link.stream(method)(
                request, timeout=context.time_remaining(), metadata=caller_metadata()
            )
            try:
                if header := await call.initial_metadata():
                    await context.send_initial_metadata(tuple(header))
                async for response in call:
                    yield response
            finally:
                call.cancel()
            context.set_trailing_metadata(tuple(await call.trailing_metadata()))

    async def _route(self, method: str, request: bytes) -> tuple[str, list[str], bytes]:
        """Return the full names of a request's model and others, and the request with these."""
        try:
            model, others = named_model(method, request), other_models(method, request)
        except DecodeError:
            return "", [], request  # any worker will say what is wrong with it
        if not model:
            return "", [], request
        if others:
            others = [await self._names.resolve(other) for other in others]
            request = with_others(request, others)
        model = await self._names.resolve(model)  # at last: it is the one that is logged
        return model, others, with_model(method, request, model)
