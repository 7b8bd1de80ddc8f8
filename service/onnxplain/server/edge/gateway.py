"""The edge's gRPC server: it listens for clients, and forwards their calls to workers."""

from __future__ import annotations

import asyncio

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from onnxplain.registry import FolderSource
from onnxplain.server.edge.blame import Blame
from onnxplain.server.edge.catalogue import Catalogue
from onnxplain.server.edge.forwarding import SERVICES, Forwarding
from onnxplain.server.edge.workers import Workers
from onnxplain.server.errors import ErrorInterceptor
from onnxplain.server.listening import MAX_REQUEST_BYTES, bind
from onnxplain.server.settings import Settings

__all__ = ["Gateway", "start_gateway"]


class Gateway:
    """A running edge, at `address`, the first that it listens on."""

    def __init__(
        self,
        address: str,
        server: grpc.aio.Server,
        status: health.aio.HealthServicer,
        workers: Workers,
        catalogue: Catalogue,
    ) -> None:
        self.address = address
        self._server = server
        self._status = status
        self._workers = workers
        self._catalogue = catalogue

    async def stop(self, grace: float) -> None:
        """Accept no new calls, let running ones finish within `grace` seconds, end the workers."""
        await self._status.enter_graceful_shutdown()
        stopped = asyncio.ensure_future(self._server.stop(grace))
        # After the grace period gRPC drops calls mid-message: ended earlier, they have a status.
        await asyncio.wait([stopped], timeout=grace / 2)
        await self._catalogue.stop()
        await self._workers.stop()
        await stopped


async def start_gateway(settings: Settings) -> Gateway:
    """Start an edge and its workers, in the running event loop.

    Args:
        settings: of the service.

    Returns:
        The running edge; stop it with `Gateway.stop`.

    Raises:
        MissingFile, OptionError, DeviceError, ServiceError: as `onnxplain.server.start` does.
    """
    server = grpc.aio.server(
        interceptors=[ErrorInterceptor()],
        options=[
            # With it, two services could share a port and each receive some of the calls.
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
            ("grpc.max_send_message_length", -1),
        ],
    )
    addresses = [bind(server, listen) for listen in settings.listen]
    sources = [FolderSource(folder) for folder in settings.folders]
    workers = Workers(settings, Blame(lambda name: catalogue.stamp(name)))
    catalogue = Catalogue(sources, workers, warm=settings.warm)
    status = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    names = [service.full_name for service in SERVICES]
    reflection.enable_server_reflection(
        (*names, health.SERVICE_NAME, reflection.SERVICE_NAME), server
    )
    server.add_generic_rpc_handlers((Forwarding(workers, catalogue),))
    try:
        await workers.start()
        await catalogue.start()
        await server.start()
    except BaseException:
        await catalogue.stop()
        await workers.stop()
        raise
    for name in names:
        await status.set(name, health_pb2.HealthCheckResponse.SERVING)
    return Gateway(addresses[0], server, status, workers, catalogue)
