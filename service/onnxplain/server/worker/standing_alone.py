"""A worker that nobody starts but its operator: for edges on other machines."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import sys
import tempfile
from collections.abc import Callable

from onnxplain.graphops.errors import ServiceError
from onnxplain.server.credentials import worker_credentials
from onnxplain.server.listening import MAX_REQUEST_BYTES
from onnxplain.server.machine import worker_settings
from onnxplain.server.settings import Settings
from onnxplain.server.worker.process import start_worker
from onnxplain.server.worker.program import ROUTING_BYTES, limit_worker

__all__ = ["serve_worker"]


def serve_worker(settings: Settings, ready: Callable[[str], None] | None = None) -> None:
    """Run a worker until SIGINT or SIGTERM, from the main thread.

    Args:
        settings: the first `listen` is the worker's address, the first device its device.
        ready: called once with the address.

    Raises:
        MissingFile: there is no such folder of models.
        OptionError: no device or address of that name, or a public address without certificates.
        DeviceError: the device cannot run models.
        ServiceError: the port is in use, the host is not this machine, or this is not Linux.
    """
    if sys.platform != "linux":
        raise ServiceError("workers run on Linux only: use `onnxplain serve --in-process` here")
    files = {
        name: value.absolute()
        for name in ("store", "worker_cert", "worker_key", "worker_ca")
        if (value := getattr(settings, name)) is not None
    }
    models = tuple(folder.absolute() for folder in settings.models)
    settings = dataclasses.replace(worker_settings(settings), models=models, **files)
    with tempfile.TemporaryDirectory() as empty, contextlib.chdir(empty):
        # Nothing can be found in the working folder: ONNX Runtime reads external data from there.
        os.chmod(empty, 0o500)
        asyncio.run(_serve(settings, ready))


async def _serve(settings: Settings, ready: Callable[[str], None] | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    credentials = worker_credentials(
        settings.listen[0], settings.worker_cert, settings.worker_key, settings.worker_ca
    )
    worker = await start_worker(settings, MAX_REQUEST_BYTES + ROUTING_BYTES, credentials)
    limit_worker(worker, settings)
    try:
        if ready is not None:
            ready(worker.address)
        await stop.wait()
    finally:
        await worker.stop(settings.drain_seconds)
