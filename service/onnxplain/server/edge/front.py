"""What stands before the calls of a service: interceptors, connections, and the pages beside it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import grpc

from onnxplain.server.credentials import edge_credentials
from onnxplain.server.edge.access import OPEN, AccessInterceptor
from onnxplain.server.edge.call_log import log_call
from onnxplain.server.edge.call_records import CallInterceptor, CallRecord
from onnxplain.server.edge.intake import Intake
from onnxplain.server.edge.metrics import Levels, Metrics
from onnxplain.server.edge.status_pages import StatusPages
from onnxplain.server.edge.tracing import CallTracer
from onnxplain.server.errors import ErrorInterceptor
from onnxplain.server.listening import MAX_REQUEST_BYTES, bind
from onnxplain.server.settings import Settings

__all__ = ["Front"]

log = logging.getLogger(__name__)

OPEN_BYTES = 8 * MAX_REQUEST_BYTES  # of requests that need no token
MINUTE = 60_000  # in milliseconds, as gRPC's options are


class Front:
    """What stands before the calls of a service.

    settings: of the service. levels: of its workers, for the metrics.
    """

    def __init__(self, settings: Settings, levels: Levels) -> None:
        self.metrics = ""  # the address of the pages, once there is one
        self._settings = settings
        self._levels = levels
        self._draining = False
        self._metrics = Metrics(levels)
        self._tracer = CallTracer(settings.traces) if settings.traces else None
        self._pages = StatusPages(self._metrics.page, self._ready)

    def server(self) -> grpc.aio.Server:
        """Return a server behind this front, which does not listen yet."""
        return grpc.aio.server(interceptors=self.interceptors(), options=self.options())

    def interceptors(self) -> list[grpc.aio.ServerInterceptor]:
        """Return the interceptors of the server, in their order."""
        observers: list[Callable[[CallRecord], None]] = [log_call, self._metrics.observe]
        if self._tracer:
            observers.append(self._tracer.observe)
        access = AccessInterceptor(self._settings.tokens)
        requests, open_requests = Intake(self._settings.request_bytes), Intake(OPEN_BYTES)
        return [
            CallInterceptor(observers, access.name),
            ErrorInterceptor(
                lambda method: (open_requests if method.startswith(OPEN) else requests).room()
            ),
            access,
        ]

    def options(self) -> list[tuple[str, Any]]:
        """Return gRPC's options for the connections of clients."""
        options = [
            # With it, two services could share a port and each receive some of the calls.
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
            ("grpc.max_send_message_length", -1),
            # No more than 64 KiB of a message is received before its call asks for it: with the
            # probe, gRPC would raise that to megabytes.
            ("grpc.http2.bdp_probe", 0),
            ("grpc.max_concurrent_streams", self._settings.streams),
            # A client that is gone is noticed, which ends its calls, and an idle one makes place.
            ("grpc.keepalive_time_ms", MINUTE),
            ("grpc.keepalive_timeout_ms", MINUTE // 3),
            ("grpc.max_connection_idle_ms", 10 * MINUTE),
            # Clients may ping as often, else gRPC closes their connections.
            ("grpc.http2.min_ping_interval_without_data_ms", MINUTE // 2),
        ]
        if age := self._settings.connection_age_seconds:
            options.append(("grpc.max_connection_age_ms", max(1, int(age * 1000))))
        return options

    def bind(self, server: grpc.aio.Server) -> list[str]:
        """Have the server listen, and return the addresses. Raises OptionError, ServiceError."""
        return [
            bind(server, address, edge_credentials(self._settings))
            for address in self._settings.listen
        ]

    async def start(self) -> None:
        """Open the pages, if they have an address. Raises ServiceError."""
        if self._settings.metrics is not None:
            self.metrics = await self._pages.start(self._settings.metrics)
            log.info("http://%s has /metrics, /livez and /readyz", self.metrics)

    def drain(self) -> None:
        """Answer from now on that the service is not ready."""
        self._draining = True

    async def stop(self) -> None:
        """Close the pages, and send the last traces."""
        await self._pages.stop()
        if self._tracer:
            await asyncio.to_thread(self._tracer.stop)

    def _ready(self) -> bool:
        return self._levels.up > 0 and not self._draining
