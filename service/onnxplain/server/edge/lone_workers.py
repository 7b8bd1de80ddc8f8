"""Workers for suspect models: each is fresh, and only calls of the same models share it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import grpc

from onnxplain.graphops.errors import NoWorker, QueueFull, ServiceError
from onnxplain.server.caller import CALLER, Caller
from onnxplain.server.edge.pool import Pool
from onnxplain.server.edge.worker_link import WorkerLink
from onnxplain.server.machine import MOST_ALONE

__all__ = ["LoneWorkers"]

REST = "/onnxplain.v1.WorkerService/Rest"
MOST_OF_CALLER = MOST_ALONE - 1  # so that others find a place
WAIT_SECONDS = 30.0

T = TypeVar("T")


class LoneWorkers:
    """The workers for suspect models: a few at once, first come, first served.

    pool: starts and attends them.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._workers: dict[tuple[str, ...], _LoneWorker] = {}
        self._waiting: list[_LoneWorker] = []  # for places, in their order
        self._held: Counter[str] = Counter()  # the places that are taken, by the caller
        self._tasks: set[asyncio.Task[Any]] = set()  # that start workers, or see to their end

    async def stop(self) -> None:
        """Start no more of them; the pool ends those that run."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @asynccontextmanager
    async def lend(self, models: Sequence[str]) -> AsyncIterator[WorkerLink]:
        """Lend a worker that only calls of these models share.

        Args:
            models: the full names, in alphabetical order.

        Yields:
            The worker, once.

        Raises:
            QueueFull: all of them stayed in use.
            NoWorker: none could be started, or it has just ended.
        """
        key, caller = tuple(models), CALLER.get(Caller("")).name
        worker = self._workers.get(key)
        if worker is None or worker.ended:
            worker = self._workers[key] = _LoneWorker()
            self._waiting.append(worker)
            worker.started = self._begin(self._start(key, worker))
        worker.callers[caller] += 1
        self._give_places()
        try:
            link = await asyncio.shield(worker.started)
            if link.fallen.is_set():  # with a call that came before
                raise NoWorker("the worker for the model has just ended: repeat the call")
            yield link
        finally:
            worker.callers -= Counter([caller])
            if not worker.callers:
                self._leave(key, worker)

    async def _start(self, models: Sequence[str], worker: _LoneWorker) -> WorkerLink:
        """Start a worker, which keeps its place until its process has ended."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await worker.place
            link = await self._pool.fresh()
        except TimeoutError as error:
            self._free(worker)  # it may have got one at this moment
            raise QueueFull(
                f"{' and '.join(models)} may make workers die, and so must run alone; the workers "
                "for this are in use: try again in a while"
            ) from error
        except BaseException:
            self._free(worker)
            raise
        finally:
            if worker in self._waiting:
                self._waiting.remove(worker)
        link.error.add_done_callback(lambda _: self._free(worker))
        return link

    def _give_places(self) -> None:
        for worker in list(self._waiting):
            if self._held.total() >= MOST_ALONE:
                return
            callers = [one for one in worker.callers if self._held[one] < MOST_OF_CALLER]
            if callers and not worker.place.done():
                self._held[callers[0]] += 1
                worker.place.set_result(callers[0])

    def _free(self, worker: _LoneWorker) -> None:
        if not worker.place.cancelled() and worker.place.done():
            self._held -= Counter([worker.place.result()])
            self._give_places()

    def _leave(self, key: tuple[str, ...], worker: _LoneWorker) -> None:
        """See to the end of a worker that no call uses any more."""
        if worker.started.done() and not worker.ended and worker.started.result().given_up:
            self._begin(self._rest(key, worker))
            return
        worker.end()
        if self._workers.get(key) is worker:
            del self._workers[key]

    async def _rest(self, key: tuple[str, ...], worker: _LoneWorker) -> None:
        """End a worker once the work of calls that were given up has stopped.

        If it does not stop, the worker dies of it.
        """
        link = worker.started.result()
        try:
            await link.unary(REST)(b"")
        except grpc.aio.AioRpcError:
            link.fall()  # as its process tells
        if not worker.callers:
            worker.end()
            if self._workers.get(key) is worker:
                del self._workers[key]

    def _begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class _LoneWorker:
    """A fresh worker.

    callers: of the calls that use it or wait for it. place: the caller who holds a place for it.
    """

    started: asyncio.Task[WorkerLink]

    def __init__(self) -> None:
        self.callers: Counter[str] = Counter()
        self.place: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def ended(self) -> bool:
        """Tell whether a further call needs another worker."""
        if not self.started.done():
            return False
        if self.started.cancelled() or self.started.exception() is not None:
            return True
        return self.started.result().fallen.is_set()

    def end(self) -> None:
        """End the worker, whether it has started or not."""
        if not self.started.done():
            self.started.cancel()
        elif not self.ended:
            self.started.result().fall(ServiceError("the worker is not needed any more"))
