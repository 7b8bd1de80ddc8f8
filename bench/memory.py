"""Peak memory of integrated gradients on a ResNet-50 with random weights, each in a fresh process.

Usage: `python bench/memory.py`, or `make bench-memory`. Writes docs/memory.md, and fails if a run
takes more than 2 GiB.
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from rewriting import resnet50

from onnxplain.engine import Engine

PAGE = Path(__file__).parents[1] / "docs" / "memory.md"
MIB = 2**20
SETTINGS = ((50, 256), (50, 1024), (200, 256), (200, 1024))  # steps, MiB of memory_bytes
LIMIT = 2048  # MiB


def main() -> None:
    lines = []
    for line in measured():
        print(line, flush=True)
        lines.append(line)
    _, heading, other = PAGE.read_text().partition("## ")  # bench/large_pictures.py writes it
    PAGE.write_text("\n".join([*INTRODUCTION, "", *lines]) + "\n" + f"\n{heading}{other}")


def measured() -> Iterator[str]:
    """Measure, and yield the page's table line by line."""
    yield "| steps | memory_bytes | steps per run | peak resident memory | time |"
    yield "|---|---|---|---|---|"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "resnet50.onnx"
        onnx.save(resnet50(), file)
        for steps, memory in SETTINGS:
            command = [sys.executable, __file__, str(file), str(steps), str(memory)]
            found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            yield found.stdout.strip()
    about = f"{os.cpu_count()} cores, Linux {platform.machine()}"
    yield f"\nONNX Runtime {onnxruntime.__version__} on the CPU, {about}."


def measure(file: str, steps: int, memory: int) -> None:
    """Explain one picture in this process and print a row of the table."""
    engine = Engine("cpu", memory_bytes=memory * MIB)
    picture = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    runs: list[int] = []
    start = time.monotonic()
    result = engine.explain(
        file,
        picture,
        method="integrated_gradients",
        steps=steps,
        preprocess="imagenet",
        passes=lambda done, total: runs.append(done),
    )
    seconds = time.monotonic() - start
    if not np.isfinite(result.attribution).all() or not result.attribution.any():
        sys.exit("the attribution is zero or not finite: this run explains nothing")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"| {steps} | {memory} MiB | {runs[0]} | {peak} MiB | {seconds:.0f} s |")
    if peak > LIMIT:
        sys.exit(f"peak memory is {peak} MiB, above the limit of {LIMIT} MiB")


INTRODUCTION = """# Memory

The engine works within `memory_bytes` (`--memory`), by default 1 GiB. One run of a graph computes
as many results (of units, samples, steps or masks) as fit into that memory, and the next run the
next ones. On the CPU, where larger batches are no faster, results that share no forward pass take
64 MiB per thread at most. The memory that one result needs is computed from the graph: the sizes
of the tensors that are alive at the same time, for a picture of that size, and as much again for
copies that ONNX Runtime makes in its kernels' layouts and for what its arena leaves unused. A
single result is computed however large it is, except by `slide`, which refuses a picture that
would need more.
Weights come on top, several times over: in the model as loaded, rewritten and optimised.

`make bench-memory` measures the peak memory of a whole process, Python included, for integrated
gradients of the top class of a ResNet-50 (98 MiB of weights) at 224x224, and fails above 2 GiB:
""".splitlines()

if __name__ == "__main__":
    if len(sys.argv) == 4:
        measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
