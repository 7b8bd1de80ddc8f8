"""The calls of ExplainService: each converts its request, delegates, and converts the answer."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakSet

import grpc

from onnxplain.engine import METHODS, Engine, evaluate
from onnxplain.graphops import check, convolutionalize, layers, load, rewrite
from onnxplain.graphops.errors import AnswerTooLarge
from onnxplain.server import requests, responses, views
from onnxplain.server.models import Models
from onnxplain.server.progress import News
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import explain_pb2_grpc

__all__ = ["MAX_ANSWER_BYTES", "ExplainServicer"]

MAX_VIEW_BYTES = 2**30  # what one view may hold of attributions, all of them at once
MAX_ANSWER_BYTES = 4 * 2**20  # what a gRPC client takes in one message unless told otherwise

Context = grpc.aio.ServicerContext[Any, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """How long a call may still take, and whether its client has gone."""

    deadline: float | None
    gone: threading.Event

    @property
    def timeout(self) -> float | None:
        """The seconds that are left, measured when asked: a call may have waited for a worker."""
        return None if self.deadline is None else self.deadline - time.monotonic()


class ExplainServicer(explain_pb2_grpc.ExplainServiceServicer):
    """Answers from a folder of models. All work is done by `workers`, none on the event loop."""

    def __init__(self, models: Models, engine: Engine, workers: Executor) -> None:
        self._models = models
        self._engine = engine
        self._workers = workers
        self._running: WeakSet[threading.Event] = WeakSet()

    def cancel(self) -> None:
        """Let every call that is running end now, as if its client had gone."""
        for gone in list(self._running):
            gone.set()

    def _call(self, context: Context) -> Call:
        remaining = context.time_remaining()
        gone = threading.Event()
        context.add_done_callback(lambda _: gone.set())  # type: ignore[arg-type]  # its stub slips
        self._running.add(gone)
        return Call(None if remaining is None else time.monotonic() + remaining, gone)

    async def ListModels(
        self, request: pb.ListModelsRequest, context: Context
    ) -> pb.ListModelsResponse:
        """List every version of every model."""
        found = await self._work(self._models.all)
        return pb.ListModelsResponse(models=[responses.model_message(model) for model in found])

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.Model:
        """Return one version of a model."""
        return responses.model_message(await self._work(self._models.get, request.name))

    async def ListLayers(
        self, request: pb.ListLayersRequest, context: Context
    ) -> pb.ListLayersResponse:
        """List the layers of a model."""
        return await self._work(self._list_layers, request)

    async def ListMethods(
        self, request: pb.ListMethodsRequest, context: Context
    ) -> pb.ListMethodsResponse:
        """List the methods of Explain and their options."""
        return pb.ListMethodsResponse(methods=map(responses.method_message, METHODS.values()))

    async def Check(self, request: pb.CheckRequest, context: Context) -> pb.CheckResponse:
        """Say whether a layer can be explained."""
        return await self._work(self._check, request)

    async def Rewrite(
        self, request: pb.RewriteRequest, context: Context
    ) -> AsyncIterator[pb.RewriteResponse]:
        """Stream a rewritten model."""
        async for part in self._stream(self._rewrite(request)):
            yield part

    async def Explain(self, request: pb.ExplainRequest, context: Context) -> pb.ExplainResponse:
        """Explain units of a layer, in one message."""
        return await self._work(self._explain, request, self._call(context))

    async def ExplainUnits(
        self, request: pb.ExplainRequest, context: Context
    ) -> AsyncIterator[pb.ExplainUnitsResponse]:
        """Explain units of a layer, streamed as they are computed."""
        news = News(lambda progress: pb.ExplainUnitsResponse(progress=progress))
        parts = self._explain_units(request, self._call(context), news)
        async for part in self._stream(parts, news):
            yield part

    async def View(
        self, request: pb.ViewRequest, context: Context
    ) -> AsyncIterator[pb.ViewResponse]:
        """Stream the progress of a view, then the view."""
        news = News(lambda progress: pb.ViewResponse(progress=progress))
        async for part in self._stream(self._view(request, self._call(context), news), news):
            yield part

    async def Evaluate(
        self, request: pb.EvaluateRequest, context: Context
    ) -> AsyncIterator[pb.EvaluateResponse]:
        """Stream the progress of an evaluation, then what it found of each method."""
        news = News(lambda progress: pb.EvaluateResponse(progress=progress))
        async for part in self._stream(self._evaluate(request, self._call(context), news), news):
            yield part

    async def Convolutionalize(
        self, request: pb.ConvolutionalizeRequest, context: Context
    ) -> AsyncIterator[pb.RewriteResponse]:
        """Stream a classifier that takes larger pictures."""
        async for part in self._stream(self._convolutionalize(request)):
            yield part

    def _list_layers(self, request: pb.ListLayersRequest) -> pb.ListLayersResponse:
        with self._models.use(request.model) as (_, path):
            found = layers(load(path), tuple(request.size) or None)
        return pb.ListLayersResponse(layers=[responses.layer_message(layer) for layer in found])

    def _check(self, request: pb.CheckRequest) -> pb.CheckResponse:
        with self._models.use(request.model) as (_, path):
            return responses.check_response(check(load(path), **requests.check_arguments(request)))

    def _rewrite(self, request: pb.RewriteRequest) -> Iterator[pb.RewriteResponse]:
        with self._models.use(request.model) as (_, path):
            artefact = rewrite(load(path), **requests.rewrite_arguments(request))
        yield from responses.rewrite_parts(artefact.SerializeToString())

    def _explain(self, request: pb.ExplainRequest, call: Call) -> pb.ExplainResponse:
        engine = self._engine.limited(call.timeout, call.gone, MAX_ANSWER_BYTES)
        with self._models.use(request.model) as (name, path):
            result = engine.explain(str(path), **requests.explain_arguments(request))
        answer = responses.explain_response(name, result, request.return_pictures)
        if answer.ByteSize() > MAX_ANSWER_BYTES:
            raise AnswerTooLarge(
                f"the answer is over the {MAX_ANSWER_BYTES} bytes that one message may have: call "
                "ExplainUnits, which streams it, or ask for fewer images or units"
            )
        return answer

    def _explain_units(
        self, request: pb.ExplainRequest, call: Call, news: News[pb.ExplainUnitsResponse]
    ) -> Iterator[pb.ExplainUnitsResponse]:
        engine = self._engine.limited(call.timeout, call.gone)
        with self._models.use(request.model) as (name, path):
            arguments = requests.explain_arguments(request)
            pieces = engine.explain_units(
                str(path), **arguments, progress=news.count, passes=news.runs
            )
            yield from responses.explain_parts(
                name, pieces, request.return_pictures, lambda: news.total
            )

    def _view(
        self, request: pb.ViewRequest, call: Call, news: News[pb.ViewResponse]
    ) -> Iterator[pb.ViewResponse]:
        asked = views.view_call(request)
        engine = self._engine.limited(call.timeout, call.gone, MAX_VIEW_BYTES)
        with self._models.use_all(asked.models) as used:
            view = asked.compute(engine, [str(path) for _, path in used], news)
            yield from views.view_parts(view)

    def _evaluate(
        self, request: pb.EvaluateRequest, call: Call, news: News[pb.EvaluateResponse]
    ) -> Iterator[pb.EvaluateResponse]:
        engine = self._engine.limited(call.timeout, call.gone)
        arguments = views.evaluate_arguments(request)
        with self._models.use(request.model) as (_, path):
            found = evaluate(engine, str(path), **arguments, progress=news.steps)
        yield from views.evaluate_parts(found)

    def _convolutionalize(
        self, request: pb.ConvolutionalizeRequest
    ) -> Iterator[pb.RewriteResponse]:
        with self._models.use(request.model) as (_, path):
            made = convolutionalize(load(path), views.size_of(request))
        yield from responses.rewrite_parts(made.SerializeToString())

    async def _work(self, function: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, function, *arguments)

    async def _stream(self, parts: Iterator[T], news: News[T] | None = None) -> AsyncIterator[T]:
        """Yield the parts, each asked for once the one before has gone, and news as they come."""
        while True:
            part = asyncio.ensure_future(self._work(next, parts, None))
            if news is not None:
                async for message in news.until(part):
                    yield message
            if (done := await part) is None:
                return
            yield done
