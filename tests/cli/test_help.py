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


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("rewrite", "the lowest value of the input, one number or one per channel (required)"),
        ("explain", "one number or one per channel (default: that of a pixel of 0)"),
        ("check", "is onnxruntime-web): cpu, cuda, openvino, web or tensorrt (default: cpu)"),
        ("rewrite", "--no-outputs do not keep the network's own outputs"),
        ("rewrite", "--keep-shape keep a fixed batch size fixed"),
        ("explain", "(default: deconvnet)"),
    ],
)
def test_help_follows_from_the_declarations(run: Run, command: str, text: str) -> None:
    assert text in " ".join(run(command, "--help").out.split())


@pytest.mark.parametrize("command", ["check", "rewrite"])
def test_help_names_only_methods_that_the_command_accepts(run: Run, command: str) -> None:
    text = " ".join(run(command, "--help").out.split())
    assert "guided_grad_cam" in text
    for refused in ("occlusion", "rise,", "activation_maximisation"):
        assert refused not in text


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
