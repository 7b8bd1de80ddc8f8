"""The calls of the Open Inference Protocol: run a model as it is, or explain what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc

from onnxplain.engine import Engine
from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.metadata import package_version
from onnxplain.inference import open_inference_pb2 as pb
from onnxplain.inference import open_inference_pb2_grpc
from onnxplain.registry import parse_name
from onnxplain.server.resource_names import model_resource
from onnxplain.server.worker.calls import Call, limited
from onnxplain.server.worker.inference_batches import images_of, infer_each, infer_key
from onnxplain.server.worker.inference_tensors import (
    MAX_INFERENCE_BYTES,
    tensor_metadata,
    with_outputs,
)
from onnxplain.server.worker.models import Models
from onnxplain.server.worker.scheduler import Scheduler
from onnxplain.server.worker.servicer import serving

__all__ = ["InferenceServicer"]

Context = grpc.aio.ServicerContext[Any, Any]


class InferenceServicer(open_inference_pb2_grpc.GRPCInferenceServiceServicer):
    """Serves a folder of models. All work runs on threads, in turns of `scheduler`."""

    def __init__(self, models: Models, engine: Engine, scheduler: Scheduler) -> None:
        self._models = models
        self._engine = engine
        self._scheduler = scheduler

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
        with serving(context) as call:
            name = model_resource(request.name, request.version)
            model = await self._scheduler.aside(call, self._models.get, name)
            return pb.ModelReadyResponse(ready=not model.problem)

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
        with serving(context) as call:
            return await self._scheduler.aside(call, self._metadata, request)

    async def ModelInfer(
        self, request: pb.ModelInferRequest, context: Context
    ) -> pb.ModelInferResponse:
        """Run a model, and explain it if a method is named."""
        with serving(context) as call:
            key, images = infer_key(request), images_of(request)
            return await self._scheduler.together(call, key, images, request, self._infer)

    def _metadata(self, request: pb.ModelMetadataRequest) -> pb.ModelMetadataResponse:
        model = self._models.get(model_resource(request.name, request.version))
        if model.problem:
            raise UnsupportedModel(model.problem)
        return pb.ModelMetadataResponse(
            name=parse_name(model.name)[0],
            versions=self._models.versions(model.name),
            platform="onnx_onnxv1",
            inputs=map(tensor_metadata, model.inputs),
            outputs=map(tensor_metadata, model.outputs),
        )

    def _infer(
        self, requests: Sequence[pb.ModelInferRequest], call: Call
    ) -> list[pb.ModelInferResponse | Exception]:
        """Run requests of one key together, or a single one."""
        first = requests[0]
        engine = limited(self._engine, call, MAX_INFERENCE_BYTES)
        resource = model_resource(first.model_name, first.model_version)
        with self._models.use(resource) as (name, path):
            found = infer_each(engine, engine.open(str(path)), requests)
        model, version = parse_name(name)
        responses: list[pb.ModelInferResponse | Exception] = []
        for request, result in zip(requests, found, strict=True):
            try:
                if isinstance(result, Exception):
                    raise result
                outputs, texts = result
                response = pb.ModelInferResponse(
                    model_name=model, model_version=version or "", id=request.id
                )
                for parameter, text in texts.items():
                    response.parameters[parameter].string_param = text
                raw = bool(request.raw_input_contents)
                responses.append(with_outputs(response, outputs, raw=raw))
            except Exception as e:
                responses.append(e)
        return responses
