"""The HTTP pages beside the service: /metrics, /livez and /readyz."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from http import HTTPStatus

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4 as METRICS_TYPE

from onnxplain.graphops.errors import ServiceError

__all__ = ["StatusPages"]

PLAIN = "text/plain; charset=utf-8"
HEAD_BYTES = 16 * 1024
SECONDS = 10.0  # for a connection, however slowly its client writes and reads


class StatusPages:
    """Answers GET and HEAD, one request a connection.

    metrics: returns the page of that name. ready: whether a worker takes calls.
    """

    def __init__(self, metrics: Callable[[], bytes], ready: Callable[[], bool]) -> None:
        self._metrics = metrics
        self._ready = ready
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, address: str) -> str:
        """Listen on HOST:PORT, and return it with the port that was taken. Raises ServiceError."""
        host, _, port = address.rpartition(":")
        try:
            self._server = await asyncio.start_server(
                self._answer, host.strip("[]"), int(port), limit=HEAD_BYTES
            )
        except OSError as e:
            raise ServiceError(f"cannot listen on {address} for metrics: {e.strerror or e}") from e
        return f"{host}:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Close the address and all connections, whether their clients read or not."""
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()
            await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        no_request = (EOFError, OSError, asyncio.LimitOverrunError)  # among them, a time-out
        with contextlib.suppress(*no_request):
            async with asyncio.timeout(SECONDS):
                await self._answer_one(reader, writer)
                writer.close()
                await writer.wait_closed()
        writer.transport.abort()
        self._writers.discard(writer)

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, _, rest = head.decode("latin-1").partition(" ")
        status, kind, body = self._page(method, rest.partition(" ")[0])
        lines = (
            f"HTTP/1.1 {status.value} {status.phrase}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            "Connection: close",
        )
        writer.write("".join(f"{line}\r\n" for line in lines).encode() + b"\r\n")
        if method != "HEAD":
            writer.write(body)
        await writer.drain()

    def _page(self, method: str, target: str) -> tuple[HTTPStatus, str, bytes]:
        if method not in ("GET", "HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED, PLAIN, b"GET or HEAD only\n"
        match target.partition("?")[0]:
            case "/metrics":
                return HTTPStatus.OK, METRICS_TYPE, self._metrics()
            case "/livez":
                return HTTPStatus.OK, PLAIN, b"alive\n"
            case "/readyz" if self._ready():
                return HTTPStatus.OK, PLAIN, b"ready\n"
            case "/readyz":
                return HTTPStatus.SERVICE_UNAVAILABLE, PLAIN, b"no worker takes calls\n"
        return HTTPStatus.NOT_FOUND, PLAIN, b"the pages are /metrics, /livez and /readyz\n"
