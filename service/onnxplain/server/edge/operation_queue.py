"""Runs operations on the workers: some at once, fairly among their callers."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator
from typing import Protocol

from onnxplain.graphops.errors import AnswerTooLarge, WorkerDied
from onnxplain.server.caller import CALLER, Caller
from onnxplain.server.edge.kept_operations import KeptOperations
from onnxplain.server.edge.operation_files import KeptOperation
from onnxplain.server.errors import failure
from onnxplain.server.settings import Settings
from onnxplain.v1 import explain_pb2 as pb

__all__ = ["OperationQueue", "WorkerStreams"]

SERVICE = "/" + pb.DESCRIPTOR.services_by_name["ExplainService"].full_name
RESPONSES: dict[str, type[pb.ViewResponse] | type[pb.EvaluateResponse]] = {
    "View": pb.ViewResponse,
    "Evaluate": pb.EvaluateResponse,
}
MOST_STARTS = 3  # an operation during which the service died this often may be what kills it
RETRY_SECONDS = 1.0  # until an operation that no worker took is begun again
BUSY = ("QueueFull", "NoWorker")  # no worker took the operation


class WorkerStreams(Protocol):
    """Calls workers."""

    def stream(
        self, method: str, request: bytes, model: str, *, timeout: float | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield the serialised responses of a call."""


class OperationQueue:
    """The operations that have not ended: some run, the others wait."""

    def __init__(self, workers: WorkerStreams, kept: KeptOperations, settings: Settings) -> None:
        self._workers = workers
        self._kept = kept
        self._settings = settings
        self._running: dict[str, asyncio.Task[None]] = {}
        self._callers: Counter[str] = Counter()  # of those that run
        self._resting: set[str] = set()  # those that no worker took a moment ago
        self._stopping = False

    def start(self) -> None:
        """Run those again that had not ended when the service stopped."""
        for kept in self._kept.unfinished():
            kept.operation.state = pb.OPERATION_STATE_QUEUED
            if kept.starts >= MOST_STARTS:
                text = f"the service died {kept.starts} times while it ran: start smaller work"
                self._kept.end(kept, pb.OPERATION_STATE_FAILED, failure(WorkerDied(text)))
        self.begin()

    async def stop(self) -> None:
        """Stop what runs; it is run again after the next start."""
        self._stopping = True
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    def begin(self) -> None:
        """Begin as many as may run at once, first of the callers with the fewest running."""
        while len(self._running) < self._settings.operations and not self._stopping:
            begun = self._running.keys() | self._resting
            waiting = [kept for kept in self._kept.unfinished() if kept.name not in begun]
            if not waiting:
                return
            kept = min(waiting, key=lambda one: self._callers[one.caller])
            self._callers[kept.caller] += 1
            self._running[kept.name] = asyncio.create_task(self._run(kept))

    def cancel(self, kept: KeptOperation) -> None:
        """End an operation, unless it has ended."""
        self._kept.end(kept, pb.OPERATION_STATE_CANCELLED)
        if task := self._running.get(kept.name):
            task.cancel()

    async def _run(self, kept: KeptOperation) -> None:
        CALLER.set(Caller(kept.caller, frozenset({"infer"}), kept.name.rpartition("/")[2]))
        try:
            kept.operation.state = pb.OPERATION_STATE_RUNNING
            kept.operation.ClearField("progress")
            kept.starts += 1
            self._kept.save(kept)
            await self._store_results(kept)
            self._kept.end(kept, pb.OPERATION_STATE_SUCCEEDED)
        except asyncio.CancelledError:  # by the client, or because the service stops
            self._requeue(kept)
        except Exception as error:
            failed = failure(error)
            if failed.kind in BUSY:
                self._requeue(kept)
                self._resting.add(kept.name)
                asyncio.get_running_loop().call_later(RETRY_SECONDS, self._rested, kept.name)
            else:
                self._kept.end(kept, pb.OPERATION_STATE_FAILED, failed)
        finally:
            del self._running[kept.name]
            self._callers -= Counter([kept.caller])
            self.begin()

    async def _store_results(self, kept: KeptOperation) -> None:
        call, files = kept.operation.call, self._kept.files
        request = await asyncio.to_thread(files.request, kept)
        kept.size = len(request)
        responses = self._workers.stream(f"{SERVICE}/{call}", request, kept.version)
        async with contextlib.aclosing(responses):
            with files.results(kept) as write:
                async for data in responses:
                    response = RESPONSES[call].FromString(data)
                    if response.HasField("progress"):
                        kept.operation.progress.CopyFrom(response.progress)
                        continue
                    kept.size += len(data)
                    if kept.size > self._settings.keep_bytes:
                        raise AnswerTooLarge(
                            f"the results exceed {self._settings.keep_bytes} bytes, the most that "
                            f"the service keeps for one caller: call {call} itself"
                        )
                    write(pb.ReadOperationResponse(**{call.lower(): response}))  # type: ignore[arg-type]
        kept.size -= len(request)

    def _requeue(self, kept: KeptOperation) -> None:
        """Let an operation wait again that is not to blame for its end."""
        if not kept.ended:
            kept.operation.state = pb.OPERATION_STATE_QUEUED
            kept.starts -= 1
            self._kept.save(kept)

    def _rested(self, name: str) -> None:
        self._resting.discard(name)
        self.begin()
