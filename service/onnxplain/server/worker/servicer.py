"""The calls of ExplainService: convert the request, delegate the work, convert the result."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakSet

import grpc

from onnxplain.engine import METHODS, Engine, bake_preprocess
from onnxplain.graphops import Network, check, convolutionalize, layers, rewrite
from onnxplain.graphops.errors import AnswerTooLarge, UnsupportedModel
from onnxplain.graphops.ir import fits
from onnxplain.server.worker import requests, responses, views
from onnxplain.server.worker.models import Models
from onnxplain.server.worker.progress import ProgressQueue
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import explain_pb2_grpc

__all__ = ["MAX_ANSWER_BYTES", "ExplainServicer"]

MAX_VIEW_BYTES = 2**30  # of attributions, all of which a view holds at once
MAX_ANSWER_BYTES = 4 * 2**20  # gRPC clients' default limit for one message

Context = grpc.aio.ServicerContext[Any, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """The deadline of a call, and an event that is set when its client disconnects."""

    deadline: float | None
    cancelled: threading.Event

    @property
    def timeout(self) -> float | None:
        """The seconds left now; a call may have waited for a worker."""
        return None if self.deadline is None else self.deadline - time.monotonic()


class ExplainServicer(explain_pb2_grpc.ExplainServiceServicer):
    """Serves a folder of models. All work runs on `workers`, none on the event loop."""

    def __init__(self, models: Models, engine: Engine, workers: Executor) -> None:
        self._models = models
        self._engine = engine
        self._workers = workers
        self._running: WeakSet[threading.Event] = WeakSet()

    def cancel(self) -> None:
        """End every running call, as if its client had disconnected."""
        for cancelled in list(self._running):
            cancelled.set()

    def _call(self, context: Context) -> Call:
        remaining = context.time_remaining()
        cancelled = threading.Event()
        context.add_done_callback(lambda _: cancelled.set())  # type: ignore[arg-type]  # wrong stub
        self._running.add(cancelled)
        return Call(None if remaining is None else time.monotonic() + remaining, cancelled)

    @contextmanager
    def _network(self, name: str) -> Iterator[Network]:
        """Yield a model's network, read and prepared once while its file does not change."""
        with self._models.use(name) as (_, path):
            yield self._engine.open(path).network

    async def ListModels(
        self, request: pb.ListModelsRequest, context: Context
    ) -> pb.ListModelsResponse:
        """List every version of every model, or a page of them."""
        found, token = await self._work(self._models.page, request.page_size, request.page_token)
        models = [responses.model_message(model) for model in found]
        return pb.ListModelsResponse(models=models, next_page_token=token)

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
        """List the methods, each with its own options."""
        return pb.ListMethodsResponse(methods=map(responses.method_message, METHODS.values()))

    async def Check(self, request: pb.CheckRequest, context: Context) -> pb.CheckResponse:
        """Report whether a layer can be explained."""
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
        progress = ProgressQueue(lambda message: pb.ExplainUnitsResponse(progress=message))
        parts = self._explain_units(request, self._call(context), progress)
        async for part in self._stream(parts, progress):
            yield part

    async def View(
        self, request: pb.ViewRequest, context: Context
    ) -> AsyncIterator[pb.ViewResponse]:
        """Stream the progress of a view, then the view."""
        progress = ProgressQueue(lambda message: pb.ViewResponse(progress=message))
        parts = self._view(request, self._call(context), progress)
        async for part in self._stream(parts, progress):
            yield part

    async def Evaluate(
        self, request: pb.EvaluateRequest, context: Context
    ) -> AsyncIterator[pb.EvaluateResponse]:
        """Stream the progress of an evaluation, then each method's measurements."""
        progress = ProgressQueue(lambda message: pb.EvaluateResponse(progress=message))
        parts = self._evaluate(request, self._call(context), progress)
        async for part in self._stream(parts, progress):
            yield part

    async def Convolutionalize(
        self, request: pb.ConvolutionalizeRequest, context: Context
    ) -> AsyncIterator[pb.RewriteResponse]:
        """Stream a classifier rewritten into a sliding window over larger pictures."""
        async for part in self._stream(self._convolutionalize(request)):
            yield part

    def _list_layers(self, request: pb.ListLayersRequest) -> pb.ListLayersResponse:
        with self._network(request.model) as network:
            found = layers(network, tuple(request.size) or None)
        return pb.ListLayersResponse(layers=[responses.layer_message(layer) for layer in found])

    def _check(self, request: pb.CheckRequest) -> pb.CheckResponse:
        with self._network(request.model) as network:
            return responses.check_response(check(network, **requests.check_arguments(request)))

    def _rewrite(self, request: pb.RewriteRequest) -> Iterator[pb.RewriteResponse]:
        with self._network(request.model) as network:
            artefact = rewrite(network, **requests.rewrite_arguments(request))
        if request.bake_preprocess:
            artefact = bake_preprocess(artefact, request.bake_preprocess)
        if not fits(artefact):
            raise UnsupportedModel(
                "the rewritten model exceeds 2 GiB, which no ONNX file in one piece can: write it "
                "where the network is, with `onnxplain rewrite`"
            )
        yield from responses.rewrite_parts(artefact.SerializeToString())

    def _explain(self, request: pb.ExplainRequest, call: Call) -> pb.ExplainResponse:
        engine = self._engine.limited(call.timeout, call.cancelled, MAX_ANSWER_BYTES)
        with self._models.use(request.model) as (name, path):
            result = engine.explain(str(path), **requests.explain_arguments(request))
        answer = responses.explain_response(name, result, request.return_pictures)
        if answer.ByteSize() > MAX_ANSWER_BYTES:
            raise AnswerTooLarge(
                f"the response exceeds {MAX_ANSWER_BYTES} bytes, the limit of one message: call "
                "ExplainUnits, which streams the result, or request fewer images or units"
            )
        return answer

    def _explain_units(
        self,
        request: pb.ExplainRequest,
        call: Call,
        progress: ProgressQueue[pb.ExplainUnitsResponse],
    ) -> Iterator[pb.ExplainUnitsResponse]:
        engine = self._engine.limited(call.timeout, call.cancelled)
        with self._models.use(request.model) as (name, path):
            arguments = requests.explain_arguments(request)
            pieces = engine.explain_units(
                str(path), **arguments, progress=progress.count, passes=progress.runs
            )
            yield from responses.explain_parts(
                name, pieces, request.return_pictures, lambda: progress.total
            )

    def _view(
        self, request: pb.ViewRequest, call: Call, progress: ProgressQueue[pb.ViewResponse]
    ) -> Iterator[pb.ViewResponse]:
        view_call = views.view_call(request)
        engine = self._engine.limited(call.timeout, call.cancelled, MAX_VIEW_BYTES)
        with self._models.use_all(view_call.models) as used:
            view = view_call.compute(engine, [str(path) for _, path in used], progress)
            yield from view_call.parts(view)

    def _evaluate(
        self, request: pb.EvaluateRequest, call: Call, progress: ProgressQueue[pb.EvaluateResponse]
    ) -> Iterator[pb.EvaluateResponse]:
        engine = self._engine.limited(call.timeout, call.cancelled)
        arguments = views.evaluate_arguments(request)
        with self._models.use(request.model) as (_, path):
            evaluations = engine.evaluate(str(path), **arguments, progress=progress.steps)
        yield from views.evaluate_parts(evaluations)

    def _convolutionalize(
        self, request: pb.ConvolutionalizeRequest
    ) -> Iterator[pb.RewriteResponse]:
        with self._network(request.model) as network:
            sliding = convolutionalize(network, views.size_of(request))
        yield from responses.rewrite_parts(sliding.SerializeToString())

    async def _work(self, function: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, function, *arguments)

    async def _stream(
        self, parts: Iterator[T], progress: ProgressQueue[T] | None = None
    ) -> AsyncIterator[T]:
        """Yield the parts, each computed after the previous one was sent, and the progress."""
        while True:
            next_part = asyncio.ensure_future(self._work(next, parts, None))
            if progress is not None:
                async for message in progress.until(next_part):
                    yield message
            if (part := await next_part) is None:
                return
            yield part
