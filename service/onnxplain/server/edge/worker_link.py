"""One worker as the edge sees it: its channel, the calls that run there, and its end."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from onnxplain.graphops.errors import OnnxplainError
from onnxplain.server.edge.spawning import WorkerProcess

__all__ = ["WorkerLink"]

OPTIONS = [
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
]
SERVING = health_pb2.HealthCheckResponse.SERVING


class WorkerLink:
    """A connection to a worker.

    key: names the worker's place, which its replacements share. address: HOST:PORT or unix:PATH.
    process: the worker's, if this machine runs it. credentials: for TLS.
    """

    def __init__(
        self,
        key: str,
        address: str,
        process: WorkerProcess | None = None,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self.key = key
        self.process = process
        self.serving = False
        # The model and the method of each call that runs there; those at its end.
        self.running: Counter[tuple[str, str]] = Counter()
        self.given_up = 0  # of these, calls whose clients gave them up
        # When one was, on the clock of time.monotonic; None once the worker has answered since.
        self.given_up_at: float | None = None
        self.ran: set[tuple[str, str]] = set()
        # Set at the first sign of its end; resolved once its process is gone and blame is recorded.
        self.fallen = asyncio.Event()
        self.reason: OnnxplainError | None = None
        self.error: asyncio.Future[OnnxplainError] = asyncio.get_running_loop().create_future()
        self._calls: dict[tuple[str, bool], Any] = {}
        if credentials is None:
            self.channel = grpc.aio.insecure_channel(address, OPTIONS)
        else:
            self.channel = grpc.aio.secure_channel(address, credentials, OPTIONS)

    @property
    def up(self) -> bool:
        """Tell whether calls can be forwarded."""
        ready = grpc.ChannelConnectivity.READY
        return self.serving and not self.fallen.is_set() and self.channel.get_state() is ready

    async def check(self, timeout: float) -> bool:
        """Ask for the worker's health, note it, and tell whether there was an answer."""
        check = self.unary("/grpc.health.v1.Health/Check")
        try:
            answer = await check(b"", timeout=timeout, wait_for_ready=True)
        except grpc.aio.AioRpcError:
            return False
        self.serving = health_pb2.HealthCheckResponse.FromString(answer).status == SERVING
        self.given_up_at = None
        return True

    def unary(self, method: str) -> Any:
        """Return the call of a method with one response, on bytes."""
        return self._call(method, False)

    def stream(self, method: str) -> Any:
        """Return the call of a method with a stream of responses, on bytes."""
        return self._call(method, True)

    def _call(self, method: str, stream: bool) -> Any:
        if (method, stream) not in self._calls:
            make = self.channel.unary_stream if stream else self.channel.unary_unary
            self._calls[method, stream] = make(method)
        return self._calls[method, stream]

    def begin(self, models: Sequence[str], method: str) -> None:
        """Count a call of some models as running."""
        self.running.update((model, method) for model in models)

    def end(self, models: Sequence[str], method: str, linger: float = 0) -> None:
        """Count a call as running no longer.

        linger: seconds until the worker must have ended it, since its client gave it up.
        """
        if linger:
            self.given_up += 1
            if self.given_up_at is None:
                self.given_up_at = time.monotonic()
            asyncio.get_running_loop().call_later(linger, self._end_given_up, models, method)
        else:
            self.running -= Counter((model, method) for model in models)

    def _end_given_up(self, models: Sequence[str], method: str) -> None:
        self.given_up -= 1
        self.end(models, method)

    def fall(self, error: OnnxplainError | None = None) -> None:
        """Note that the worker has died, or must end, and what ran there; only the first time.

        error: of the calls that ran there; None where the end of its process tells it.
        """
        if not self.fallen.is_set():
            self.ran = set(self.running)
            self.reason = error
            self.fallen.set()

    async def lost(self) -> OnnxplainError:
        """Wait until the worker's end is settled, and return the error of a call that ran there."""
        error = await asyncio.shield(self.error)
        return type(error)(str(error))
