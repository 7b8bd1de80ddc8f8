"""What the command line says of itself, and that saying it loads nothing heavy."""

import json
import re
import resource
import subprocess
import sys

import pytest
from cli.running import Run

COMMANDS = (
    "layers", "check", "rewrite", "explain", "top", "training", "invariance", "occlusion", "slide",
    "evaluate", "convolutionalize", "serve",
)  # fmt: skip
HEAVY = ("numpy", "onnx", "onnxruntime", "onnx_graphsurgeon", "grpc", "google", "PIL")

LOADED = """
import json, sys
from onnxplain.cli.main import main
code = main(json.loads(sys.argv[1]))
print(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([command, "--help"] for command in COMMANDS)]
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    command = [sys.executable, "-c", LOADED, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    code, loaded = json.loads(done.stdout.splitlines()[-1])
    assert code == 0
    assert not set(HEAVY) & set(loaded)
    assert done.stderr == ""


def test_help_is_fast() -> None:
    """Of the process's own time, which other work on the machine does not lengthen much."""
    times = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "onnxplain.cli", "explain", "--help"]
        subprocess.run(command, capture_output=True, check=True, timeout=60)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < 0.3


def test_help_names_every_command_and_exit_code(run: Run) -> None:
    result = run("--help")
    assert result.code == 0
    for word in (*COMMANDS, "exit codes"):
        assert word in result.out


def test_version(run: Run) -> None:
    result = run("--version")
    assert result.code == 0
    assert re.fullmatch(r"onnxplain \d+\.\d+\.\d+\S*\n", result.out)


def test_it_runs_as_a_module(run_process: Run) -> None:
    assert run_process("--version").out.startswith("onnxplain ")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["paint"],
        ["layers"],
        ["layers", "net.onnx", "--colour"],
        ["explain", "net.onnx", "cat.png", "--channel", "one"],
        ["explain", "net.onnx", "cat.png", "--lay", "pool"],
        ["rewrite", "net.onnx", "-o", "out.onnx", "--channel", "1,,2"],
    ],
)
def test_wrong_flags_are_one_line(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.code == 2
    assert "--help" in result.error_line
    assert result.out == ""
