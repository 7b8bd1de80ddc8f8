"""The progress of work that runs on a worker thread, as messages of its response stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, TypeVar

from onnxplain.server.worker.bounds import check_runs
from onnxplain.v1 import explain_pb2 as pb

__all__ = ["ProgressQueue"]

T = TypeVar("T")


class ProgressQueue(Generic[T]):
    """Takes progress from a worker thread, for the event loop that created it to send.

    message: turns a Progress into a message of the stream.
    """

    def __init__(self, message: Callable[[pb.Progress], T]) -> None:
        self.total = 0
        self._done = 0
        self._message = message
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[T | None] = asyncio.Queue()

    def count(self, done: int, total: int) -> None:
        """Record the steps done without a message, where their results are the message."""
        self._done, self.total = done, total

    def steps(self, done: int, total: int) -> None:
        """Queue the number of steps done. Raises InputError for too many."""
        check_runs(done, total)
        self.count(done, total)
        self._put(pb.Progress(done=done, total=total))

    def runs(self, done: int, total: int) -> None:
        """Queue the number of runs done of the current step. Raises InputError for too many."""
        check_runs(done, total)
        self._put(pb.Progress(done=self._done, total=self.total, runs_done=done, runs_total=total))

    async def until(self, work: asyncio.Future[Any]) -> AsyncIterator[T]:
        """Yield the queued messages until the work ends, whether it succeeds or fails."""

        def end(work: asyncio.Future[Any]) -> None:
            if not work.cancelled():
                work.exception()  # retrieved here: nobody awaits it once the client has gone
            self._queue.put_nowait(None)

        work.add_done_callback(end)
        while (message := await self._queue.get()) is not None:
            yield message

    def _put(self, progress: pb.Progress) -> None:
        self._loop.call_soon_threadsafe(self._queue.put_nowait, self._message(progress))
