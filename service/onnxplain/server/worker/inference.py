"""The calls of the Open Inference Protocol: run a model as it is, or explain what it finds."""

from __future__ import annotations

from typing import Any

import grpc

from onnxplain.engine import Engine
from onnxplain.graphops.metadata import package_version
from onnxplain.inference import open_inference_pb2 as pb
from onnxplain.inference import open_inference_pb2_grpc
from onnxplain.server.resource_names import model_resource
from onnxplain.server.worker.inference_runs import InferenceRuns, WantedInference
from onnxplain.server.worker.models import Models
from onnxplain.server.worker.scheduler import Scheduler
from onnxplain.server.worker.servicer import serving

__all__ = ["InferenceServicer"]

Context = grpc.aio.ServicerContext[Any, Any]


class InferenceServicer(open_inference_pb2_grpc.GRPCInferenceServiceServicer):
    """Serves a folder of models. All work runs on threads, in turns of `scheduler`."""

    def __init__(self, models: Models, engine: Engine, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._runs = InferenceRuns(models, engine)

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
        with serving(context) as call:
            ready = await self._scheduler.aside(call, self._runs.ready, name)
            return pb.ModelReadyResponse(ready=ready)

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
        name = model_resource(request.name, request.version)
        with serving(context) as call:
            return await self._scheduler.aside(call, self._runs.metadata, name)

    async def ModelInfer(
        self, request: pb.ModelInferRequest, context: Context
    ) -> pb.ModelInferResponse:
        """Run a model, and explain it if a method is named."""
        with serving(context) as call:
            wanted = WantedInference.of(request)
            run = self._runs.infer
            return await self._scheduler.together(call, wanted.key, wanted.images, wanted, run)
