"""Who makes a call: known from its token, or else from its address."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field

__all__ = ["CALLER", "Caller", "caller_name"]


@dataclass(frozen=True)
class Caller:
    """The client of a call.

    name: of its token, or its address without the port; calls are queued fairly by it. scopes: what
    it may do, of "infer", "upload" and "admin". request_id: the call's own, in the log and on the
    way to the worker.
    """

    name: str
    scopes: frozenset[str] = field(default_factory=frozenset)
    request_id: str = ""


CALLER: ContextVar[Caller] = ContextVar("onnxplain_caller")


def caller_name() -> str:
    """Return the name of the running call's client, "" for a call of the service itself."""
    caller = CALLER.get(None)
    return caller.name if caller else ""
