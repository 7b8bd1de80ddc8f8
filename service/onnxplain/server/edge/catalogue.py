"""The models of a service: which version a name means, and which versions are ready to serve.

A version that appears in a watched source is opened by a worker first. Until then, and if that
fails, the name of its model alone means the newest older version that is ready.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol

from grpc import StatusCode

from onnxplain.graphops.errors import InputError, MissingModel
from onnxplain.registry import Listing, ModelSource, ModelVersion, parse_name
from onnxplain.server.edge.call_records import note_model
from onnxplain.server.errors import failure
from onnxplain.v1.worker_pb2 import WarmRequest

__all__ = ["UnaryCalls", "Catalogue"]

log = logging.getLogger(__name__)

WARM = "/onnxplain.v1.WorkerService/Warm"
WARM_SECONDS = 300.0  # after which a version counts as one that cannot be opened
AT_ONCE = 2  # versions that are opened at once, beside the clients' calls
PAUSE_SECONDS = 0.5  # before a version is opened again that no worker could take
# Kinds of failures that say nothing of the model. A model that kills workers ends in quarantine.
PASSING = ("NoWorker", "QueueFull", "ServiceError", "WorkerDied")


class UnaryCalls(Protocol):
    """What takes a call to a worker, as `Workers` does."""

    def unary(
        self, method: str, request: bytes, model: str, *, timeout: float | None = None
    ) -> Awaitable[bytes]:
        """Call a method with one response."""


@dataclass(frozen=True)
class Opened:
    """What came of opening a version. stamp: the version's. problem: the error, or ""."""

    stamp: str
    problem: str


class Catalogue:
    """The versions of all models in several sources.

    sources: where the models are. workers: open new versions. warm: whether they do; otherwise
    every version serves as soon as it is listed.
    """

    def __init__(
        self, sources: Sequence[ModelSource], workers: UnaryCalls, *, warm: bool = True
    ) -> None:
        self._sources = sources
        self._workers = workers
        self._warm = warm
        self._listing = Listing(())
        self._listings = 0  # begun so far
        self._lock = asyncio.Lock()
        self._opened: dict[str, Opened] = {}
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(AT_ONCE)
        self._watching: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """List the models, and begin to watch the sources and to open what is new."""
        await self.refresh()
        self._watching = [asyncio.create_task(self._watch(source)) for source in self._sources]

    async def stop(self) -> None:
        """Stop watching and opening."""
        tasks = [*self._watching, *self._opening.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def resolve(self, name: str) -> str:
        """Return the full name of the version to serve.

        Args:
            name: `models/{model}/versions/{version}`; or `models/{model}` for the newest version
                that is ready or, before any is, for the newest that may yet be.

        Returns:
            The name `models/{model}/versions/{version}`.

        Raises:
            InputError: the name is not of that form.
            MissingModel: there is no such model or version.
        """
        try:
            found = self._resolve(name)
        except MissingModel:
            await self.refresh()  # it may be newer than the last look at the sources
            found = await asyncio.to_thread(self._resolve, name)
        note_model(found)
        return found

    def known(self, name: str) -> str:
        """Return what `resolve` does, or "", from the last look at the sources alone."""
        with contextlib.suppress(InputError):
            if parse_name(name)[0] in self._listing:
                return self._resolve(name)
        return ""

    def stamp(self, name: str) -> str:
        """Return a text that changes when the version of that full name gets another content.

        It is "" for a name that none has.
        """
        try:
            return self._listing.find(name).stamp
        except InputError:
            return ""

    def ready(self, name: str) -> bool:
        """Tell whether the version of that full name was opened, or need not be."""
        try:
            return not self._warm or self._is_ready(self._listing.find(name))
        except MissingModel:
            return False

    def problem(self, name: str) -> str:
        """Return why the version of that full name could not be opened, "" if it was not tried."""
        opened = self._opened.get(name)
        return opened.problem if opened and opened.stamp == self.stamp(name) else ""

    @property
    def listing(self) -> Listing:
        """What the sources listed last."""
        return self._listing

    async def refresh(self) -> None:
        """List the models anew, and open what is new."""
        next_listing = self._listings + 1
        async with self._lock:
            if self._listings >= next_listing:
                return  # one that began after this call has ended
            self._listings += 1
            self._listing = await asyncio.to_thread(Listing, self._sources)
        names = {version.name for version in self._listing}
        self._opened = {name: o for name, o in self._opened.items() if name in names}
        if self._warm:
            for model in {version.model for version in self._listing}:
                if model not in self._opening and self._next_to_open(model):
                    self._opening[model] = asyncio.create_task(self._open_newest(model))

    def _resolve(self, name: str) -> str:
        model, number = parse_name(name)
        if number is not None:
            return self._listing.find(name).name
        newest_first = self._listing.versions(model)[::-1]
        if not self._warm:
            return newest_first[0].name
        for state in (self._is_ready, self._may_be_ready):
            for version in newest_first:
                if state(version):
                    return version.name
        return newest_first[0].name

    def _is_ready(self, version: ModelVersion) -> bool:
        return self._opened.get(version.name) == Opened(version.stamp, "")

    def _may_be_ready(self, version: ModelVersion) -> bool:
        """Tell whether a version has not been tried yet, or could be opened."""
        opened = self._opened.get(version.name)
        untried = opened is None or opened.stamp != version.stamp
        return not version.problem and (untried or self._is_ready(version))

    def _next_to_open(self, model: str) -> ModelVersion | None:
        """Return the newest version that may serve, if it has not been opened yet."""
        try:
            versions = self._listing.versions(model)
        except MissingModel:
            return None
        for version in reversed(versions):
            if self._is_ready(version):
                return None
            if self._may_be_ready(version):
                return version
        return None

    async def _watch(self, source: ModelSource) -> None:
        while True:
            try:
                async for _ in source.watch():
                    await self.refresh()
            except Exception as error:  # a source must not be given up for one failure
                log.warning("models could not be listed: %s", error)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _open_newest(self, model: str) -> None:
        """Open versions of a model, the newest first, until one is ready."""
        try:
            while version := self._next_to_open(model):
                async with self._places:
                    problem = await self._open(version)
                if problem is None:
                    await asyncio.sleep(PAUSE_SECONDS)
                    continue
                self._opened[version.name] = Opened(version.stamp, problem)
                if problem:
                    log.warning("%s cannot be served: %s", version.name, problem)
                with contextlib.suppress(MissingModel):  # it may have gone meanwhile
                    if self.ready(now := self._resolve(f"models/{model}")):
                        log.info("models/%s is now %s", model, now)
        finally:
            del self._opening[model]

    async def _open(self, version: ModelVersion) -> str | None:
        """Have a worker open a version: return the problem, "" if none, None to try again."""
        request = WarmRequest(model=version.name).SerializeToString()
        try:
            await self._workers.unary(WARM, request, version.name, timeout=WARM_SECONDS)
        except Exception as error:
            end = failure(error)
            if end.kind == "MissingModel":
                await self.refresh()
            if end.kind in PASSING or self.stamp(version.name) != version.stamp:
                return None
            late = end.code is StatusCode.DEADLINE_EXCEEDED
            return f"opening it took more than {WARM_SECONDS:g} seconds" if late else end.text
        return ""
