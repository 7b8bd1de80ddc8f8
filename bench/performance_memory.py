"""Peak memory of one explanation, each in a fresh process, and the time to open an artefact."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from performance_nets import CLASS, artefact, file_of, module_file
from performance_table import Table
from performance_timing import opened, seconds_of_each

__all__ = ["memory"]

PROCESS = Path(__file__).parent / "performance_process.py"
METHOD = "gradient"
ROUNDS = 5


def memory(table: Table, nets: Sequence[str]) -> None:
    """Measure the processes of each network, then the time to open its files."""
    peaks = ("artefact by ONNX Runtime", "engine", "Captum")
    table.head("network", *peaks, "artefact / Captum", "engine / Captum", "opening", "/ network's")
    by_artefact, by_engine, openings = [], [], []
    for net in nets:
        with TemporaryDirectory() as folder:
            file = artefact(net, METHOD, folder)
            files = {"session": file, "engine": file_of(net), "captum": module_file(net)}
            held = {kind: _held(kind, path) for kind, path in files.items()}
            ours, networks = _opening(file, file_of(net))
        session, engine, captum = (after for _, after in held.values())
        by_artefact.append(session / captum)
        by_engine.append(engine / captum)
        openings.append(ours / networks)
        table.row(
            net,
            *(f"{after} MiB" for _, after in held.values()),
            f"{by_artefact[-1]:.2f}",
            f"{by_engine[-1]:.2f}",
            f"{1000 * ours:.0f} ms",
            f"{openings[-1]:.2f}",
        )
        gc.collect()
    session, engine, captum = (before for before, _ in held.values())
    table.say(
        "",
        f"Before it reads a file, the process of ONNX Runtime holds {session} MiB, that of the "
        f"engine {engine} MiB, and that of Captum {captum} MiB.",
    )
    what = "peak memory / that of Captum, at worst"
    table.at_most(0.6, max(by_artefact), f"artefact: {what}")
    table.at_most(0.6, max(by_engine), f"engine: {what}")
    table.at_most(1.5, max(openings), "time to open the artefact / the network, at worst", " ×")


def _held(kind: str, file: Path) -> tuple[int, int]:
    """Return the MiB that a process held before it read the file, and at the peak."""
    command = [sys.executable, "-W", "ignore", str(PROCESS), kind, str(file), str(CLASS)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    before, peak = done.stdout.split()
    return int(before), int(peak)


def _opening(file: Path, network: Path) -> tuple[float, float]:
    """Return the seconds that opening each file takes."""
    ways = {"artefact": lambda: opened(file), "network": lambda: opened(network)}
    seconds = seconds_of_each(ways, ROUNDS)
    return seconds["artefact"], seconds["network"]
