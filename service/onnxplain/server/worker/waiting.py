"""The calls that wait for a slot, and which of them is next."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from onnxplain.server.worker.calls import Call, joint

__all__ = ["Together", "Waiting", "WaitingCalls", "results_of"]

T = TypeVar("T")
M = TypeVar("M")
Together: TypeAlias = "Callable[[Sequence[M], Call], Sequence[T | Exception]]"


@dataclass(eq=False)
class Waiting:
    """A call that waits for a slot.

    outcome: its result; that of a call without `run`, None, tells that it has the slot. begin:
    called when it has the slot, with the calls that share it. long: whether it is a stream. key,
    size, member and run: as in `Scheduler.together`. arrived: its place in the order of arrivals
    and turns. since: when it began to wait.
    """

    call: Call
    outcome: asyncio.Future[Any]
    begin: Callable[[Sequence[Waiting]], None]
    long: bool = False
    key: Hashable = None
    size: int = 0
    member: Any = None
    run: Together[Any, Any] | None = None
    arrived: int = 0
    since: float = field(default_factory=time.monotonic)


class WaitingCalls:
    """The calls that wait, in the order of their arrival.

    most: the images of calls that run together, at most. delay: the seconds that a call waits for
    others to run with.
    """

    def __init__(self, most: int, delay: float) -> None:
        self.calls: list[Waiting] = []
        self._most = most
        self._delay = delay
        self._ticks = itertools.count(1)
        self._served: dict[str, int] = {}  # the last turn of the callers who wait

    def add(self, waiting: Waiting) -> None:
        """Append a call."""
        waiting.arrived = next(self._ticks)
        self.calls.append(waiting)

    def drop_those_over(self) -> None:
        """End the calls that are over, without having begun them."""
        for one in [one for one in self.calls if one.call.over]:
            self.calls.remove(one)
            if not one.outcome.done():
                one.outcome.set_exception(one.call.not_begun())

    def take(self, held: Counter[str], streams: Counter[str], most_streams: int) -> list[Waiting]:
        """Take out the call whose turn it is, and those that run with it; none if none may begin.

        Args:
            held: the number of slots of each caller.
            streams: the number of those that are for streams.
            most_streams: the most of them for one caller.

        Returns:
            The calls, of which the first is the one whose turn it is.
        """

        def is_ready(one: Waiting) -> bool:
            if one.outcome.done() or (one.long and streams[one.call.caller] >= most_streams):
                return False
            return not self._lingers(one)

        def order(one: Waiting) -> tuple[int, int]:
            caller = one.call.caller
            return held[caller], max(self._served.get(caller, 0), one.arrived)

        first = min(filter(is_ready, self.calls), key=order, default=None)
        if first is None:
            return []
        group = [first, *self._companions(first)]
        for one in group:
            self.calls.remove(one)
            self._served[one.call.caller] = next(self._ticks)
            one.call.queue_seconds += time.monotonic() - one.since
        callers = {one.call.caller for one in self.calls}
        self._served = {name: at for name, at in self._served.items() if name in callers}
        return group

    def _lingers(self, one: Waiting) -> bool:
        """Tell whether a call still waits for others to run with."""
        if one.key is None or time.monotonic() - one.since >= self._delay:
            return False
        return one.size + sum(other.size for other in self._companions(one)) < self._most

    def _companions(self, first: Waiting) -> list[Waiting]:
        """Return the other calls that may run with the first, in the order of their arrival."""
        found, size = [], first.size
        for one in self.calls if first.key is not None else ():
            same = (one.key, one.run) == (first.key, first.run)
            if one is not first and same and not one.outcome.done():
                if size + one.size > self._most:
                    break
                found.append(one)
                size += one.size
        return found


def results_of(group: Sequence[Waiting]) -> Sequence[Any]:
    """Run calls together, and return the result or the exception of each."""
    size = sum(one.size for one in group)
    for one in group:
        one.call.batch = size
    try:
        return _run(group)
    except Exception as e:
        return [e] if len(group) == 1 else [_alone(one) for one in group]


def _run(group: Sequence[Waiting]) -> Sequence[Any]:
    call, run = joint([one.call for one in group]), group[0].run
    results = () if run is None else run([one.member for one in group], call)
    for one in group:
        one.call.built, one.call.uses_graphs = call.built, call.uses_graphs
    return results


def _alone(one: Waiting) -> Any:
    """Return the result of a call by itself; a stream is to do its own work."""
    one.call.batch = one.size
    if one.long:
        return None
    try:
        return one.call.not_begun() if one.call.over else _run([one])[0]
    except Exception as e:
        return e
