"""How `performance.py` takes times and memory: two threads, ways in turn, a pause before each."""

from __future__ import annotations

import gc
import math
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnxruntime

__all__ = [
    "SIDE",
    "THREADS",
    "fitted_exponent",
    "geometric_mean",
    "opened",
    "peak_memory",
    "picture",
    "seconds_of",
    "seconds_of_each",
]

THREADS = 2
SIDE = 224
PAUSE = 0.05  # seconds before each run: ONNX Runtime's idle threads spin and slow the next one


def seconds_of_each(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Run the ways in turn, and return the median time of each. A first round is not counted."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    gc.collect()
    for _ in range(rounds):
        for name, way in ways.items():
            times[name].append(seconds_of(way))
    return {name: statistics.median(values) for name, values in times.items()}


def seconds_of(way: Callable[[], object]) -> float:
    """Return the time of one run."""
    time.sleep(PAUSE)
    start = time.perf_counter()
    way()
    return time.perf_counter() - start


def opened(file: Path) -> onnxruntime.InferenceSession:
    """Open a file on the CPU, optimised as by default."""
    import onnxruntime  # here, as the process that measures Captum's memory does without it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


@cache
def picture(side: int = SIDE, batch: int = 1) -> np.ndarray:
    """Return random values [batch, 3, side, side] with the distribution of a normalised picture."""
    shape = (batch, 3, side, side)
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def peak_memory() -> float:
    """Return the most memory that this process ever held, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # resource's maximum begins with that of the parent process
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 1024)


def geometric_mean(values: Iterable[float]) -> float:
    return statistics.geometric_mean(values)


def fitted_exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Return the slope on logarithmic axes between the smallest and the largest size."""
    return math.log(costs[-1] / costs[0]) / math.log(sizes[-1] / sizes[0])
