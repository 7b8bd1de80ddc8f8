"""How long one cold command takes, by two checkouts in turn.

    python bench/cold_start.py BASE [OTHER] [--model FILE ...] [--runs 7]

Each run is a process of its own with a warm file cache: `onnxplain explain` of a picture (arrays
only, no drawing) and `onnxplain rewrite`, on a ResNet-50 with random weights and on every FILE, and
`onnxplain explain --help`. The checkouts take turns; medians and their ratio are printed, of the
wall clock and of the processor's time.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import onnx
from rewriting import resnet50

ROOTS = ("proto", "graphops", "service", "clients/python")
PICTURE = Path(__file__).parents[1] / "examples" / "pictures" / "star_1.png"
PAUSE = 0.05  # seconds before each run


def main() -> None:
    """Print one row for each command and model."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("base", type=Path, metavar="BASE")
    parser.add_argument("other", type=Path, nargs="?", default=Path("."), metavar="OTHER")
    parser.add_argument("--model", type=Path, action="append", default=[], metavar="FILE")
    parser.add_argument("--runs", type=int, default=7)
    given = parser.parse_args()
    print("| command | wall before | wall after | ratio | CPU before | CPU after | ratio |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        network = Path(folder, "resnet50.onnx")
        onnx.save(resnet50(), network)
        commands = {"explain --help": ["explain", "--help"]}
        for model in [network, *(path.resolve() for path in given.model)]:
            explain = ["explain", model, PICTURE, "--npz", "out.npz", "--preprocess"]
            commands[f"explain {model.stem}"] = [*explain, "imagenet,size=224x224"]
            commands[f"rewrite {model.stem}"] = ["rewrite", model, "-o", "out.onnx"]
        for name, command in commands.items():
            times = [
                [_run(path.resolve(), command, folder) for path in (given.base, given.other)]
                for _ in range(given.runs)
            ]
            cells = []
            for kind in range(2):
                before, after = (median(run[i][kind] for run in times) for i in range(2))
                cells += [f"{before:.2f} s", f"{after:.2f} s", f"{after / before:.2f}"]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _run(checkout: Path, command: list[object], folder: str) -> tuple[float, float]:
    """Return the seconds on the clock and of the processor."""
    paths = os.pathsep.join(str(checkout / root) for root in ROOTS)
    environment = os.environ | {"PYTHONPATH": paths}
    whole = [sys.executable, "-m", "onnxplain.cli", *map(str, command)]
    time.sleep(PAUSE)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(whole, cwd=folder, env=environment, check=True, capture_output=True)
    seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, processor


if __name__ == "__main__":
    main()
