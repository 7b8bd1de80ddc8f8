"""A worker's gRPC server: the calls on models, and health checks."""

from __future__ import annotations

import asyncio

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from onnxplain.engine import Engine
from onnxplain.inference import open_inference_pb2, open_inference_pb2_grpc
from onnxplain.registry import FolderSource
from onnxplain.server.errors import ErrorInterceptor
from onnxplain.server.listening import bind
from onnxplain.server.settings import Settings
from onnxplain.server.worker.inference import InferenceServicer
from onnxplain.server.worker.inspection import WorkerServicer
from onnxplain.server.worker.models import Models
from onnxplain.server.worker.scheduler import Scheduler, end_stuck_process
from onnxplain.server.worker.servicer import ExplainServicer
from onnxplain.v1 import explain_pb2, explain_pb2_grpc, worker_pb2_grpc

__all__ = ["WorkerServer", "start_worker"]

SERVICES = (
    explain_pb2.DESCRIPTOR.services_by_name["ExplainService"].full_name,
    open_inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name,
)
LAST_SECONDS = 2.0  # for calls that are ended to send their status


class WorkerServer:
    """A running worker, at `address`, on `device`."""

    def __init__(
        self,
        address: str,
        device: str,
        server: grpc.aio.Server,
        status: health.aio.HealthServicer,
        scheduler: Scheduler,
    ) -> None:
        self.address = address
        self.device = device
        self._server = server
        self._status = status
        self._scheduler = scheduler

    async def stop(self, grace: float) -> None:
        """Accept no new calls, and let running ones finish within `grace` seconds."""
        await self._status.enter_graceful_shutdown()
        # After its grace period gRPC drops calls mid-message: ended before, they have a status.
        stopped = asyncio.ensure_future(self._server.stop(grace + LAST_SECONDS))
        await asyncio.wait([stopped], timeout=grace)
        self._scheduler.stop()
        await stopped
        self._scheduler.close()


async def start_worker(
    settings: Settings,
    max_request_bytes: int,
    credentials: grpc.ServerCredentials | None = None,
    server: grpc.aio.Server | None = None,
) -> WorkerServer:
    """Start a worker, in the running event loop.

    Args:
        settings: the first `listen` is the worker's address, the first device its device.
        max_request_bytes: the largest request that it takes.
        credentials: for TLS.
        server: one that listens already, for clients; None for the worker's own.

    Returns:
        The running worker; stop it with `WorkerServer.stop`.

    Raises:
        MissingFile: there is no such folder of models.
        OptionError: there is no such device, or `listen` is no address.
        DeviceError: the device cannot run models.
        ServiceError: the port is in use, or the host is not this machine.
    """
    address = settings.listen[0]
    for_edge = server is None
    if server is None:
        server = _own_server(max_request_bytes)
        address = bind(server, address, credentials)
    models = Models([FolderSource(folder) for folder in settings.folders])
    engine = Engine(settings.device[0], threads=settings.threads)
    # In a process of clients and more, work that does not stop goes on.
    scheduler = Scheduler(settings, end_stuck_process if for_edge else None)
    servicer = ExplainServicer(models, engine, scheduler)
    explain_pb2_grpc.add_ExplainServiceServicer_to_server(servicer, server)
    inference = InferenceServicer(models, engine, scheduler)
    open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(inference, server)
    if for_edge:  # clients must not reach it
        inner = WorkerServicer(models, engine, scheduler, settings.store)
        worker_pb2_grpc.add_WorkerServiceServicer_to_server(inner, server)
    status = health.aio.HealthServicer()
    for name in SERVICES:
        await status.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    reflection.enable_server_reflection(
        (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server
    )
    await server.start()
    return WorkerServer(address, engine.device, server, status, scheduler)


def _own_server(max_request_bytes: int) -> grpc.aio.Server:
    return grpc.aio.server(
        interceptors=[ErrorInterceptor()],
        options=[
            # With it, two services could share a port and each receive some of the calls.
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", max_request_bytes),
            ("grpc.max_send_message_length", -1),
        ],
    )
