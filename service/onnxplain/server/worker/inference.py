"""The calls of the Open Inference Protocol: run a model as it is, or explain what it finds."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

import grpc

from onnxplain.engine import Engine
from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.metadata import package_version
from onnxplain.inference import open_inference_pb2 as pb
from onnxplain.inference import open_inference_pb2_grpc
from onnxplain.registry import parse_name
from onnxplain.server.resource_names import model_resource
from onnxplain.server.worker.inference_explanation import explain
from onnxplain.server.worker.inference_parameters import explanation_of
from onnxplain.server.worker.inference_tensors import (
    MAX_INFERENCE_BYTES,
    input_arrays,
    requested_outputs,
    tensor_metadata,
    with_outputs,
)
from onnxplain.server.worker.models import Models
from onnxplain.server.worker.servicer import Call

__all__ = ["InferenceServicer"]

Context = grpc.aio.ServicerContext[Any, Any]
T = TypeVar("T")


class InferenceServicer(open_inference_pb2_grpc.GRPCInferenceServiceServicer):
    """Serves a folder of models. All work runs on `workers`, none on the event loop."""

    def __init__(self, models: Models, engine: Engine, workers: Executor) -> None:
        self._models = models
        self._engine = engine
        self._workers = workers

    async def ServerLive(
        self, request: pb.ServerLiveRequest, context: Context
    ) -> pb.ServerLiveResponse:
        """Tell that the service answers."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(
        self, request: pb.ServerReadyRequest, context: Context
    ) -> pb.ServerReadyResponse:
        """Tell that the service runs models."""
        return pb.ServerReadyResponse(ready=True)

    async def ModelReady(
        self, request: pb.ModelReadyRequest, context: Context
    ) -> pb.ModelReadyResponse:
        """Tell whether a model can be read."""
        name = model_resource(request.name, request.version)
        served = await self._work(self._models.get, name)
        return pb.ModelReadyResponse(ready=not served.problem)

    async def ServerMetadata(
        self, request: pb.ServerMetadataRequest, context: Context
    ) -> pb.ServerMetadataResponse:
        """Return the service's name and version."""
        return pb.ServerMetadataResponse(
            name="onnxplain", version=package_version(), extensions=["explanation"]
        )

    async def ModelMetadata(
        self, request: pb.ModelMetadataRequest, context: Context
    ) -> pb.ModelMetadataResponse:
        """Return a model's versions, inputs and outputs."""
        return await self._work(self._metadata, request)

    async def ModelInfer(
        self, request: pb.ModelInferRequest, context: Context
    ) -> pb.ModelInferResponse:
        """Run a model, and explain it if a method is named."""
        return await self._work(self._infer, request, _call(context))

    def _metadata(self, request: pb.ModelMetadataRequest) -> pb.ModelMetadataResponse:
        served = self._models.get(model_resource(request.name, request.version))
        if served.problem:
            raise UnsupportedModel(served.problem)
        return pb.ModelMetadataResponse(
            name=parse_name(served.name)[0],
            versions=self._models.versions(served.name),
            platform="onnx_onnxv1",
            inputs=map(tensor_metadata, served.inputs),
            outputs=map(tensor_metadata, served.outputs),
        )

    def _infer(self, request: pb.ModelInferRequest, call: Call) -> pb.ModelInferResponse:
        explanation = explanation_of(request.parameters)
        inputs = input_arrays(request)
        wanted = requested_outputs(request)
        engine = self._engine.limited(call.timeout, call.cancelled, MAX_INFERENCE_BYTES)
        resource = model_resource(request.model_name, request.model_version)
        with self._models.use(resource) as (name, path):
            opened = engine.open(str(path))
            if explanation is None:
                outputs, texts = engine.infer(opened, inputs, wanted), dict[str, str]()
            else:
                outputs, texts = explain(engine, opened, inputs, wanted, explanation)
        model, version = parse_name(name)
        response = pb.ModelInferResponse(
            model_name=model, model_version=version or "", id=request.id
        )
        for parameter, text in texts.items():
            response.parameters[parameter].string_param = text
        return with_outputs(response, outputs, raw=bool(request.raw_input_contents))

    async def _work(self, function: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, function, *arguments)


def _call(context: Context) -> Call:
    remaining = context.time_remaining()
    cancelled = threading.Event()
    context.add_done_callback(lambda _: cancelled.set())  # type: ignore[arg-type]  # wrong stub
    return Call(None if remaining is None else time.monotonic() + remaining, cancelled)
