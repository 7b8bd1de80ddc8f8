"""The turn of a call to compute: it takes a slot of the scheduler, and gives it back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from onnxplain.server.worker.calls import Call

if TYPE_CHECKING:
    from onnxplain.server.worker.scheduler import Scheduler

__all__ = ["Turn"]

PATIENCE = 0.1  # seconds that a stream's slot stays idle, its client being slow, before it is free

T = TypeVar("T")


class Turn:
    """The turn of a call, or of calls that run together, to compute in a slot.

    It takes a slot when it first runs work, and keeps it. The slot of a stream goes back while the
    stream rests, its client being slow: its next work waits for a slot again.

    calls: the calls; the first is the one whose turn it is. long: whether it is a stream.
    """

    def __init__(self, scheduler: Scheduler, call: Call, *, long: bool = False) -> None:
        self.calls = [call]
        self.long = long
        self._scheduler = scheduler
        self._loop = asyncio.get_running_loop()
        self._work: Future[Any] | None = None
        self._rest: asyncio.TimerHandle | None = None
        self._ended = False

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run work on a thread, once there is a slot.

        Args:
            function: the work.
            *arguments: its arguments.

        Returns:
            Its result.

        Raises:
            Cancelled: the call was over before its turn.
            Exception: whatever the work raises.
        """
        if self._rest is not None:
            self._rest.cancel()
        if not self._scheduler.holds(self):
            await self._scheduler.grant(self)
        self._work = self._scheduler.submit(self, function, *arguments)
        self._work.add_done_callback(self._done)
        return await asyncio.wrap_future(self._work)

    def end(self, cleanup: Callable[[], None] | None = None) -> None:
        """Give the slot back as soon as the work is done, which is told to stop.

        Args:
            cleanup: what is left to be done then, on a thread.
        """
        self._ended = True
        if self._rest is not None:
            self._rest.cancel()
        tidy = self._scheduler.tidy
        if self._work is None or self._work.done():
            self._scheduler.give_back(self)
            if cleanup is not None:
                tidy(cleanup)
            return
        for call in self.calls:
            call.cancelled.set()
        self.watch()
        if cleanup is not None:
            self._work.add_done_callback(lambda _: tidy(cleanup))

    def watch(self) -> None:
        """See that the current work stops, which nobody waits for any more."""
        if self._work is not None:
            self._scheduler.watch(self._work)

    def _done(self, work: Future[Any]) -> None:
        with suppress(RuntimeError):  # the event loop has ended
            self._loop.call_soon_threadsafe(self._after)

    def _after(self) -> None:
        if self._work is not None and self._work.done():
            self._work = None  # its result would live as long as this turn
        if self._ended:
            self._scheduler.give_back(self)
        elif self.long:
            self._rest = self._loop.call_later(PATIENCE, self._scheduler.give_back, self)
