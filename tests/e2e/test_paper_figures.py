"""The figures of papers that the examples redraw."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
SCRIPT, MODEL = ROOT / "examples/paper_figures.py", ROOT / "examples/shapes.onnx"
NAMES = ["guided_grad_cam", "zeiler_fergus_2", "zeiler_fergus_5"]


def run(*arguments):
    command = [sys.executable, SCRIPT, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_three_figures_are_drawn_for_a_folder_of_pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("star_1", "ring_1"):
        (folder / f"{name}.png").symlink_to(ROOT / f"examples/pictures/{name}.png")
    (folder / "notes.txt").write_text("no picture")
    drawn = run(MODEL, folder, "--layers", "stem", "mixed", "--out", tmp_path, "--dpi", "60")
    assert drawn.returncode == 0, drawn.stderr
    for name in NAMES:
        with Image.open(tmp_path / f"{name}.png") as image:
            assert image.width == round(6.9 * 60)
            assert len(image.convert("RGB").getcolors(maxcolors=2**24)) > 1000
        assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("classes", [["3", "1"], ["4"]])
def test_each_class_has_a_row(tmp_path, classes):
    picture = ROOT / "examples/pictures/star_1.png"
    options = ["--layers", "stem", "--classes", *classes, "--out", tmp_path, "--dpi", "50"]
    assert run(MODEL, picture, *options).returncode == 0
    with Image.open(tmp_path / "guided_grad_cam.png") as image:
        side = image.width / 4
        assert image.height == pytest.approx(len(classes) * side, abs=0.3 * side)
