"""The edge's gRPC server: it listens for clients, and forwards their calls to workers."""

from __future__ import annotations

import asyncio
import contextlib

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from onnxplain.registry import FolderSource
from onnxplain.server.edge.blame import Blame
from onnxplain.server.edge.catalogue import Catalogue
from onnxplain.server.edge.forwarding import SERVICES, Forwarding
from onnxplain.server.edge.front import Front
from onnxplain.server.edge.workers import Workers
from onnxplain.server.settings import Settings

__all__ = ["Gateway", "start_gateway"]

LAST_SECONDS = 2.0  # for calls that are ended to send their status


class Gateway:
    """A running edge, at `address`, the first that it listens on; `metrics` has the pages."""

    def __init__(
        self,
        address: str,
        front: Front,
        server: grpc.aio.Server,
        status: health.aio.HealthServicer,
        workers: Workers,
        catalogue: Catalogue,
    ) -> None:
        self.address = address
        self.metrics = front.metrics
        self._front = front
        self._server = server
        self._status = status
        self._workers = workers
        self._catalogue = catalogue

    async def stop(self, grace: float) -> None:
        """Accept no new calls, let running ones finish within `grace` seconds, end the workers."""
        self._front.drain()
        await self._status.enter_graceful_shutdown()
        # After its grace period gRPC drops calls mid-message: ended before, they have a status.
        stopped = asyncio.ensure_future(self._server.stop(grace + LAST_SECONDS))
        await asyncio.wait([stopped], timeout=grace)
        await self._catalogue.stop()
        await self._workers.stop()
        await stopped
        await self._front.stop()


async def start_gateway(settings: Settings) -> Gateway:
    """Start an edge and its workers, in the running event loop.

    Args:
        settings: of the service.

    Returns:
        The running edge; stop it with `Gateway.stop`.

    Raises:
        MissingFile, OptionError, DeviceError, ServiceError: as `onnxplain.server.start` does.
    """
    workers = Workers(settings, Blame(lambda name: catalogue.stamp(name)))
    front = Front(settings, workers)
    server = front.server()
    addresses = front.bind(server)
    sources = [FolderSource(folder) for folder in settings.folders]
    catalogue = Catalogue(sources, workers, warm=settings.warm)
    status = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    names = [service.full_name for service in SERVICES]
    reflection.enable_server_reflection(
        (*names, health.SERVICE_NAME, reflection.SERVICE_NAME), server
    )
    server.add_generic_rpc_handlers((Forwarding(workers, catalogue),))
    async with contextlib.AsyncExitStack() as undo:
        undo.push_async_callback(front.stop)
        await front.start()
        undo.push_async_callback(workers.stop)
        await workers.start()
        undo.push_async_callback(catalogue.stop)
        await catalogue.start()
        await server.start()
        undo.pop_all()
    for name in names:
        await status.set(name, health_pb2.HealthCheckResponse.SERVING)
    return Gateway(addresses[0], front, server, status, workers, catalogue)
