"""What the command line says of itself, and that saying it loads nothing heavy."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli.running import Run

ROOT = Path(__file__).parents[2]
COMMANDS = (
    "layers", "check", "rewrite", "explain", "top", "training", "invariance", "occlusion", "slide",
    "evaluate", "convolutionalize", "serve", "worker", "models", "methods", "completion",
)  # fmt: skip
HEAVY = ("numpy", "onnx", "onnxruntime", "onnx_graphsurgeon", "grpc", "google", "PIL", "shtab")

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


@pytest.mark.parametrize("layout", ["roots", "wheel"])
def test_it_runs_as_a_module(tmp_path: Path, layout: str) -> None:
    """From the four roots of a checkout, and from one folder, as a wheel is installed."""
    roots = [ROOT / root for root in ("proto", "graphops", "service", "clients/python")]
    if layout == "wheel":
        for root in roots:
            shutil.copytree(
                root / "onnxplain",
                tmp_path / "onnxplain",
                dirs_exist_ok=True,
                ignore=shutil.ignore_patterns("__pycache__"),
            )
        roots = [tmp_path]
        assert not (tmp_path / "onnxplain/__init__.py").exists()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, roots))}
    (tmp_path / "elsewhere").mkdir()
    for module in ("onnxplain", "onnxplain.cli"):
        done = subprocess.run(
            [sys.executable, "-m", module, "methods"],
            capture_output=True,
            text=True,
            cwd=tmp_path / "elsewhere",
            env=environment,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "Grad-CAM++" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["explian", "a", "b"], "no command 'explian' (nearest: 'explain'"),
        (["saliency", "net.onnx"], "`onnxplain explain MODEL IMAGE --method gradient`"),
        (["Grad-CAM"], "no command 'Grad-CAM': explain by that method, with"),
        (["layers", "net.onnx", "--jsn"], "no flag '--jsn' (nearest: '--json'"),
        (["layers", "net.onnx", "--sizes=3x3"], "no flag '--sizes' (nearest: '--size'"),
        (["layers", "net.onnx", "more"], "'more' is one argument too many (see `onnxplain layers"),
    ],
)
def test_a_mistyped_command_or_flag_gives_the_nearest(
    run: Run, arguments: list[str], text: str
) -> None:
    result = run(*arguments)
    assert result.code == 2
    assert text in result.error_line


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
