"""Starting and stopping the service: an edge and workers, or all in one process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from onnxplain.graphops.errors import OptionError, ServiceError
from onnxplain.server.edge.front import Front
from onnxplain.server.listening import MAX_REQUEST_BYTES, check_address
from onnxplain.server.setting_checks import exposure
from onnxplain.server.settings import Settings

__all__ = ["Service", "serve", "serve_settings", "start", "start_settings"]


def serve(
    models_dir: str | os.PathLike[str],
    listen: str = "127.0.0.1:50051",
    device: str = "auto",
    ready: Callable[[str], None] | None = None,
    *,
    in_process: bool = False,
) -> None:
    """Serve the models in a folder until SIGINT or SIGTERM, from the main thread.

    Args:
        models_dir: a folder of NAME.onnx files or NAME/VERSION/model.onnx; it may change meanwhile.
        listen: HOST:PORT; port 0 is any free port.
        device: "auto", "cpu", "cuda" or "cuda:N", as in `onnxplain.engine.Engine`.
        ready: called once with the HOST:PORT of the running service.
        in_process: whether everything runs in this process, without isolation.

    Raises:
        MissingFile: there is no such folder.
        OptionError: `listen` is not HOST:PORT, or there is no such device.
        DeviceError: the device cannot run models.
        ServiceError: the port is in use, the host is not this machine, or the system is not Linux
            and `in_process` is false.
    """
    serve_settings(_settings(models_dir, listen, device), ready, in_process=in_process)


def serve_settings(
    settings: Settings,
    ready: Callable[[str], None] | None = None,
    *,
    in_process: bool = False,
) -> None:
    """Serve with all settings chosen, as `serve` does with some.

    Args:
        settings: of the service.
        ready: called once with the address of the running service, the first of `settings.listen`.
        in_process: whether everything runs in this process, without isolation.

    Raises:
        MissingFile, OptionError, DeviceError, ServiceError: as `serve` does.
    """
    asyncio.run(_serve(settings, in_process, ready))


async def start(
    models_dir: str | os.PathLike[str],
    listen: str = "127.0.0.1:50051",
    device: str = "auto",
    *,
    in_process: bool = False,
) -> Service:
    """Start serving the models in a folder, in the running event loop.

    Args:
        models_dir: a folder of NAME.onnx files or NAME/VERSION/model.onnx; it may change meanwhile.
        listen: HOST:PORT; port 0 is any free port.
        device: "auto", "cpu", "cuda" or "cuda:N", as in `onnxplain.engine.Engine`.
        in_process: whether everything runs in this process, without isolation.

    Returns:
        The running service; stop it with `Service.stop`.

    Raises:
        MissingFile, OptionError, DeviceError, ServiceError: as `serve` does.
    """
    return await start_settings(_settings(models_dir, listen, device), in_process=in_process)


async def start_settings(settings: Settings, *, in_process: bool = False) -> Service:
    """Start serving with all settings chosen, as `start` does with some.

    Args:
        settings: of the service.
        in_process: whether everything runs in this process, without isolation.

    Returns:
        The running service; stop it with `Service.stop`.

    Raises:
        MissingFile, OptionError, DeviceError, ServiceError: as `serve` does.
    """
    for address in settings.listen:
        check_address(address)
    for _, problem in exposure(settings):
        raise OptionError(problem)
    if in_process:
        server: Running = await _start_in_process(settings)
    elif sys.platform == "linux":
        from onnxplain.server.edge.gateway import start_gateway  # needs what Linux alone has

        server = await start_gateway(settings)
    else:
        raise ServiceError(
            "worker processes are isolated on Linux only: serve in one process, with --in-process"
        )
    return Service(server, settings.drain_seconds)


class Running(Protocol):
    """A server that runs."""

    @property
    def address(self) -> str:
        """The first address that it listens on."""

    @property
    def metrics(self) -> str:
        """The address of its HTTP pages, "" if there are none."""

    async def stop(self, grace: float) -> None:
        """Accept no new calls, and let running ones finish within `grace` seconds."""


class Service:
    """A running service, at the HOST:PORT `address`, with its HTTP pages at `metrics` if any."""

    def __init__(self, server: Running, drain_seconds: float) -> None:
        self.address = server.address
        self.metrics = server.metrics
        self._server = server
        self._drain_seconds = drain_seconds

    async def stop(self, grace: float | None = None) -> None:
        """Stop the service: accept no new calls, and let running calls finish.

        Args:
            grace: seconds after which running calls are cancelled; None for the settings' own.

        Raises:
            Nothing, even if a call fails meanwhile.
        """
        await self._server.stop(self._drain_seconds if grace is None else grace)


def _settings(models_dir: str | os.PathLike[str], listen: str, device: str) -> Settings:
    return Settings(models=(Path(models_dir),), listen=(listen,), device=(device,))


class _InProcess:
    """A front and a worker in this process."""

    admitted: Mapping[str, int] = {}  # it runs what it takes
    restarts = 0
    up = 1

    def __init__(self, settings: Settings) -> None:
        self._front = Front(settings, self)
        self._settings = settings

    async def start(self) -> None:
        """Start the worker, then the pages."""
        from onnxplain.server.worker.process import start_worker  # the edge never loads it

        server = self._front.server()
        self.address, *_ = self._front.bind(server)
        self._worker = await start_worker(self._settings, MAX_REQUEST_BYTES, server=server)
        await self._front.start()
        self.metrics = self._front.metrics

    async def stop(self, grace: float) -> None:
        """Accept no new calls, and let running ones finish within `grace` seconds."""
        self._front.drain()
        await self._worker.stop(grace)
        await self._front.stop()


async def _start_in_process(settings: Settings) -> _InProcess:
    server = _InProcess(settings)
    await server.start()
    return server


async def _serve(settings: Settings, in_process: bool, ready: Callable[[str], None] | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: SIGINT stays KeyboardInterrupt
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    service = await start_settings(settings, in_process=in_process)
    try:
        if ready is not None:
            ready(service.address)
        await stop.wait()
    finally:
        await service.stop()
