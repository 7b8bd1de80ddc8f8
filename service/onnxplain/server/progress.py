"""What is told of work while it is going on: how far it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, TypeVar

from onnxplain.v1 import explain_pb2 as pb

__all__ = ["News"]

T = TypeVar("T")


class News(Generic[T]):
    """Progress, told by the thread that works, and sent by the event loop that made this.

    message: makes of a Progress what is sent.
    """

    def __init__(self, message: Callable[[pb.Progress], T]) -> None:
        self.total = 0
        self._done = 0
        self._message = message
        self._loop = asyncio.get_running_loop()
        self._told: asyncio.Queue[T | None] = asyncio.Queue()

    def count(self, done: int, total: int) -> None:
        """Take note of how many steps are done, where their results tell it."""
        self._done, self.total = done, total

    def steps(self, done: int, total: int) -> None:
        """Tell how many steps are done."""
        self.count(done, total)
        self._tell(pb.Progress(done=done, total=total))

    def runs(self, done: int, total: int) -> None:
        """Tell how many runs of the step under way are done."""
        self._tell(pb.Progress(done=self._done, total=self.total, runs_done=done, runs_total=total))

    async def until(self, work: asyncio.Future[Any]) -> AsyncIterator[T]:
        """Yield what is told until the work is done, whatever became of it."""

        def end(work: asyncio.Future[Any]) -> None:
            if not work.cancelled():
                work.exception()  # which nobody else looks at where the client has gone
            self._told.put_nowait(None)

        work.add_done_callback(end)
        while (message := await self._told.get()) is not None:
            yield message

    def _tell(self, progress: pb.Progress) -> None:
        self._loop.call_soon_threadsafe(self._told.put_nowait, self._message(progress))
