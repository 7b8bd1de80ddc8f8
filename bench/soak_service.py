"""The service of the soak: its processes, their memory, and the killing of its workers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

__all__ = ["Killer", "Life", "Memory", "Service", "all_free", "free_port", "slope"]

MIB = 2**20
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
SAMPLE_SECONDS = 0.5
SETTLE_SECONDS = 20.0  # for killed workers to be replaced


class Service:
    """`onnxplain serve` as a process of its own, whose log is a file."""

    def __init__(self, models: Path, folder: Path, flags: Mapping[str, object]) -> None:
        self.log = folder / "service.log"
        command = [sys.executable, "-m", "onnxplain.cli", "serve", "--models", str(models)]
        for name, value in {"listen": "127.0.0.1:0", **flags}.items():
            command += [f"--{name}", str(value)]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
            )  # fmt: skip
        assert self._process.stdout is not None
        ready = self._process.stdout.readline()
        if not ready:
            sys.exit(f"the service did not start:\n{self.log.read_text()}")
        self.address = ready.split()[-1]
        self.pid = self._process.pid

    def workers(self) -> set[int]:
        """Return the ids of the worker processes."""
        return set(_children(self.pid))

    def complaints(self) -> list[str]:
        """Return the lines of the log that tell of a defect, or of a death that a model caused.

        SIGKILL is the soak's own doing, of workers that are starting too.
        """
        lines = self.log.read_text(errors="replace").splitlines()
        told = re.compile(r"internal error|Traceback|WARNING worker|ERROR(?!.* exit code -9)")
        return [f"log: {line}" for line in lines if told.search(line)]

    def stop(self) -> str:
        """Stop the service as systemd does; return what is wrong, "" if nothing is."""
        if self._process.poll() is not None:
            return f"the edge died with exit code {self._process.returncode}"
        workers = self.workers()
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return "the service does not stop at SIGTERM"
        left = [pid for pid in workers if Path(f"/proc/{pid}").exists()]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        if code or left:
            return f"the service ended with exit code {code} and left the workers {left}"
        return ""


@dataclass
class Life:
    """A process's resident memory in MiB, by the time of each sample."""

    times: list[float] = field(default_factory=list)
    mebibytes: list[float] = field(default_factory=list)


class Memory:
    """Samples the memory of the edge and of each worker that lives."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.edge = Life()
        self.workers: dict[int, Life] = {}

    async def watch(self) -> None:
        """Sample until cancelled."""
        while True:
            self._sample(self._service.pid, self.edge)
            for pid in self._service.workers():
                self._sample(pid, self.workers.setdefault(pid, Life()))
            await asyncio.sleep(SAMPLE_SECONDS)

    def at_age(self, seconds: float) -> tuple[list[float], list[float]]:
        """Return when each worker reached an age, and its memory then."""
        found = []
        for life in self.workers.values():
            reached = [i for i, at in enumerate(life.times) if at - life.times[0] >= seconds]
            if reached:
                found.append((life.times[reached[0]], life.mebibytes[reached[0]]))
        return [at for at, _ in found], [size for _, size in found]

    def _sample(self, pid: int, life: Life) -> None:
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return  # it has ended
        if pages:
            life.times.append(time.monotonic())
            life.mebibytes.append(pages * PAGE_BYTES / MIB)


class Killer:
    """Kills a worker every few seconds, but spares one of them, whose memory is watched."""

    def __init__(self, service: Service, seconds: float) -> None:
        self._service = service
        self._seconds = seconds
        self.killed: list[int] = []
        self.spared = min(service.workers(), default=0)

    def spare_another(self) -> None:
        """Spare a worker that was not spared, and no longer the one that was."""
        others = self._service.workers() - {self.spared}
        self.spared = max(others, default=0)

    async def kill(self) -> None:
        """Kill until cancelled."""
        while True:
            await asyncio.sleep(self._seconds * random.uniform(0.5, 1.5))
            candidates = sorted(self._service.workers() - {self.spared})
            if candidates:
                pid = random.choice(candidates)
                with contextlib.suppress(ProcessLookupError):  # it has just ended
                    os.kill(pid, signal.SIGKILL)
                    self.killed.append(pid)


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


async def all_free(metrics: str, workers: int) -> str:
    """Wait until the workers are up and no call is in service; return what is not so."""
    end = time.monotonic() + SETTLE_SECONDS
    while True:
        found = _gauges(metrics)
        up = found["onnxplain_workers"]
        taken = [n for n, v in found.items() if n.startswith("onnxplain_calls_in_service{") and v]
        if up == workers and not taken:
            return ""
        if time.monotonic() > end:
            return f"at the end {up:g} workers are up, and slots are taken: {taken}"
        await asyncio.sleep(SAMPLE_SECONDS)


def _gauges(metrics: str) -> dict[str, float]:
    """Return the values of a service's metrics, by their names with labels."""
    with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    parts = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    return {name: float(value) for name, _, value in parts}


def slope(times: list[float], values: list[float]) -> float:
    """Return the change of the values per minute, by least squares; 0 for too few of them."""
    if len(times) < 3:
        return 0.0
    return float(np.polyfit(np.array(times) - times[0], values, 1)[0] * 60)


def _children(parent: int) -> Iterator[int]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent and fields[0] != "Z":
                yield int(folder.name)
