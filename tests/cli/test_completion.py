"""`onnxplain completion`, in a real shell."""

import shutil
import subprocess
import time
from pathlib import Path

import pexpect
import pytest
from cli.running import Run

bash = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
# Asks as the shell does when Tab is pressed after the last word.
ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); COMPREPLY=()
_shtab_onnxplain "$1" "${@: -1}" "${@: -2:1}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def script(run: Run, tmp_path: Path) -> Path:
    """The script for bash, in a folder with a model, a picture and a folder of pictures."""
    result = run("completion", "bash")
    assert (result.code, result.error) == (0, "")
    path = tmp_path / "completion.bash"
    path.write_text(result.out)
    for name in ("model.onnx", "map.npz", "cat.png"):
        (tmp_path / name).touch()
    (tmp_path / "many").mkdir()
    return path


@bash
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("ex", {"explain"}),
        ("co", {"convolutionalize", "completion"}),
        ("explain --meth", {"--method"}),
        ("explain --method guided_", {"guided_backprop", "guided_grad_cam"}),
        ("explain m", {"model.onnx", "map.npz", "many"}),
        ("explain model.onnx ca", {"cat.png"}),
        ("top model.onnx m", {"many"}),
        ("explain model.onnx --npz map", {"map.npz"}),
        ("explain model.onnx cat.png -o cat", {"cat.png"}),
        ("explain model.onnx --labels ca", {"cat.png"}),
        ("explain model.onnx --region ca", {"cat.png"}),
        ("explain model.onnx --device cu", {"cuda"}),
        ("explain --unpool p", {"portable"}),
        ("rewrite --select p", {"pairs", "predicted"}),
        ("rewrite --target t", {"tensorrt"}),
        ("serve --models m", {"many"}),
        ("models m", {"many"}),
        ("evaluate --masks m", {"many"}),
        ("completion z", {"zsh"}),
    ],
)
def test_bash_completes(script: Path, words: str, expected: set[str]) -> None:
    command = ["bash", "--norc", "-c", ASK, "bash", script, "onnxplain", *words.split()]
    done = subprocess.run(command, capture_output=True, text=True, cwd=script.parent, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(done.stdout.split()) == expected


@bash
def test_a_word_is_completed_where_tab_is_pressed(script: Path) -> None:
    shell = pexpect.spawn("bash", ["--norc", "-i"], cwd=script.parent, encoding="utf-8", timeout=20)
    try:
        shell.sendline("PS1='ready> '; bind 'set bell-style none'; source completion.bash")
        shell.expect("completion.bash")
        shell.expect("ready> ")
        shell.send("onnxplain rew\tmod\t--sel\tpre\t")
        time.sleep(0.2)
        shell.expect("onnxplain rewrite model.onnx --select predicted ")
    finally:
        shell.close(force=True)


def test_other_shells(run: Run) -> None:
    for shell, word in (("zsh", "#compdef onnxplain"), ("fish", "complete -c onnxplain")):
        result = run("completion", shell)
        assert (result.code, result.error) == (0, "")
        assert word in result.out and "guided_grad_cam" in result.out
    unknown = run("completion", "dos")
    assert (unknown.code, "dos" in unknown.error_line) == (2, True)


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh")
def test_the_script_for_zsh_parses(run: Run, tmp_path: Path) -> None:
    (tmp_path / "script").write_text(run("completion", "zsh").out)
    subprocess.run(["zsh", "-n", tmp_path / "script"], check=True, timeout=60)
