"""The standard health checks: of the whole service, of its interfaces, and of each model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from onnxplain.graphops.errors import MissingModel
from onnxplain.server.edge.admission import Shares
from onnxplain.server.edge.catalogue import Catalogue

__all__ = ["ModelHealth"]

WATCH_SECONDS = 0.5
MOST_WATCHES = 1000
Response: Any = health_pb2.HealthCheckResponse
Context = grpc.aio.ServicerContext[Any, Any]


class Counted(Protocol):
    """Knows how many workers take calls."""

    @property
    def up(self) -> int:
        """The number of workers that take calls."""


class ModelHealth(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # has no types
    """Answers from what is true at the moment of the check.

    The names are "" for the whole service, those of the gRPC services, and names of models.

    services: the names of the gRPC services. workers: of the service. catalogue: of the models.
    quarantine: returns why a model is in quarantine, by its full name; "" if it is not.
    """

    def __init__(
        self,
        services: Sequence[str],
        workers: Counted,
        catalogue: Catalogue,
        quarantine: Callable[[str], str],
    ) -> None:
        self._services = ("", *services)
        self._workers = workers
        self._catalogue = catalogue
        self._quarantine = quarantine
        self._draining = False
        self._watches = Shares(MOST_WATCHES)

    def drain(self) -> None:
        """Answer NOT_SERVING from now on."""
        self._draining = True

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Context) -> Any:
        """Return the state of what the request names."""
        status = self._status(request.service)
        if status == Response.SERVICE_UNKNOWN:
            raise MissingModel(f"nothing is called '{request.service}' here")
        return Response(status=status)

    async def Watch(
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> AsyncIterator[Any]:
        """Stream the state of what the request names: now, and whenever it changes."""
        known = None
        with self._watches.place("clients watch the service's health"):
            while True:
                if (status := self._status(request.service)) != known:
                    known = status
                    yield Response(status=status)
                if self._draining:
                    return
                await asyncio.sleep(WATCH_SECONDS)

    def _status(self, name: str) -> int:
        healthy = True
        if name not in self._services:
            model = self._catalogue.known(name)  # no check has the sources listed
            if not model:
                return int(Response.SERVICE_UNKNOWN)
            healthy = self._catalogue.ready(model) and not self._quarantine(model)
        if healthy and self._workers.up and not self._draining:
            return int(Response.SERVING)
        return int(Response.NOT_SERVING)
