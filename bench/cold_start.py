"""How long one cold command takes: a new process with a warm file cache.

    python bench/cold_start.py [--before CHECKOUT] [--model FILE ...] [--runs 7]

Three commands have a limit: `onnxplain --help`, and `onnxplain explain` of a picture by SqueezeNet,
without and with a figure. The same two explanations follow for the example network, for a ResNet-50
and for every FILE, and `onnxplain rewrite`. SqueezeNet and ResNet-50 have random weights. Each run
is a process of its own, and the commands take turns, as do the checkouts with --before. Printed are
the least seconds on the clock, and of the processor, which other programs hardly change.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import onnx
from gpu_artefacts import network
from gpu_nets import squeezenet
from rewriting import resnet50

HERE = Path(__file__).resolve().parents[1]
ROOTS = ("proto", "graphops", "service", "clients/python")
PICTURE = HERE / "examples" / "pictures" / "star_1.png"
PAUSE = 0.05  # seconds before each run
LIMITS = {"--help": 0.3, "explain squeezenet, arrays": 1.5, "explain squeezenet, figure": 2.5}

Seconds = tuple[float, float]  # on the clock, of the processor


def main() -> int:
    """Print one row for each command. Return 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--before", type=Path, metavar="CHECKOUT")
    parser.add_argument("--model", type=Path, action="append", default=[], metavar="FILE")
    parser.add_argument("--runs", type=int, default=7)
    given = parser.parse_args()
    checkouts = [HERE] if given.before is None else [given.before.resolve(), HERE]
    with tempfile.TemporaryDirectory() as folder:
        commands = _commands(folder, [path.resolve() for path in given.model])
        best = {name: [(1e9, 1e9)] * len(checkouts) for name in commands}
        for run in range(given.runs + 1):  # the first fills the caches, also of bytecode
            for name, command in commands.items():
                for i, checkout in enumerate(checkouts):
                    seconds = _run(checkout, command, folder)
                    if run:
                        wall, processor = best[name][i]
                        best[name][i] = (min(wall, seconds[0]), min(processor, seconds[1]))
    late = [name for name, limit in LIMITS.items() if best[name][-1][0] > limit]
    print("\n".join(_table(best)))
    machine = f"{os.cpu_count()} cores, Linux {platform.machine()}"
    print(f"\nThe least of {given.runs} runs. Python {platform.python_version()}, {machine}.")
    if late:
        print(f"Above their limit: {'; '.join(late)}")
    return 1 if late else 0


def _commands(folder: str, models: list[Path]) -> dict[str, list[object]]:
    """Return the command lines by their names, after writing the networks to the folder."""
    networks = {"squeezenet": network(squeezenet()), "resnet50": resnet50()}
    paths = {name: Path(folder, f"{name}.onnx") for name in networks}
    for name, model in networks.items():
        onnx.save(model, paths[name])
    paths["shapes"] = HERE / "examples" / "shapes.onnx"
    commands: dict[str, list[object]] = {"--help": ["--help"]}
    for name, path in [*paths.items(), *((path.stem, path) for path in models)]:
        explain: list[object] = ["explain", path, PICTURE]
        if name != "shapes":  # which says itself how it was trained
            explain += ["--preprocess", "imagenet,size=224x224"]
        commands[f"explain {name}, arrays"] = [*explain, "--npz", "out.npz"]
        commands[f"explain {name}, figure"] = [*explain, "-o", "out.png"]
        commands[f"rewrite {name}"] = ["rewrite", path, "-o", "out.onnx"]
    return commands


def _run(checkout: Path, command: list[object], folder: str) -> Seconds:
    """Run one command line in a new process. Return what it took."""
    paths = os.pathsep.join(str(checkout / root) for root in ROOTS)
    environment = os.environ | {"PYTHONPATH": paths, "PYTHONPYCACHEPREFIX": folder}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    whole = [sys.executable, "-m", "onnxplain.cli", *map(str, command)]
    time.sleep(PAUSE)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(whole, cwd=folder, env=environment, check=True, capture_output=True)
    seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, processor


def _table(best: dict[str, list[Seconds]]) -> list[str]:
    """Return the lines of the table, with a column for each checkout."""
    both = len(best["--help"]) > 1
    when = [" before", " after"] if both else [""]
    heads = [f"{kind}{one}" for kind in ("wall", "CPU") for one in when]
    lines = [f"| command | limit | {' | '.join(heads)} |", "|---|---:" + "|---:" * len(heads) + "|"]
    for name, seconds in best.items():
        limit = f"{LIMITS[name]} s" if name in LIMITS else ""
        cells = [f"{one[kind]:.2f} s" for kind in range(2) for one in seconds]
        lines.append(f"| {name} | {limit} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
