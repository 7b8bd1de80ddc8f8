"""What this machine has for its workers: which there are, and the share of each."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from pathlib import Path

from onnxplain.server.settings import Settings

__all__ = ["MOST_ALONE", "local_settings", "lone_settings", "worker_settings"]

SHARE = 0.8  # of the memory is for workers
MOST_ALONE = 2  # workers at once for suspect models, which count among those that share memory
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def local_settings(settings: Settings) -> dict[str, Settings]:
    """Return the settings of each worker that runs on this machine, by a name for its place.

    There is one worker per device, unless `workers` says otherwise, or all workers are remote.
    """
    number = _number(settings)
    return {
        str(i): worker_settings(settings, i, number, number + MOST_ALONE) for i in range(number)
    }


def lone_settings(settings: Settings) -> Settings:
    """Return the settings of a worker of this machine that a suspect model runs in."""
    return worker_settings(settings, shares=_number(settings) + MOST_ALONE)


def worker_settings(
    settings: Settings, index: int = 0, number: int = 1, shares: int = 1
) -> Settings:
    """Return the settings of one of `number` workers: its device, and its share of the machine.

    shares: of the memory, one of which is the worker's.
    """
    cores = len(os.sched_getaffinity(0))
    return dataclasses.replace(
        settings,
        device=(settings.device[index % len(settings.device)],),
        threads=settings.threads or max(cores // number, 1),
        memory_bytes=settings.memory_bytes or int(SHARE * _memory_bytes() / shares),
    )


def _number(settings: Settings) -> int:
    return settings.workers or (0 if settings.remote_workers else len(settings.device))


def _memory_bytes() -> int:
    """Return the bytes of memory that this process may use."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):  # "max" is no number
        return min(machine, int(CGROUP_LIMIT.read_text()))
    return machine
