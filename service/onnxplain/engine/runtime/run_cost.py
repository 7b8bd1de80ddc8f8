"""Time and memory of one graph, in a process of its own."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from onnxplain.engine.runtime.example_inputs import Example
from onnxplain.engine.runtime.loading import load_session
from onnxplain.graphops.errors import DeviceError, OnnxplainError, UnsupportedModel

__all__ = ["RunCost", "available_cores", "cost_of"]

WARM_UPS = 2
RUNS, LEAST_RUNS = 11, 3
SECONDS = 5.0  # after which no run begins beyond the least number
PAUSE = 0.05  # seconds before each run: ONNX Runtime's idle threads spin and slow the next one
PROCESS = "from onnxplain.engine.runtime.run_cost import measure_here; measure_here()"


@dataclass(frozen=True)
class RunCost:
    """The cost of one graph.

    milliseconds: the median time of the runs.
    memory: the bytes that loading and running it takes at the peak, weights included; None where
        the system does not tell.
    runs: their number.
    """

    milliseconds: float
    memory: int | None
    runs: int


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cost_of(
    file: Path, inputs: Mapping[str, Example], device: str, threads: int
) -> tuple[RunCost, str]:
    """Run a model in a fresh process, and return its cost and ONNX Runtime's version.

    inputs: the type and shape of each input, which is fed random values; integers are zero.
    Raises UnsupportedModel where ONNX Runtime cannot run it, DeviceError where the device cannot,
    or where the process ran out of memory.
    """
    task = {"file": str(file), "inputs": inputs, "device": device, "threads": threads}
    done = subprocess.run(
        [sys.executable, "-c", PROCESS],
        input=json.dumps(task),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode < 0:
        raise DeviceError(
            f"the run ended by signal {-done.returncode}, as when memory is short: measure a "
            "smaller picture or fewer samples"
        )
    try:
        found = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError) as e:
        raise DeviceError(f"the process that measures failed: {done.stderr.strip()}") from e
    if "error" in found:
        error = DeviceError if found["kind"] == DeviceError.__name__ else UnsupportedModel
        raise error(found["error"])
    return RunCost(**found["cost"]), found["runtime"]


def measure_here() -> None:
    """Run the model that a JSON object on standard input names, and print its cost as JSON."""
    task = json.load(sys.stdin)
    try:
        found = _measured(**task)
    except OnnxplainError as e:
        found = {"kind": type(e).__name__, "error": str(e)}
    print(json.dumps(found))


def _measured(
    file: str, inputs: Mapping[str, Example], device: str, threads: int
) -> dict[str, Any]:
    import onnxruntime

    feeds = _feeds(inputs)
    before = _peak_memory()
    session, kept = load_session(file, device, threads)
    seconds: list[float] = []
    start = time.perf_counter()
    for run in range(WARM_UPS + RUNS):
        if run >= WARM_UPS + LEAST_RUNS and time.perf_counter() - start > SECONDS:
            break
        time.sleep(PAUSE)
        began = time.perf_counter()
        try:
            session.run(None, feeds)
        except Exception as e:  # ONNX Runtime's exceptions share no other base
            reason = " ".join(str(e).split())
            raise UnsupportedModel(f"ONNX Runtime could not run the graph: {reason}") from e
        seconds.append(time.perf_counter() - began)
    after = _peak_memory()
    del kept
    timed = seconds[WARM_UPS:]
    return {
        "cost": {
            "milliseconds": 1000 * statistics.median(timed),
            "memory": None if before is None or after is None else after - before,
            "runs": len(timed),
        },
        "runtime": onnxruntime.__version__,
    }


def _feeds(inputs: Mapping[str, Example]) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    feeds = {}
    for name, (dtype, shape) in inputs.items():
        if dtype == "uint8":
            feeds[name] = rng.integers(0, 256, shape, np.uint8)
        elif np.issubdtype(np.dtype(dtype), np.floating):
            feeds[name] = rng.standard_normal(shape).astype(dtype)
        else:
            feeds[name] = np.zeros(shape, dtype)
    return feeds


def _peak_memory() -> int | None:
    """Return the most memory that this process ever held, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # resource's maximum begins with that of the parent process
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
