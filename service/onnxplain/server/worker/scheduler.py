"""When calls compute: some at once, callers in turn, and calls for the same graph together.

Everything here runs on the event loop, except the work itself, which runs on threads.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from onnxplain.graphops.errors import NoWorker
from onnxplain.server.errors import out_of_memory
from onnxplain.server.settings import Settings
from onnxplain.server.worker.calls import Call
from onnxplain.server.worker.turns import Turn
from onnxplain.server.worker.waiting import Together, Waiting, WaitingCalls, results_of

__all__ = ["STUCK_EXIT_CODE", "Scheduler", "end_stuck_process"]

log = logging.getLogger(__name__)

STUCK_EXIT_CODE = 75  # of a worker whose work did not stop
LIGHT = 2  # threads for work that needs no slot

T = TypeVar("T")
M = TypeVar("M")


def end_stuck_process() -> None:
    """End this process at once, as a worker does whose work goes on after its call has ended."""
    os._exit(STUCK_EXIT_CODE)


class Scheduler:
    """Gives calls their turn to compute.

    `settings.concurrency` calls compute at once, each in a slot. A free slot goes to the caller who
    has the fewest, and among these to the one who has waited longest since its last turn; the calls
    of one caller keep their order. Streams of one caller leave a slot for others, where there is
    more than one. A call that is over before its turn never begins.

    on_stuck: called where work goes on `settings.grace_seconds` after its call has ended; None to
        let it go on.
    """

    def __init__(
        self, settings: Settings | None = None, on_stuck: Callable[[], None] | None = None
    ) -> None:
        self._settings = settings or Settings()
        self._on_stuck = on_stuck
        self._threads = ThreadPoolExecutor(self._settings.concurrency, "onnxplain")
        self._light = ThreadPoolExecutor(LIGHT, "onnxplain-light")
        self._waiting = WaitingCalls(self._settings.batch, self._settings.delay_ms / 1000)
        self._turns: set[Turn] = set()  # those that have a slot
        self._groups: set[asyncio.Task[None]] = set()
        self._stopped = False

    @property
    def free(self) -> int:
        """The number of free slots."""
        return self._settings.concurrency - len(self._turns)

    @property
    def busy(self) -> bool:
        """Whether a slot is taken: work that nobody waits for any more keeps its own."""
        return bool(self._turns)

    @property
    def waiting(self) -> int:
        """The number of calls that wait for their turn."""
        return len(self._waiting.calls)

    async def run(self, call: Call, function: Callable[..., T], *arguments: Any) -> T:
        """Run the work of one call when its turn comes.

        Args:
            call: the call.
            function: the work, which runs on a thread.
            *arguments: its arguments.

        Returns:
            Its result.

        Raises:
            Cancelled: the call was over before its turn.
            Exception: whatever the work raises.
        """
        turn = Turn(self, call)
        try:
            return await turn.run(function, *arguments)
        finally:
            turn.end()

    async def aside(self, call: Call, function: Callable[..., T], *arguments: Any) -> T:
        """Run light work, such as listing models, without waiting for a slot.

        Args:
            call: the call.
            function: the work, which runs on a thread.
            *arguments: its arguments.

        Returns:
            Its result.

        Raises:
            Exception: whatever the work raises.
        """
        return await asyncio.wrap_future(self._light.submit(_timed([call], function, *arguments)))

    async def together(
        self, call: Call, key: Hashable, size: int, member: M, run: Together[M, T]
    ) -> T:
        """Run the work of one call, together with that of others which wait and have the same key.

        Args:
            call: the call.
            key: calls with equal keys and the same `run` may run together; None for a
                call that runs alone.
            size: the images of the call; those of calls that run together are at most
                `settings.batch`.
            member: what `run` needs of this call.
            run: takes the members, and a call whose limits hold for the work: it is over once all
                of theirs are. It returns a result for each member, in their order, or the exception
                to raise for it. Where it raises with several members, each is run alone.

        Returns:
            This member's result: it must be what the member alone gives.

        Raises:
            Cancelled: the call was over before its turn.
            Exception: whatever `run` returns or raises for this member.
        """
        more = {"key": key, "size": size, "member": member, "run": run}
        result: T = await self.grant(Turn(self, call), **more)
        return result

    async def grant(self, turn: Turn, **together: Any) -> Any:
        """Wait until a turn has a slot, or until the work that calls do together is done.

        Args:
            turn: the turn.
            **together: the fields of Waiting for such work.

        Returns:
            The result of that work; None where there is none, since the turn is to do its own. It
            has a slot then, unless the work together failed.

        Raises:
            Cancelled: the call was over before its turn.
            NoWorker: the service stops.
        """
        if self._stopped:
            raise _stops()
        loop, call = asyncio.get_running_loop(), turn.calls[0]
        begin = functools.partial(self._begin, turn)
        waiting = Waiting(call, loop.create_future(), begin, turn.long, **together)
        self._waiting.add(waiting)
        if waiting.key is not None and self._settings.delay_ms:
            loop.call_later(self._settings.delay_ms / 1000, self._dispatch)
        self._dispatch()
        try:
            return await waiting.outcome
        except asyncio.CancelledError:
            call.cancelled.set()
            if waiting in self._waiting.calls:
                self._waiting.calls.remove(waiting)
            elif not waiting.outcome.cancelled():
                turn.end()  # it got its slot at the moment of its end
            for other in self._turns:
                if call in other.calls and all(one.over for one in other.calls):
                    other.watch()
            raise

    def holds(self, turn: Turn) -> bool:
        """Tell whether a turn has a slot."""
        return turn in self._turns

    def give_back(self, turn: Turn) -> None:
        """Take back the slot of a turn, if it has one, for the calls that wait."""
        self._turns.discard(turn)
        self._dispatch()

    def submit(self, turn: Turn, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Run work on a thread, in the slot of a turn."""
        return self._threads.submit(_timed(turn.calls, function, *arguments))

    def tidy(self, cleanup: Callable[[], None]) -> None:
        """Run what a call leaves to be done on a thread."""
        with suppress(RuntimeError):  # the threads have been released
            self._light.submit(cleanup)

    def watch(self, work: Future[Any]) -> None:
        """Call `on_stuck` where work that nobody waits for goes on too long."""
        grace, on_stuck = self._settings.grace_seconds, self._on_stuck
        if on_stuck is None or work.done():
            return
        loop = asyncio.get_running_loop()

        def check() -> None:
            if not work.done():
                log.critical("work goes on %g s after its call has ended: the process ends", grace)
                on_stuck()

        timer = loop.call_later(grace, check)

        def ended(_: Future[Any]) -> None:
            with suppress(RuntimeError):  # the event loop has ended
                loop.call_soon_threadsafe(timer.cancel)  # it would hold the work's result

        work.add_done_callback(ended)

    def stop(self) -> None:
        """End every running call, as if its client had disconnected, and refuse those that wait."""
        self._stopped = True
        for call in [call for turn in self._turns for call in turn.calls]:
            call.cancelled.set()
        for waiting in self._waiting.calls:
            if not waiting.outcome.done():
                waiting.outcome.set_exception(_stops())
        self._waiting.calls.clear()

    def close(self) -> None:
        """Release the threads, once nothing is to run any more."""
        self.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._light.shutdown(wait=False, cancel_futures=True)

    def _dispatch(self) -> None:
        """Give the free slots away."""
        self._waiting.drop_those_over()
        while self.free > 0:
            held = Counter(turn.calls[0].caller for turn in self._turns)
            streams = Counter(turn.calls[0].caller for turn in self._turns if turn.long)
            group = self._waiting.take(held, streams, max(1, self._settings.concurrency - 1))
            if not group:
                return
            group[0].begin(group)

    def _begin(self, turn: Turn, group: Sequence[Waiting]) -> None:
        """Give a slot to a turn, for all calls of a group."""
        turn.calls = [one.call for one in group]
        self._turns.add(turn)
        if group[0].run is None or (turn.long and len(group) == 1):
            group[0].outcome.set_result(None)
        else:
            task = asyncio.ensure_future(_run_together(turn, group))
            self._groups.add(task)
            task.add_done_callback(self._groups.discard)


async def _run_together(turn: Turn, group: Sequence[Waiting]) -> None:
    """Run calls together, and pass each its result."""
    try:
        results = await turn.run(results_of, group)
    except (RuntimeError, MemoryError) as error:  # or else the threads have been released
        results = [error if out_of_memory(error) else _stops()] * len(group)
    finally:
        turn.end()
    for one, result in zip(group, results, strict=True):
        if one.outcome.done():
            continue
        if isinstance(result, Exception):
            one.outcome.set_exception(result)
        else:
            one.outcome.set_result(result)


def _timed(calls: Sequence[Call], function: Callable[..., T], *arguments: Any) -> Callable[[], T]:
    """Return work that adds its time to that of its calls."""

    def timed() -> T:
        begun = time.monotonic()
        try:
            return function(*arguments)
        finally:
            for call in calls:
                call.compute_seconds += time.monotonic() - begun

    return timed


def _stops() -> NoWorker:
    return NoWorker("the service stops, and did not begin the call: repeat it")
