"""Clients that call one after the other without pause, and what their calls took."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

__all__ = ["closed_loop"]


def closed_loop(calls: Sequence[Callable[[], object]], seconds: float) -> tuple[list[float], float]:
    """Run each call in a thread of its own, over and over, for so many seconds.

    Returns the seconds of every call, and those from the first call to the end of the last.
    """
    taken: list[float] = []
    errors: list[Exception] = []
    start = threading.Barrier(len(calls) + 1)
    end = float("inf")

    def client(call: Callable[[], object]) -> None:
        start.wait()
        while (begin := time.perf_counter()) < end and not errors:
            try:
                call()
            except Exception as e:
                errors.append(e)
                return
            taken.append(time.perf_counter() - begin)

    threads = [threading.Thread(target=client, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    begin = time.perf_counter()
    end = begin + seconds
    start.wait()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return taken, time.perf_counter() - begin
