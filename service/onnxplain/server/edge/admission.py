"""How many calls may wait for a model; further ones are refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from onnxplain.graphops.errors import QueueFull

__all__ = ["Admission"]


class Admission:
    """Admits calls of each model: those that run, and a queue behind them.

    running: the calls of one model that a worker runs at once. queue: those that may wait.
    `admitted` has how many there are of each model.
    """

    def __init__(self, running: int, queue: int) -> None:
        self._queue = queue
        self._most = running + queue
        self.admitted: Counter[str] = Counter()

    @contextmanager
    def admit(self, model: str) -> Iterator[None]:
        """Count a call of a model while it lasts. Raises QueueFull."""
        if self.admitted[model] >= self._most:
            what = f"for '{model}' " if model else ""
            raise QueueFull(
                f"{self._queue} calls wait {what}already: try again in a while, or call less often"
            )
        self.admitted[model] += 1
        try:
            yield
        finally:
            self.admitted[model] -= 1
            if not self.admitted[model]:
                del self.admitted[model]
