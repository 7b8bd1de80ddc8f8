"""Places and bytes that clients share, so that none can take all; calls beyond are refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from onnxplain.graphops.errors import QueueFull
from onnxplain.server.caller import caller_name

__all__ = ["Admission", "Shares"]


class Shares:
    """An amount of something, of which each client may hold as much as it leaves free.

    So one client alone gets half, the next half of the rest: whoever comes new finds some.

    most: of all clients together. `held` has how much each holds.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.held: Counter[str] = Counter()

    def fits(self, client: str, amount: int = 1) -> bool:
        """Tell whether a client may hold that much more."""
        return self.held[client] + amount <= self._most - self.held.total()

    def add(self, client: str, amount: int) -> None:
        """Count that a client holds so much more, or less where the amount is negative."""
        self.held[client] += amount
        if not self.held[client]:
            del self.held[client]

    @contextmanager
    def place(self, what: str) -> Iterator[None]:
        """Hold one for the client of the running call. Raises QueueFull, which says `what` is."""
        client = caller_name()
        if not self.fits(client):
            raise QueueFull(
                f"{self.held.total()} {what} already, {self.held[client]} of them of this client: "
                "try again in a while, or call less often"
            )
        self.add(client, 1)
        try:
            yield
        finally:
            self.add(client, -1)


class Admission:
    """Admits calls of each model: those that run, and a queue behind them.

    running: the calls of one model that a worker runs at once. queue: those that may wait.
    """

    def __init__(self, running: int, queue: int) -> None:
        self._most = running + queue
        self._models: dict[str, Shares] = {}

    @property
    def admitted(self) -> dict[str, int]:
        """How many calls there are of each model."""
        return {model: shares.held.total() for model, shares in self._models.items()}

    @contextmanager
    def admit(self, model: str) -> Iterator[None]:
        """Count a call of a model while it lasts. Raises QueueFull."""
        shares = self._models.setdefault(model, Shares(self._most))
        try:
            with shares.place(f"calls run or wait for '{model}'" if model else "calls run or wait"):
                yield
        finally:
            if not shares.held:
                self._models.pop(model, None)
