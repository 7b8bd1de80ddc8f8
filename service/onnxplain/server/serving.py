"""Starting and stopping the service: address, health checks, reflection and signals."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from onnxplain.engine import Engine
from onnxplain.graphops.errors import OptionError, ServiceError
from onnxplain.server.errors import ErrorInterceptor
from onnxplain.server.worker import ExplainServicer, Models, Scheduler
from onnxplain.v1 import explain_pb2, explain_pb2_grpc

__all__ = ["MAX_REQUEST_BYTES", "Service", "serve", "start"]

MAX_REQUEST_BYTES = 64 * 2**20  # promised in explain.proto
GRACE_SECONDS = 5.0  # for running calls to finish when the service stops
SERVICE = explain_pb2.DESCRIPTOR.services_by_name["ExplainService"].full_name


def serve(
    models_dir: str | os.PathLike[str],
    listen: str = "127.0.0.1:50051",
    device: str = "auto",
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the models in a folder until SIGINT or SIGTERM, from the main thread.

    Args:
        models_dir: a folder of NAME.onnx files or NAME/VERSION/model.onnx; it may change meanwhile.
        listen: HOST:PORT; port 0 is any free port.
        device: "auto", "cpu", "cuda" or "cuda:N", as in `onnxplain.engine.Engine`.
        ready: called once with the HOST:PORT of the running service.

    Raises:
        MissingFile: there is no such folder.
        OptionError: `listen` is not HOST:PORT, or there is no such device.
        DeviceError: the device cannot run models.
        ServiceError: the port is in use, or the host is not this machine.
    """
    asyncio.run(_serve(models_dir, listen, device, ready))


async def start(
    models_dir: str | os.PathLike[str], listen: str = "127.0.0.1:50051", device: str = "auto"
) -> Service:
    """Start serving the models in a folder, in the running event loop.

    Args:
        models_dir: a folder of NAME.onnx files or NAME/VERSION/model.onnx; it may change meanwhile.
        listen: HOST:PORT; port 0 is any free port.
        device: "auto", "cpu", "cuda" or "cuda:N", as in `onnxplain.engine.Engine`.

    Returns:
        The running service; stop it with `Service.stop`.

    Raises:
        MissingFile, OptionError, DeviceError, ServiceError: as `serve` does.
    """
    host, port = _parse(listen)
    _require_free(host, port)
    models = Models(Path(models_dir))
    engine = Engine(device)
    scheduler = Scheduler()
    server = grpc.aio.server(
        interceptors=[ErrorInterceptor()],
        options=[
            # With it, two services could share a port and each receive some of the calls.
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
        ],
    )
    servicer = ExplainServicer(models, engine, scheduler)
    explain_pb2_grpc.add_ExplainServiceServicer_to_server(servicer, server)
    status = health.aio.HealthServicer()
    await status.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    reflection.enable_server_reflection(
        (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server
    )
    try:
        bound = server.add_insecure_port(listen)
    except RuntimeError as e:
        raise ServiceError(f"cannot listen on {listen}: {e}") from e
    await server.start()
    return Service(f"{host}:{bound}", server, status, scheduler)


class Service:
    """A running service, at the HOST:PORT `address`."""

    def __init__(
        self,
        address: str,
        server: grpc.aio.Server,
        status: health.aio.HealthServicer,
        scheduler: Scheduler,
    ) -> None:
        self.address = address
        self._server = server
        self._status = status
        self._scheduler = scheduler

    async def stop(self, grace: float = GRACE_SECONDS) -> None:
        """Stop the service: accept no new calls, and let running calls finish.

        Args:
            grace: seconds after which running calls are cancelled.

        Raises:
            Nothing, even if a call fails meanwhile.
        """
        await self._status.enter_graceful_shutdown()
        stopped = asyncio.ensure_future(self._server.stop(grace))
        # After the grace period gRPC drops calls mid-message: cancelled earlier, they end cleanly.
        await asyncio.wait([stopped], timeout=grace / 2)
        self._scheduler.stop()
        await stopped
        self._scheduler.close()


async def _serve(
    models_dir: str | os.PathLike[str],
    listen: str,
    device: str,
    ready: Callable[[str], None] | None,
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: SIGINT stays KeyboardInterrupt
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    service = await start(models_dir, listen, device)
    try:
        if ready is not None:
            ready(service.address)
        await stop.wait()
    finally:
        await service.stop()


def _parse(listen: str) -> tuple[str, int]:
    parts = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/]+):([0-9]{1,5})", listen)
    if parts is None or int(parts[2]) > 65535:
        raise OptionError(
            f"'{listen}' is not an address to listen on: write HOST:PORT, such as 127.0.0.1:50051"
        )
    return parts[1], int(parts[2])


def _require_free(host: str, port: int) -> None:
    """Raise ServiceError with the reason why the port cannot be bound, which gRPC omits."""
    try:
        addresses = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except socket.gaierror as e:
        raise ServiceError(f"cannot listen on {host}:{port}: no such host ({e.strerror})") from e
    for family, kind, protocol, _, address in addresses:
        with socket.socket(family, kind, protocol) as probe:
            if os.name == "posix":  # gRPC sets it too; elsewhere the option means something else
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as e:
                if e.errno == errno.EADDRINUSE:
                    raise ServiceError(
                        f"port in use: another program listens on {host}:{port}; stop it, or "
                        "listen on another port (0 is any free port)"
                    ) from e
                if e.errno == errno.EADDRNOTAVAIL and len(addresses) > 1:
                    continue  # such as `localhost` without IPv6: another address may do
                raise ServiceError(f"cannot listen on {host}:{port}: {e.strerror}") from e
