"""Calls of workers: admitted, given to the right worker, and failed with the reason if it dies."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import grpc

from onnxplain.graphops.errors import NoWorker
from onnxplain.server.caller import CALLER
from onnxplain.server.edge.admission import Admission
from onnxplain.server.edge.blame import Blame
from onnxplain.server.edge.lone_workers import LoneWorkers
from onnxplain.server.edge.pool import Pool
from onnxplain.server.edge.request_models import other_models
from onnxplain.server.edge.routing import choose
from onnxplain.server.edge.worker_link import WorkerLink
from onnxplain.server.errors import KIND_KEY
from onnxplain.server.settings import Settings

__all__ = ["Workers", "caller_metadata"]


class Workers:
    """The workers of an edge, for calls.

    settings: of the service. blame: which models make workers die.
    """

    def __init__(self, settings: Settings, blame: Blame) -> None:
        self._blame = blame
        self._grace_seconds = settings.grace_seconds
        self._pool = Pool(settings, blame)
        self._admission = Admission(settings.concurrency, settings.queue)
        self._alone = LoneWorkers(self._pool)

    async def start(self) -> None:
        """Start all local workers, and return once they answer. Raises OnnxplainError."""
        await self._pool.start()

    async def stop(self) -> None:
        """End all local workers at once, with the calls that run there."""
        await self._alone.stop()
        await self._pool.stop()

    @property
    def admitted(self) -> Mapping[str, int]:
        """The calls that wait or run, by the model's full name."""
        return self._admission.admitted

    @property
    def restarts(self) -> int:
        """How often a worker was replaced."""
        return self._pool.restarts

    @property
    def up(self) -> int:
        """The number of workers that take calls."""
        return sum(link.up for link in self._pool.links.values())

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
    ) -> AsyncGenerator[bytes, None]:
        """Call a method with a stream of responses, and yield them.

        Arguments and errors are those of `unary`.
        """
        async with self.lend(model, method, other_models(method, request)) as link:
            call = link.stream(method)(request, timeout=timeout, metadata=caller_metadata())
            try:
                async for response in call:
                    yield response
            finally:
                call.cancel()

    @asynccontextmanager
    async def lend(
        self, model: str, method: str, others: Sequence[str] = ()
    ) -> AsyncIterator[WorkerLink]:
        """Lend a worker to a call of a model.

        Args:
            model: the model's full name, "" where any worker will do.
            method: the call's full path.
            others: the full names of the further models that the call opens.

        Yields:
            The worker, once.

        Raises:
            NoWorker, WorkerDied, QuarantinedModel, QueueFull: no worker finished the call.
        """
        with self._admission.admit(model):
            models = sorted({model, *others})
            suspects = [one for one in models if self._blame.suspect(one)]
            if not suspects:
                link = self._pick(model)
                async with self._running(link, models, method):
                    yield link
                return
            async with self._alone.lend(models) as link:
                try:
                    async with self._running(link, models, method):
                        yield link
                except grpc.aio.AioRpcError as error:
                    if _kind(error):
                        self._ended_well(models, method)
                    raise
                self._ended_well(models, method)

    def _ended_well(self, models: Sequence[str], method: str) -> None:
        for model in models:
            self._blame.ended_well(model, method)

    @asynccontextmanager
    async def _running(
        self, link: WorkerLink, models: Sequence[str], method: str
    ) -> AsyncIterator[None]:
        """Count a call as running; if its worker dies, fail it with the reason."""
        link.begin(models, method)
        linger = 0.0
        try:
            yield
        except BaseException as error:
            if isinstance(error, grpc.aio.AioRpcError):
                if error.code() is grpc.StatusCode.UNAVAILABLE and not _kind(error):
                    link.fall()  # gRPC itself says so: the connection is lost
                answered = bool(_kind(error))
            else:
                answered = False
            if link.fallen.is_set():
                raise await link.lost() from error
            # The worker may go on with a call that its client gave up: until it must have ended,
            # the call is among those that can be to blame.
            linger = 0.0 if answered else 2 * self._grace_seconds
            raise
        finally:
            link.end(models, method, linger)

    def _pick(self, model: str) -> WorkerLink:
        up = [link for link in self._pool.links.values() if link.up]
        if not up:
            raise NoWorker("no worker is up to take the call: repeat it in a moment")
        if not model:
            return min(up, key=lambda link: link.running.total())
        return choose(model, up, lambda link: link.key)


def _kind(error: grpc.aio.AioRpcError) -> str:
    """Return the kind of a worker's error; "" for one that gRPC itself made."""
    return str(dict(error.trailing_metadata() or ()).get(KIND_KEY, ""))


def caller_metadata() -> tuple[tuple[str, str], ...]:
    """Return what a worker is told of the caller."""
    caller = CALLER.get(None)
    if caller is None:
        return ()
    return (("onnxplain-caller", caller.name), ("onnxplain-request-id", caller.request_id))
