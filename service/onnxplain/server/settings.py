"""The settings of a service: where its models are, where it listens, and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """The settings of a service, which the configuration file and the flags of `serve` fill in.

    models: folders of NAME.onnx files or NAME/VERSION/model.onnx; uploads go to `store`.
    listen: HOST:PORT; port 0 is any free port. device: one device for all workers, or one worker
    for each. workers: the number of worker processes on this machine, 0 for one per device.
    remote_workers: the addresses of further workers, HOST:PORT or unix:PATH. threads: ONNX
    Runtime's threads in a worker, 0 for its share of the cores. concurrency: calls that a worker
    runs at once. queue: calls that may wait for one model, beyond those that run. batch: the most
    images of calls that run together. delay_ms: how long a call waits for others to run with.
    memory_bytes: the limit of a worker's memory, 0 for a default that follows from the machine's.
    store: the folder for uploaded models, None to refuse uploads. state: the folder for operations,
    None for a temporary one. grace_seconds: from the end of a call to that of its worker, where the
    work does not stop. drain_seconds: for running calls to finish when the service stops.
    warm: whether models are loaded before they are served. operations: operations that run at once.
    keep_operations, keep_bytes: what is kept for one caller, the latter of requests and results;
    keep_seconds: for how long, once an operation has ended.
    """

    models: tuple[Path, ...] = (Path("."),)
    listen: str = "127.0.0.1:50051"
    device: tuple[str, ...] = ("auto",)
    workers: int = 0
    remote_workers: tuple[str, ...] = ()
    threads: int = 0
    concurrency: int = 4
    queue: int = 32
    batch: int = 8
    delay_ms: float = 0.0
    memory_bytes: int = 0
    store: Path | None = None
    state: Path | None = None
    grace_seconds: float = 5.0
    drain_seconds: float = 5.0
    warm: bool = True
    operations: int = 2
    keep_operations: int = 100
    keep_bytes: int = 2**30
    keep_seconds: float = 7 * 24 * 3600.0
