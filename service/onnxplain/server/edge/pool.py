"""The pool of workers: started, watched, and replaced when they die."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Coroutine
from itertools import count, starmap
from typing import Any

import grpc

from onnxplain.graphops.errors import (
    NoWorker,
    OnnxplainError,
    OutOfMemory,
    ServiceError,
    WorkerDied,
)
from onnxplain.server.credentials import worker_channel_credentials
from onnxplain.server.edge.blame import Blame
from onnxplain.server.edge.private_folders import PrivateFolder
from onnxplain.server.edge.spawning import WorkerProcess
from onnxplain.server.edge.worker_link import WorkerLink
from onnxplain.server.handover import MEMORY_EXIT_CODES
from onnxplain.server.machine import local_settings, lone_settings
from onnxplain.server.settings import Settings

__all__ = ["Pool"]

log = logging.getLogger(__name__)

PING_SECONDS = 1.0
HANG_SECONDS = 30.0  # without an answer to a ping: native code can hold Python's lock
CONNECT_SECONDS = 30.0
EXIT_SECONDS = 1.0  # for a process whose connection broke to end by itself
YOUNG_SECONDS = 2.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0  # before a worker that died young is replaced
STOPPED = WorkerDied(
    "the service stopped while the call ran, which took longer than its drain time"
)


class Pool:
    """The workers of an edge, local and remote; `links` has those that are connected, by place.

    settings: of the service. blame: is told which calls ran where a worker died.
    """

    def __init__(self, settings: Settings, blame: Blame) -> None:
        self.links: dict[str, WorkerLink] = {}
        self.restarts = 0
        self._settings = settings
        self._local = local_settings(settings)
        self._blame = blame
        self._folder: PrivateFolder | None = None
        self._numbers = count()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start all local workers, and return once they listen.

        Raises:
            OnnxplainError: a worker's own, such as OptionError for an unknown device.
            ServiceError: a worker ended before it listened.
        """
        credentials = worker_channel_credentials(self._settings)
        self._folder = PrivateFolder()
        spawns = starmap(self._spawn, self._local.items())
        links = await asyncio.gather(*spawns, return_exceptions=True)
        for link in links:
            if isinstance(link, WorkerLink):
                self._begin(self._keep(link))
        for link in links:
            if isinstance(link, BaseException):
                raise link  # `stop` ends the others
        for address in self._settings.remote_workers:
            self._begin(self._keep_remote(address, credentials))

    async def stop(self) -> None:
        """End all local workers at once, with the calls that run there."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._folder is not None:
            self._folder.close()

    async def fresh(self) -> WorkerLink:
        """Start a worker for calls of the same models alone; `WorkerLink.fall` ends it.

        Raises:
            NoWorker: it cannot be started.
        """
        try:
            link = await self._spawn("alone", lone_settings(self._settings))
        except (OnnxplainError, OSError) as error:
            raise NoWorker(f"a worker could not be started: {error}") from error
        self._begin(self._attend(link, alone=True))
        return link

    async def _spawn(self, place: str, settings: Settings) -> WorkerLink:
        """Start a worker, and return once it answers."""
        if self._folder is None:
            raise NoWorker("the service has not started")
        folder = self._folder.path / str(next(self._numbers))
        process = await WorkerProcess.start(settings, folder)
        link = WorkerLink(place, process.address, process)
        answers = False
        try:
            answers = await link.check(CONNECT_SECONDS)
        finally:
            if not answers:
                await process.end()
        if not answers:
            raise ServiceError("a worker does not answer its health check")
        return link

    async def _keep(self, link: WorkerLink) -> None:
        """Attend a worker and, when it has died, its replacements."""
        pause = 0.0
        while True:
            self.links[link.key] = link
            start = time.monotonic()
            await self._attend(link)
            self.restarts += 1
            young = time.monotonic() - start < YOUNG_SECONDS
            pause = min(max(2 * pause, FIRST_PAUSE), LONGEST_PAUSE) if young else 0.0
            while True:
                await asyncio.sleep(pause)
                try:
                    link = await self._spawn(link.key, self._local[link.key])
                    break
                except (OnnxplainError, OSError) as error:
                    log.error("worker %s could not be replaced: %s", link.key, error)
                    pause = min(max(2 * pause, FIRST_PAUSE), LONGEST_PAUSE)

    async def _keep_remote(self, address: str, credentials: grpc.ChannelCredentials | None) -> None:
        """Connect to a remote worker, and again whenever the connection was lost."""
        while True:
            link = WorkerLink(address, address, credentials=credentials)
            try:
                while not await link.check(CONNECT_SECONDS):
                    await asyncio.sleep(PING_SECONDS)
            except asyncio.CancelledError:
                await link.channel.close()
                raise
            self.links[address] = link
            log.info("worker %s is connected", address)
            await self._attend(link)

    async def _attend(self, link: WorkerLink, *, alone: bool = False) -> None:
        """Watch a worker until it falls, end it, and settle whom to blame."""
        watching = [asyncio.ensure_future(self._ping(link))]
        if link.process is not None:
            watching.append(asyncio.ensure_future(_watch_exit(link, link.process)))
        try:
            await link.fallen.wait()
        except asyncio.CancelledError:
            link.fall(STOPPED)
            raise
        finally:
            for task in watching:
                task.cancel()
            await self._settle(link, alone)

    async def _settle(self, link: WorkerLink, alone: bool) -> None:
        """End a fallen worker, blame the models that ran there, and give its calls the reason."""
        error = link.reason
        to_blame = isinstance(error, WorkerDied | OutOfMemory) and error is not STOPPED
        if link.process is None:
            to_blame = False  # a worker that died looks like a connection that was lost
        if error is None:
            end = f"the connection to the worker at {link.key} was lost"
            kind: type[OnnxplainError] = WorkerDied
            if link.process is not None:
                code = await link.process.end(EXIT_SECONDS)
                end = f"the worker died ({_how(code)})"
                # It says nothing of the models: an operator did it, or a kernel short of memory.
                to_blame = code not in (-signal.SIGKILL, *MEMORY_EXIT_CODES)
                if code in MEMORY_EXIT_CODES:
                    kind, end = OutOfMemory, "the worker ran out of memory"
            error = kind(f"{end} while the call ran, which may be the cause")
        elif link.process is not None:
            await link.process.end()
        if to_blame:
            self._blame.died(link.ran, alone=alone)
        if error is not STOPPED and type(link.reason) is not ServiceError:
            level = logging.WARNING if to_blame or link.process is None else logging.INFO
            log.log(level, "worker %s: %s", link.key, error)
        link.error.set_result(error)
        await link.channel.close(EXIT_SECONDS)

    async def _ping(self, link: WorkerLink) -> None:
        """Have a worker fall that does not answer, or that holds too much memory."""
        answered = time.monotonic()
        while True:
            await asyncio.sleep(PING_SECONDS)
            if await link.check(PING_SECONDS):
                answered = time.monotonic()
            limits = [(answered, HANG_SECONDS)]
            if link.given_up_at is not None:  # that call should have ended after the grace
                limits.append((link.given_up_at, self._settings.grace_seconds))
            for since, patience in limits:
                if time.monotonic() - since > patience:
                    link.fall(WorkerDied(f"the worker did not answer for {patience:g} seconds"))
            if link.process is not None and link.process.exceeds_memory():
                models = {model for model, _ in link.running}
                kind = OutOfMemory if len(models) == 1 else WorkerDied
                link.fall(kind("the worker used more memory than it may"))

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _watch_exit(link: WorkerLink, process: WorkerProcess) -> None:
    await process.exited()
    link.fall()


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
