"""The calls of ExplainService: check the request's bounds, and delegate the work in turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from onnxplain.engine import METHODS, Engine
from onnxplain.server.worker import responses
from onnxplain.server.worker.batching import explain_key
from onnxplain.server.worker.bounds import check_bounds
from onnxplain.server.worker.calls import Call, call_of
from onnxplain.server.worker.computations import Computations
from onnxplain.server.worker.models import Models
from onnxplain.server.worker.progress import ProgressQueue
from onnxplain.server.worker.scheduler import Scheduler
from onnxplain.server.worker.turns import Turn
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import explain_pb2_grpc

__all__ = ["ExplainServicer", "serving"]

Context = grpc.aio.ServicerContext[Any, Any]
T = TypeVar("T")


@contextmanager
def serving(context: Context, request: Message | None = None) -> Iterator[Call]:
    """Yield a call, and tell the client at its end what it has used.

    Args:
        context: gRPC's context of the call.
        request: a request whose bounds are to be checked.

    Yields:
        The call, once.

    Raises:
        InputError: the request exceeds a bound.
    """
    if request is not None:
        check_bounds(request)
    call = call_of(context)
    try:
        yield call
    finally:
        context.set_trailing_metadata(call.metadata())


class ExplainServicer(explain_pb2_grpc.ExplainServiceServicer):
    """Serves a folder of models. All work runs on threads, in turns of `scheduler`."""

    def __init__(self, models: Models, engine: Engine, scheduler: Scheduler) -> None:
        self._models = models
        self._scheduler = scheduler
        self._compute = Computations(models, engine)

    async def ListModels(
        self, request: pb.ListModelsRequest, context: Context
    ) -> pb.ListModelsResponse:
        """List every version of every model, or a page of them."""
        with serving(context, request) as call:
            page = self._models.page
            found, token = await self._scheduler.aside(
                call, page, request.page_size, request.page_token
            )
            models = map(responses.model_message, found)
            return pb.ListModelsResponse(models=models, next_page_token=token)

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.Model:
        """Return one version of a model."""
        with serving(context, request) as call:
            model = await self._scheduler.aside(call, self._models.get, request.name)
            return responses.model_message(model)

    async def ListLayers(
        self, request: pb.ListLayersRequest, context: Context
    ) -> pb.ListLayersResponse:
        """List the layers of a model."""
        with serving(context, request) as call:
            return await self._scheduler.run(call, self._compute.list_layers, request)

    async def ListMethods(
        self, request: pb.ListMethodsRequest, context: Context
    ) -> pb.ListMethodsResponse:
        """List the methods, each with its own options."""
        with serving(context, request):
            return pb.ListMethodsResponse(methods=map(responses.method_message, METHODS.values()))

    async def Check(self, request: pb.CheckRequest, context: Context) -> pb.CheckResponse:
        """Report whether a layer can be explained."""
        with serving(context, request) as call:
            return await self._scheduler.run(call, self._compute.check, request)

    async def Rewrite(
        self, request: pb.RewriteRequest, context: Context
    ) -> AsyncIterator[pb.RewriteResponse]:
        """Stream a rewritten model."""
        with serving(context, request) as call:
            turn = Turn(self._scheduler, call, long=True)
            async for part in _stream(turn, self._compute.rewrite(request)):
                yield part

    async def Explain(self, request: pb.ExplainRequest, context: Context) -> pb.ExplainResponse:
        """Explain units of a layer, in one message."""
        with serving(context, request) as call:
            key, size = explain_key(request), len(request.images)
            run = self._compute.explain
            return await self._scheduler.together(call, key, size, request, run)

    async def ExplainUnits(
        self, request: pb.ExplainRequest, context: Context
    ) -> AsyncIterator[pb.ExplainUnitsResponse]:
        """Explain units of a layer, streamed as they are computed."""
        with serving(context, request) as call:
            turn = Turn(self._scheduler, call, long=True)
            together = await self._scheduler.grant(
                turn,
                key=explain_key(request),
                size=len(request.images),
                member=request,
                run=self._compute.explain_units_together,
            )
            for part in together or ():
                yield part
            if together is None:
                progress = ProgressQueue(lambda some: pb.ExplainUnitsResponse(progress=some))
                parts = self._compute.explain_units(request, call, progress)
                async for part in _stream(turn, parts, progress):
                    yield part

    async def View(
        self, request: pb.ViewRequest, context: Context
    ) -> AsyncIterator[pb.ViewResponse]:
        """Stream the progress of a view, then the view."""
        progress = ProgressQueue(lambda message: pb.ViewResponse(progress=message))
        with serving(context, request) as call:
            turn = Turn(self._scheduler, call, long=True)
            parts = self._compute.view(request, call, progress)
            async for part in _stream(turn, parts, progress):
                yield part

    async def Evaluate(
        self, request: pb.EvaluateRequest, context: Context
    ) -> AsyncIterator[pb.EvaluateResponse]:
        """Stream the progress of an evaluation, then each method's measurements."""
        progress = ProgressQueue(lambda message: pb.EvaluateResponse(progress=message))
        with serving(context, request) as call:
            turn = Turn(self._scheduler, call, long=True)
            parts = self._compute.evaluate(request, call, progress)
            async for part in _stream(turn, parts, progress):
                yield part

    async def Convolutionalize(
        self, request: pb.ConvolutionalizeRequest, context: Context
    ) -> AsyncIterator[pb.RewriteResponse]:
        """Stream a classifier rewritten into a sliding window over larger pictures."""
        with serving(context, request) as call:
            turn = Turn(self._scheduler, call, long=True)
            async for part in _stream(turn, self._compute.convolutionalize(request)):
                yield part


async def _stream(
    turn: Turn, parts: Generator[T], progress: ProgressQueue[T] | None = None
) -> AsyncIterator[T]:
    """Yield the parts, each computed after the previous one was sent, and the progress."""
    try:
        while True:
            next_part = asyncio.ensure_future(turn.run(next, parts, None))
            if progress is not None:
                async for message in progress.until(next_part):
                    yield message
            if (part := await next_part) is None:
                return
            yield part
    finally:
        turn.end(parts.close)
