"""Commands in new processes, with the files in the system's cache."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from performance_nets import file_of
from performance_table import Table
from performance_timing import seconds_of_each

__all__ = ["command_line"]

NET = "squeezenet1_1"
PICTURE = Path(__file__).parents[1] / "examples" / "pictures" / "star_1.png"
ROUNDS = 7
COMMANDS = {  # with the seconds that each may take
    "onnxplain --help": 0.3,
    "onnxplain explain MODEL PICTURE --npz a.npz": 1.5,
    "onnxplain explain MODEL PICTURE -o a.png": 2.5,
}
FLOORS = {
    "python, nothing imported": "pass",
    "python, NumPy and ONNX Runtime imported": "import numpy, onnxruntime",
}


def command_line(table: Table, nets: Sequence[str]) -> None:
    """Time the commands in turn, and Python by itself."""
    with TemporaryDirectory() as folder:
        explain = ["-m", "onnxplain.cli", "explain", str(file_of(NET)), str(PICTURE)]
        explain += ["--preprocess", "imagenet,size=224x224"]
        given = (
            ["-m", "onnxplain.cli", "--help"],
            [*explain, "--npz", "a.npz"],
            [*explain, "-o", "a.png"],
        )
        lines = dict(zip(COMMANDS, given, strict=True))
        lines |= {name: ["-c", code] for name, code in FLOORS.items()}
        ways = {name: _command(line, folder) for name, line in lines.items()}
        seconds = seconds_of_each(ways, ROUNDS)
    table.head("command", "time")
    for name, found in seconds.items():
        table.row(f"`{name}`" if name in COMMANDS else name, f"{found:.2f} s")
    for name, limit in COMMANDS.items():
        table.at_most(limit, seconds[name], f"`{name}`", " s")


def _command(line: list[str], folder: str) -> Callable[[], object]:
    command = [sys.executable, *line]
    return lambda: subprocess.run(command, cwd=folder, check=True, capture_output=True)
