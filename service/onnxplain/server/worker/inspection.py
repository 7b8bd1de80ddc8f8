"""The calls of WorkerService: what the edge asks of a worker on its own account."""

from __future__ import annotations

import asyncio
from pathlib import Path, PurePosixPath
from typing import Any

import grpc

from onnxplain.engine import Engine
from onnxplain.engine.runtime import Session, load_session
from onnxplain.graphops import load
from onnxplain.graphops.errors import InputError, MissingFile
from onnxplain.server.worker import responses
from onnxplain.server.worker.models import Models, describe, naming
from onnxplain.server.worker.scheduler import Scheduler
from onnxplain.server.worker.servicer import serving
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import worker_pb2, worker_pb2_grpc

__all__ = ["WorkerServicer"]

REST_SECONDS = 0.05  # between two looks

Context = grpc.aio.ServicerContext[Any, Any]


class WorkerServicer(worker_pb2_grpc.WorkerServiceServicer):
    """Looks at models for the edge. All work runs in turns of `scheduler`.

    store: the folder that uploads go to, None if there is none.
    """

    def __init__(
        self, models: Models, engine: Engine, scheduler: Scheduler, store: Path | None
    ) -> None:
        self._models = models
        self._engine = engine
        self._scheduler = scheduler
        self._store = store

    async def Inspect(
        self, request: worker_pb2.InspectRequest, context: Context
    ) -> worker_pb2.InspectResponse:
        """Describe a file that is to become a model, once it has been opened."""
        with serving(context) as call:
            model = await self._scheduler.run(call, self._inspect, request)
            return worker_pb2.InspectResponse(model=model)

    async def Warm(
        self, request: worker_pb2.WarmRequest, context: Context
    ) -> worker_pb2.WarmResponse:
        """Open a model."""
        with serving(context) as call:
            await self._scheduler.run(call, self._warm, request.model)
            return worker_pb2.WarmResponse()

    async def Rest(
        self, request: worker_pb2.RestRequest, context: Context
    ) -> worker_pb2.RestResponse:
        """Wait until no work runs."""
        while self._scheduler.busy:
            await asyncio.sleep(REST_SECONDS)
        return worker_pb2.RestResponse()

    def _inspect(self, request: worker_pb2.InspectRequest) -> pb.Model:
        path = self._staged(request.file)
        with naming([(request.name, path)]):
            try:
                data = path.read_bytes()
            except OSError as e:
                raise MissingFile(
                    f"a worker cannot read the file of '{request.name}': {e.strerror}; every "
                    "worker must see the store at the same path as the service"
                ) from e
            # Read as bytes, the model may refer to no other file.
            model = load(data)
            # It must run, with the operators that ONNX Runtime has, though none may explain it.
            load_session(model, self._engine.device, self._engine.threads)
            return responses.model_message(describe(request.name, model, len(data)))

    def _staged(self, file: str) -> Path:
        relative = PurePosixPath(file)
        if self._store is None or relative.is_absolute() or ".." in relative.parts:
            raise InputError("the file is not in this worker's store")
        return self._store / relative

    def _warm(self, name: str) -> None:
        with self._models.use(name) as (_, path):
            opened = self._engine.open(path)
            _ = opened.layers  # known from now on
            Session(opened.model, self._engine.device, self._engine.threads)
