"""Calls of workers: admitted, given to the right worker, and failed with the reason if it dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from onnxplain.graphops.errors import NoWorker
from onnxplain.server.edge.admission import Admission
from onnxplain.server.edge.blame import Blame
from onnxplain.server.edge.caller import CALLER
from onnxplain.server.edge.pool import Pool
from onnxplain.server.edge.routing import choose
from onnxplain.server.edge.worker_link import WorkerLink
from onnxplain.server.settings import Settings

__all__ = ["Workers", "caller_metadata"]


class Workers:
    """The workers of an edge, for calls.

    settings: of the service. blame: which models make workers die.
    """

    def __init__(self, settings: Settings, blame: Blame) -> None:
        self._blame = blame
        self._pool = Pool(settings, blame)
        self._admission = Admission(settings.concurrency, settings.queue)
        self._alone: dict[str, _Alone] = {}

    async def start(self) -> None:
        """Start all local workers, and return once they answer. Raises OnnxplainError."""
        await self._pool.start()

    async def stop(self) -> None:
        """End all local workers at once, with the calls that run there."""
        await self._pool.stop()

    async def unary(
        self, method: str, request: bytes, model: str, *, timeout: float | None = None
    ) -> bytes:
        """Call a method with one response.

        Args:
            method: its full path, such as "/onnxplain.v1.ExplainService/Check".
            request: the serialised request.
            model: the model's full name, "" where any worker will do.
            timeout: seconds until the call ends with DEADLINE_EXCEEDED.

        Returns:
            The serialised response.

        Raises:
            grpc.aio.AioRpcError: the worker's.
            NoWorker, WorkerDied, QuarantinedModel, QueueFull: no worker finished the call.
        """
        async with self.lend(model, method) as link:
            response: bytes = await link.unary(method)(
                request, timeout=timeout, metadata=caller_metadata()
            )
            return response

    async def stream(
        self, method: str, request: bytes, model: str, *, timeout: float | None = None
    ) -> AsyncIterator[bytes]:
        """Call a method with a stream of responses, and yield them.

        Arguments and errors are those of `unary`.
        """
        async with self.lend(model, method) as link:
            call = link.stream(method)(request, timeout=timeout, metadata=caller_metadata())
            try:
                async for response in call:
                    yield response
            finally:
                call.cancel()

    @asynccontextmanager
    async def lend(self, model: str, method: str) -> AsyncIterator[WorkerLink]:
        """Lend a worker to a call of a model.

        Args:
            model: the model's full name, "" where any worker will do.
            method: the call's full path.

        Yields:
            The worker, once.

        Raises:
            NoWorker, WorkerDied, QuarantinedModel, QueueFull: no worker finished the call.
        """
        with self._admission.admit(model):
            if not self._blame.suspect(model):
                link = self._pick(model)
                async with _running(link, model, method):
                    yield link
                return
            async with self._lend_alone(model) as link:
                async with _running(link, model, method):
                    yield link
                self._blame.ended_well(model, method)

    def _pick(self, model: str) -> WorkerLink:
        up = [link for link in self._pool.links.values() if link.up]
        if not up:
            raise NoWorker("no worker is up to take the call: repeat it in a moment")
        if not model:
            return min(up, key=lambda link: link.running.total())
        return choose(model, up, lambda link: link.key)

    @asynccontextmanager
    async def _lend_alone(self, model: str) -> AsyncIterator[WorkerLink]:
        """Lend a fresh worker that only calls of this model share."""
        alone = self._alone.get(model)
        if alone is None or alone.ended:
            alone = self._alone[model] = _Alone(asyncio.ensure_future(self._pool.fresh()))
        alone.calls += 1
        try:
            yield await asyncio.shield(alone.started)
        finally:
            alone.calls -= 1
            if not alone.calls:
                alone.end()
                if self._alone.get(model) is alone:
                    del self._alone[model]


class _Alone:
    """A fresh worker for one model, and the number of calls that use it or wait for it."""

    def __init__(self, started: asyncio.Task[WorkerLink]) -> None:
        self.started = started
        self.calls = 0

    @property
    def ended(self) -> bool:
        """Tell whether a further call needs another worker."""
        if not self.started.done():
            return False
        return self.started.exception() is not None or self.started.result().fallen.is_set()

    def end(self) -> None:
        """End the worker, whether it has started or not."""
        if not self.started.done():
            self.started.cancel()
        elif not self.ended:
            self.started.result().fall()


@asynccontextmanager
async def _running(link: WorkerLink, model: str, method: str) -> AsyncIterator[None]:
    """Count a call as running; if its worker dies, fail it with the reason."""
    with link.count(model, method):
        try:
            yield
        except (grpc.aio.AioRpcError, asyncio.CancelledError) as error:
            if isinstance(error, grpc.aio.AioRpcError) and _connection_lost(error):
                link.fall()
            if not link.fallen.is_set():
                raise
            raise await link.lost() from error


def _connection_lost(error: grpc.aio.AioRpcError) -> bool:
    """Tell gRPC's own UNAVAILABLE from a worker's, which has a kind."""
    metadata = error.trailing_metadata() or ()
    kinds = [value for key, value in metadata if key == "onnxplain-error"]
    return error.code() is grpc.StatusCode.UNAVAILABLE and not kinds


def caller_metadata() -> tuple[tuple[str, str], ...]:
    """Return what a worker is told of the caller."""
    caller = CALLER.get(None)
    if caller is None:
        return ()
    return (("onnxplain-caller", caller.name), ("onnxplain-request-id", caller.request_id))
