"""The operations that a service keeps: each its caller's only, within limits, for a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator

from onnxplain.graphops.errors import (
    InputError,
    MissingOperation,
    OnnxplainError,
    QueueFull,
    UnfinishedOperation,
)
from onnxplain.server.edge.operation_files import KeptOperation, OperationFiles
from onnxplain.server.errors import Failure
from onnxplain.server.settings import Settings
from onnxplain.v1 import explain_pb2 as pb

__all__ = ["KeptOperations"]

log = logging.getLogger(__name__)


class KeptOperations:
    """The operations of all callers.

    Each caller may keep as many, and as many bytes of them, as the settings say; those that ended
    first make room for others.
    """

    def __init__(self, files: OperationFiles, settings: Settings) -> None:
        self.files = files
        self._settings = settings
        self._kept: dict[str, KeptOperation] = {}
        self._ended: dict[str, asyncio.Event] = {}

    async def load(self) -> None:
        """Read the operations from their files."""
        for kept in await asyncio.to_thread(self.files.load):
            self._keep(kept)

    async def add(
        self, caller: str, call: str, model: str, version: str, request: bytes
    ) -> KeptOperation:
        """Keep a new operation.

        Args:
            caller: whose it is.
            call: what it does, `View` or `Evaluate`.
            model: the model's name, as the caller wrote it.
            version: the full name of the version to run on.
            request: the serialised request of the call.

        Raises:
            InputError: the request is too large to be kept.
            QueueFull: too much of the caller's work has not ended.
        """
        self._require_room(caller, call, len(request))
        operation = pb.Operation(
            name=f"operations/{secrets.token_hex(16)}",
            call=call,
            model=model,
            state=pb.OPERATION_STATE_QUEUED,
        )
        operation.create_time.GetCurrentTime()
        kept = KeptOperation(operation, caller, version, size=len(request))
        try:
            await asyncio.to_thread(self.files.keep_request, kept, request)
            self._require_room(caller, call, len(request))  # others may have come meanwhile
            self.files.save(kept)
        except (OSError, OnnxplainError):
            self.files.remove(kept)
            raise
        self._keep(kept)
        self._make_room(caller)
        return kept

    def find(self, caller: str, name: str) -> KeptOperation:
        """Return a caller's operation. Raises MissingOperation."""
        kept = self._kept.get(name)
        if kept is None or kept.caller != caller:
            raise MissingOperation(
                f"no operation '{name}': only the process of the service that started it knows it, "
                f"for {self._settings.keep_seconds / 3600:g} hours after its end; where there are "
                "several processes, route each client to the same one (sticky routing)"
            )
        return kept

    def all_of(self, caller: str) -> list[KeptOperation]:
        """Return a caller's operations, the newest first."""
        mine = [kept for kept in self._kept.values() if kept.caller == caller]
        return sorted(mine, key=KeptOperation.order)

    def unfinished(self) -> list[KeptOperation]:
        """Return the operations that have not ended, the oldest first."""
        waiting = [kept for kept in self._kept.values() if not kept.ended]
        return sorted(waiting, key=KeptOperation.order, reverse=True)

    def end(
        self, kept: KeptOperation, state: pb.OperationState, failed: Failure | None = None
    ) -> None:
        """End an operation, unless it has ended."""
        if kept.ended:
            return
        kept.operation.state = state
        kept.operation.end_time.GetCurrentTime()
        if failed is not None:
            kept.operation.code = failed.code.value[0]
            kept.operation.error = failed.text
            kept.operation.error_kind = failed.kind
        if state != pb.OPERATION_STATE_SUCCEEDED:
            kept.size = 0
        self.save(kept)
        log.info("'%s', %s of %s: %s", kept.name, kept.operation.call, kept.version, _state(kept))
        self._ended[kept.name].set()
        self._make_room(kept.caller)

    def save(self, kept: KeptOperation) -> None:
        """Keep what has changed of an operation across a restart."""
        try:
            self.files.save(kept)
        except OSError:  # what is in memory still counts until the service stops
            log.exception("cannot keep the state of '%s'", kept.name)

    async def wait(self, kept: KeptOperation, seconds: float | None) -> None:
        """Wait until an operation has ended, but no longer than `seconds`."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended[kept.name].wait(), seconds)

    async def read(self, kept: KeptOperation) -> AsyncIterator[pb.ReadOperationResponse]:
        """Yield the results of an operation. Raises UnfinishedOperation if it has none."""
        if kept.operation.state != pb.OPERATION_STATE_SUCCEEDED:
            advice = "start it again" if kept.ended else "wait until it has ended"
            reason = f" ({kept.operation.error})" if kept.operation.error else ""
            raise UnfinishedOperation(
                f"'{kept.name}' is {_state(kept)}{reason} and has no results: {advice}"
            )
        results = self.files.read(kept)
        while (message := await asyncio.to_thread(next, results, None)) is not None:
            yield message

    def stop_waiting(self) -> None:
        """Let every `wait` return."""
        for event in self._ended.values():
            event.set()

    def remove(self, kept: KeptOperation) -> None:
        """Remove an operation that has ended, with its results. Raises UnfinishedOperation."""
        if not kept.ended:
            raise UnfinishedOperation(f"'{kept.name}' has not ended: cancel it first")
        self._forget(kept)

    async def expire(self) -> None:
        """Remove operations as soon as they have been kept for long enough, for ever."""
        while True:
            kept_since = time.time_ns() - self._settings.keep_seconds * 1e9
            for kept in list(self._kept.values()):
                if kept.ended and kept.end() < kept_since:
                    self._forget(kept)
            await asyncio.sleep(min(60.0, max(0.05, self._settings.keep_seconds / 10)))

    def _require_room(self, caller: str, call: str, size: int) -> None:
        """Raise InputError or QueueFull if a request has no place beside what has not ended."""
        most = self._settings.keep_bytes
        if size > most:
            raise InputError(
                f"the request exceeds {most} bytes, the most that the service keeps for one "
                f"caller: call {call} itself"
            )
        waiting = [kept for kept in self.all_of(caller) if not kept.ended]
        full = len(waiting) >= self._settings.keep_operations
        if full or size + sum(kept.size for kept in waiting) > most:
            raise QueueFull(
                f"{len(waiting)} operations of yours have not ended, and the service keeps no more "
                "for one caller: wait for them, or cancel some"
            )

    def _keep(self, kept: KeptOperation) -> None:
        self._kept[kept.name] = kept
        self._ended[kept.name] = asyncio.Event()
        if kept.ended:
            self._ended[kept.name].set()

    def _forget(self, kept: KeptOperation) -> None:
        del self._kept[kept.name], self._ended[kept.name]
        try:
            self.files.remove(kept)
        except OSError:
            log.exception("cannot remove '%s'", kept.name)

    def _make_room(self, caller: str) -> None:
        """Remove what ended first, as long as a caller has too much."""
        mine = self.all_of(caller)
        count, size = len(mine), sum(kept.size for kept in mine)
        for kept in sorted((one for one in mine if one.ended), key=KeptOperation.end):
            if count <= self._settings.keep_operations and size <= self._settings.keep_bytes:
                return
            self._forget(kept)
            count, size = count - 1, size - kept.size


def _state(kept: KeptOperation) -> str:
    """Return the word for an operation's state."""
    return pb.OperationState.Name(kept.operation.state).rpartition("_")[2].lower()
