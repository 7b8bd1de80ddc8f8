"""How many calls may wait for a model; further ones are refused, with the time to come again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from onnxplain.graphops.errors import QueueFull

__all__ = ["Admission"]

SMOOTHING = 0.1  # the weight of a call in the running mean of their durations
SHORTEST, LONGEST = 0.1, 30.0  # seconds until a refused client should come again


class Admission:
    """Admits calls of each model: those that run, and a queue behind them.

    running: the calls of one model that a worker runs at once. queue: those that may wait.
    """

    def __init__(self, running: int, queue: int) -> None:
        self._running = running
        self._queue = queue
        self._admitted: Counter[str] = Counter()
        self._seconds: dict[str, float] = {}

    @contextmanager
    def admit(self, model: str) -> Iterator[None]:
        """Count a call of a model while it lasts. Raises QueueFull."""
        if self._admitted[model] >= self._running + self._queue:
            raise QueueFull(
                f"{self._queue} calls wait for '{model}' already: try again in a while, or call "
                "less often",
                self._delay(model),
            )
        self._admitted[model] += 1
        start = time.monotonic()
        try:
            yield
        finally:
            self._admitted[model] -= 1
            if not self._admitted[model]:
                del self._admitted[model]
            # Waiting counts: it is what the next call will see.
            seconds = time.monotonic() - start
            mean = self._seconds.get(model, seconds)
            self._seconds[model] = mean + SMOOTHING * (seconds - mean)

    def _delay(self, model: str) -> float:
        """Return the seconds after which a place should be free."""
        return min(max(self._seconds.get(model, 1.0) / self._running, SHORTEST), LONGEST)
