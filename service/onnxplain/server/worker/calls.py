"""A call that the worker serves: who makes it, when it must end, and what it has used."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc

from onnxplain.engine import Engine
from onnxplain.graphops.errors import Cancelled
from onnxplain.server.caller import CALLER

__all__ = ["CALLER_KEY", "Call", "call_of", "joint", "limited"]

CALLER_KEY = "onnxplain-caller"  # metadata in which the edge names the client
GRAPHS = (
    "plan",
    "activity",
    "inference",
)  # the engine's cached graphs, by the first word of their keys


@dataclass(eq=False)
class Call:
    """One call of a client.

    caller: the client, by which calls are queued fairly. deadline: when it expires, on the clock of
    time.monotonic; None for never. cancelled: set when its client has gone or it must end.
    queue_seconds, compute_seconds: what it has waited and computed so far. batch: the images that
    ran together, those of other calls included; 0 for calls without images. built: the keys of what
    the engine's cache did not have. uses_graphs: whether it runs graphs of that cache.
    """

    caller: str = ""
    deadline: float | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    queue_seconds: float = 0.0
    compute_seconds: float = 0.0
    batch: int = 0
    built: list[Hashable] = field(default_factory=list)
    uses_graphs: bool = False

    @property
    def timeout(self) -> float | None:
        """The seconds left now; a call may have waited for its turn."""
        return None if self.deadline is None else self.deadline - time.monotonic()

    @property
    def over(self) -> bool:
        """Whether nobody waits for the call any more."""
        timeout = self.timeout
        return self.cancelled.is_set() or (timeout is not None and timeout <= 0)

    def not_begun(self) -> Cancelled:
        """Return the error of a call that is over before its turn."""
        why = "it was cancelled" if self.cancelled.is_set() else "its deadline passed"
        return Cancelled(f"the call was not begun: {why} while it waited for its turn")

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return the trailing metadata that tells what the call has used."""
        told = {
            "onnxplain-queue-ms": f"{1000 * self.queue_seconds:.1f}",
            "onnxplain-compute-ms": f"{1000 * self.compute_seconds:.1f}",
        }
        if self.batch:
            told["onnxplain-batch"] = str(self.batch)
        if self.uses_graphs:
            missed = any(isinstance(key, tuple) and key[0] in GRAPHS for key in self.built)
            told["onnxplain-cache"] = "miss" if missed else "hit"
        return tuple(told.items())


def limited(engine: Engine, call: Call, result_bytes: float = math.inf) -> Engine:
    """Return the engine within the limits of a call, which notes the graphs that it makes.

    Args:
        engine: the engine.
        call: the call.
        result_bytes: limit of the attributions of one explanation.

    Returns:
        An engine that shares the cache of this one.
    """
    call.uses_graphs = True
    return engine.limited(call.timeout, call.cancelled, result_bytes, call.built)


class _Every(threading.Event):
    """Is set once all of some calls are over."""

    def __init__(self, calls: Sequence[Call]) -> None:
        super().__init__()
        self._calls = calls

    def is_set(self) -> bool:
        """Tell whether all are over."""
        return all(call.over for call in self._calls)


def joint(calls: Sequence[Call]) -> Call:
    """Return the call that stands for several which run together: over when all of them are."""
    if len(calls) == 1:
        return calls[0]
    return Call(cancelled=_Every(calls))


def call_of(context: grpc.aio.ServicerContext[Any, Any]) -> Call:
    """Return the call of a context, which is cancelled when the context ends.

    In a worker that clients cannot reach, the edge names the caller in the metadata; where clients
    call this process itself, its interceptors have set CALLER.
    """
    remaining = context.time_remaining()
    caller = CALLER.get(None)
    named = caller.name if caller else dict(context.invocation_metadata() or ()).get(CALLER_KEY)
    call = Call(
        caller=str(named or context.peer().rpartition(":")[0]),
        deadline=None if remaining is None else time.monotonic() + remaining,
    )
    context.add_done_callback(lambda _: call.cancelled.set())  # type: ignore[arg-type]  # wrong stub
    return call
