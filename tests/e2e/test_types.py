"""What type checkers see of the front doors from outside: a user's program under mypy --strict."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOTS = [ROOT / folder for folder in ("proto", "graphops", "service", "clients/python")]
RIGHT = """
from pathlib import Path

import numpy as np
import numpy.typing as npt

from onnxplain.engine import (
    Covered, Engine, Evaluations, Explanation, Invariance, SideBySide, Sliding, Strongest, Training,
    evaluate, explain, invariance, occlusion, slide, top, training,
)

model, picture = Path("net.onnx"), np.zeros((8, 8, 3), np.uint8)
one: Explanation = explain(model, picture, "layer4", units="top:9", labels="imagenet", samples=9)
several: SideBySide = explain(model, picture, method=["gradient", "grad_cam"])
placed: SideBySide = explain(model, picture, None, ("gradient", "grad_cam"), negate=True)
first: Explanation = several["gradient"]
values: npt.NDArray[np.float32] = first.attribution
best: Strongest = top(model, ["a.png", picture], "layer4", channels="all", count=4)
covered: Covered = occlusion(model, "a.png", window=9)
moved: Invariance = invariance(model, "a.png", "layer4")
larger: Sliding = slide(model, b"...", 281, labels=["cat"])
epochs: Training = training(["a.onnx", "b.onnx"], "a.png", units=[1, 2])
measured: Evaluations = evaluate(model, ["a.png"], "gradient", randomize=2)
engine = Engine("cpu").limited(10.0)
same: Explanation = engine.explain(model, picture, method="lrp")
sides: SideBySide = engine.explain(model, picture, method=["lrp"])
found: Strongest = engine.top(model, ["a.png"], "layer4")
"""
WRONG = {  # a line, and the code of its error
    "explain()": "call-overload",
    'explain("net.onnx", "a.png", smaples=9)': "call-overload",
    'explain("net.onnx", "a.png", samples="many")': "call-overload",
    'top("net.onnx", ["a.png"], 5)': "arg-type",
    'Engine().occlusion("net.onnx", "a.png", windows=9)': "call-arg",
    "Engine().nothing": "attr-defined",
}


def checked(program: str, folder: Path) -> str:
    file = folder / "program.py"
    file.write_text(program)
    config = folder / "mypy.ini"
    config.write_text("[mypy]\nstrict = true\nexplicit_package_bases = true\n")
    command = [sys.executable, "-m", "mypy", "--config-file", config, file]
    paths = {"PYTHONPATH": os.pathsep.join(map(str, ROOTS)), "MYPYPATH": str(ROOT / "stubs")}
    result = subprocess.run(
        [*map(str, command), "--cache-dir", str(folder / "cache")],
        capture_output=True, text=True, cwd=folder, timeout=500, env={**os.environ, **paths},
        check=False,
    )  # fmt: skip
    ours = [line for line in result.stdout.splitlines() if line.startswith("program.py")]
    return "\n".join(ours) + result.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mypy")
    return tmp_path_factory.mktemp("types")


def test_a_right_program_has_no_errors(folder: Path) -> None:
    assert checked(RIGHT, folder) == ""


def test_wrong_lines_have_errors(folder: Path) -> None:
    told = checked("from onnxplain.engine import Engine, explain, top\n" + "\n".join(WRONG), folder)
    errors = re.findall(r"^program.py:(\d+): error: .*\[(.*)\]$", told, re.MULTILINE)
    codes = {int(number): code for number, code in errors}
    assert codes == dict(enumerate(WRONG.values(), 2)), told
