"""What a worker process does: it limits itself, and serves until its edge ends."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from onnxplain.graphops.errors import OnnxplainError
from onnxplain.server.errors import out_of_memory
from onnxplain.server.handover import MEMORY_EXIT_CODE, read
from onnxplain.server.listening import MAX_REQUEST_BYTES
from onnxplain.server.logs import configure_log
from onnxplain.server.settings import Settings
from onnxplain.server.worker.process import WorkerServer, start_worker

__all__ = ["ROUTING_BYTES", "limit_worker", "main"]

PR_SET_PDEATHSIG = 1
ROUTING_BYTES = 2**16  # that the edge may add to a request: the model's full name


def main() -> None:
    """Serve until standard input ends."""
    # The edge ends its workers: a signal to the whole process group lets running calls finish.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    settings = read(sys.stdin.buffer.readline())
    configure_log(settings.log_format)
    threading.Thread(target=_end_with_edge, daemon=True).start()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    asyncio.run(_serve(settings))


def _end_with_edge() -> None:
    while sys.stdin.buffer.read(1):
        pass
    os._exit(0)


async def _serve(settings: Settings) -> None:
    try:
        worker = await start_worker(settings, MAX_REQUEST_BYTES + ROUTING_BYTES)
    except OnnxplainError as error:
        _answer({"error": type(error).__name__, "text": str(error)})
        sys.exit(1)
    _answer({"limited": limit_worker(worker, settings)})
    await asyncio.Event().wait()


def limit_worker(worker: WorkerServer, settings: Settings) -> bool:
    """Limit the memory that this process may take beyond what it has now; tell whether it is.

    Where it runs out outside of the calls, the process ends with MEMORY_EXIT_CODE.

    CUDA reserves far more addresses than it uses memory: there the edge watches the latter.
    """
    _end_without_memory()
    if worker.device != "cpu" or not settings.memory_bytes:
        return False
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + settings.memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    return True


def _end_without_memory() -> None:
    """Have this process end where memory runs out outside of the calls, which can tell of it.

    Otherwise it would go on without the thread, or the event, that failed.
    """

    def ending(report: Callable[..., object], error: Callable[..., Any]) -> Callable[..., None]:
        def hook(*arguments: Any) -> None:
            if out_of_memory(error(*arguments)):
                os._exit(MEMORY_EXIT_CODE)
            report(*arguments)

        return hook

    sys.excepthook = ending(sys.excepthook, lambda _, error, *__: error)
    # Of a thread, too, that has no memory for its first frame: who started it would wait for ever.
    # It cannot run a hook that is written in Python.
    unraisable = SimpleQueue[Any]()
    sys.unraisablehook = unraisable.put
    hook = ending(sys.__unraisablehook__, lambda failed: failed.exc_value)
    threading.Thread(target=_each, args=(unraisable, hook), daemon=True).start()
    threading.excepthook = ending(threading.excepthook, lambda failed: failed.exc_value)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(
        ending(
            lambda loop, context: loop.default_exception_handler(context),
            lambda _, context: context.get("exception") if "handle" in context else None,
        )
    )


def _each(arguments: SimpleQueue[Any], hook: Callable[..., None]) -> None:
    while True:
        hook(arguments.get())


def _answer(message: dict[str, Any]) -> None:
    """Write the first line of standard output; what others print goes to standard error."""
    os.write(1, json.dumps(message).encode() + b"\n")
    os.dup2(2, 1)
