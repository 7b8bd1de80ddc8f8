"""The edge's gRPC server: it listens for clients, and forwards their calls to workers."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from onnxplain.registry import FolderSource
from onnxplain.server.edge.blame import Blame
from onnxplain.server.edge.catalogue import Catalogue
from onnxplain.server.edge.descriptions import ModelDescriptions
from onnxplain.server.edge.forwarding import SERVICES, Forwarding
from onnxplain.server.edge.front import Front
from onnxplain.server.edge.model_health import ModelHealth
from onnxplain.server.edge.operations import Operations
from onnxplain.server.edge.store import Store
from onnxplain.server.edge.uploads import Uploads
from onnxplain.server.edge.workers import Workers
from onnxplain.server.settings import Settings

__all__ = ["Gateway", "start_gateway"]

LAST_SECONDS = 2.0  # for calls that are ended to send their status
NAMES = tuple(service.full_name for service in SERVICES)


class Gateway:
    """An edge, at `address`, the first that it listens on; `metrics` has its HTTP pages, if any.

    Raises MissingFile, OptionError or ServiceError where the settings cannot be.
    """

    def __init__(self, settings: Settings) -> None:
        self._leaving = AsyncExitStack()
        blame = Blame(lambda name: self._catalogue.stamp(name))
        self._workers = Workers(settings, blame)
        store = None
        if settings.store is not None:  # which makes the folder, before it is a source
            store = Store(settings.store)
            self._leaving.callback(store.close)
        sources = [FolderSource(folder) for folder in settings.folders]
        self._catalogue = Catalogue(sources, self._workers, warm=settings.warm)
        self._front = Front(settings, self._workers)
        self._server = self._front.server()
        self.address = self._front.bind(self._server)[0]
        uploads = Uploads(store, self._catalogue, self._workers, settings.max_model_bytes)
        descriptions = ModelDescriptions(self._catalogue, self._workers, blame.problem)
        self._operations = Operations(self._workers, self._catalogue.resolve, settings)
        for stop in (self._front.stop, self._end_server, self._workers.stop, self._catalogue.stop):
            self._leaving.push_async_callback(stop)
        self._leaving.push_async_callback(self._operations.stop)
        own = uploads.handlers() | descriptions.handlers() | self._operations.handlers()
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(NAMES[0], own),
                Forwarding(self._workers, self._catalogue),
            )
        )
        self._health = ModelHealth(NAMES, self._workers, self._catalogue, blame.problem)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            (*NAMES, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )

    @property
    def metrics(self) -> str:
        """The address of the HTTP pages, "" if there are none."""
        return self._front.metrics

    async def start(self) -> None:
        """Start the workers, and then listen. Raises OnnxplainError."""
        try:
            await self._front.start()
            await self._workers.start()
            await self._catalogue.start()
            await self._operations.start()
            await self._server.start()
        except BaseException:
            await self._leaving.aclose()
            raise

    async def stop(self, grace: float) -> None:
        """Accept no new calls, let running ones finish within `grace` seconds, end the workers."""
        self._front.drain()
        self._health.drain()
        # After its grace period gRPC drops calls mid-message: ended before, they have a status.
        stopped = asyncio.ensure_future(self._server.stop(grace + LAST_SECONDS))
        await asyncio.wait([stopped], timeout=grace)
        await self._leaving.aclose()

    async def _end_server(self) -> None:
        await self._server.stop(LAST_SECONDS)


async def start_gateway(settings: Settings) -> Gateway:
    """Start an edge and its workers, in the running event loop.

    Args:
        settings: of the service.

    Returns:
        The running edge; stop it with `Gateway.stop`.

    Raises:
        MissingFile, OptionError, DeviceError, ServiceError: as `onnxplain.server.start` does.
    """
    gateway = Gateway(settings)
    await gateway.start()
    return gateway
