"""Worker processes of this machine, each with an empty folder and a clean environment."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
from pathlib import Path

from onnxplain.graphops import errors
from onnxplain.graphops.errors import ServiceError
from onnxplain.server.handover import write
from onnxplain.server.settings import Settings

__all__ = ["COMMAND", "WorkerProcess"]

COMMAND = (sys.executable, "-m", "onnxplain.server.worker")

# What Python, ONNX Runtime and CUDA read of the environment; everything else stays with the edge.
PASSED = ("PATH", "LANG", "TZ", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")
PASSED_PREFIXES = ("LC_", "OMP_", "MALLOC_", "CUDA_CACHE_")
START_SECONDS = 60.0


class WorkerProcess:
    """A worker process, at the address `address`."""

    def __init__(
        self, process: asyncio.subprocess.Process, folder: Path, memory_bytes: int
    ) -> None:
        self.address = f"unix:{folder / 'socket'}"
        self._process = process
        self._folder = folder
        self.pid = process.pid
        self._memory_bytes = memory_bytes
        self._limited = False

    @classmethod
    async def start(cls, settings: Settings, folder: Path) -> WorkerProcess:
        """Start a worker, and return once it listens.

        Args:
            settings: the worker's; its one device, its own share of threads and memory.
            folder: does not exist yet; holds the socket, and the worker's empty working folder.

        Returns:
            The running worker.

        Raises:
            OnnxplainError: the worker's own, such as OptionError for an unknown device.
            ServiceError: the worker did not come to listen.
        """
        # Nothing can be found in the working folder: ONNX Runtime reads external data from there.
        working, home = folder / "empty", folder / "home"
        home.mkdir(parents=True)
        working.mkdir(mode=0o500)
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=working,
            env=_environment(home),
            start_new_session=True,  # Ctrl-C is for the edge
        )
        worker = cls(process, folder, settings.memory_bytes)
        try:
            async with asyncio.timeout(START_SECONDS):
                await worker._handshake(settings)
        except TimeoutError as e:
            await worker.end()
            raise ServiceError(f"a worker did not start within {START_SECONDS:g} seconds") from e
        except BaseException:
            await worker.end()
            raise
        return worker

    async def _handshake(self, settings: Settings) -> None:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise ServiceError("a worker has no standard input or output")
        stdin.write(write(settings, self.address))
        line = await stdout.readline()
        if not line:
            code = await self.exited()
            raise ServiceError(f"a worker ended at its start with exit code {code}: see its log")
        answer = json.loads(line)
        self._limited = answer.get("limited", False)
        if "error" in answer:
            raise getattr(errors, answer["error"])(answer["text"])

    async def exited(self) -> int:
        """Wait until the process ends, and return its exit code: minus the signal that ended it."""
        return await self._process.wait()

    async def end(self, wait: float = 0) -> int:
        """Kill the process unless it ends by itself within `wait` seconds; return its exit code."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._process.wait()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        code = await self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
        return code

    def exceeds_memory(self) -> bool:
        """Tell whether a worker without a limit of its own holds more memory than it may."""
        if self._limited:
            return False
        with contextlib.suppress(OSError, IndexError):  # it has ended
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE") > self._memory_bytes
        return False


def _environment(home: Path) -> dict[str, str]:
    passed = {
        name: value
        for name, value in os.environ.items()
        if name in PASSED or name.startswith(PASSED_PREFIXES)
    }
    folders = [os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    if folders:
        passed["PYTHONPATH"] = os.pathsep.join(folders)
    return passed | {"HOME": str(home), "TMPDIR": str(home), "MPLCONFIGDIR": str(home)}
