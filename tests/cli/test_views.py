"""The commands that draw: what they write, print and refuse."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli.running import Run, write_model
from PIL import Image

from onnxplain.engine import Engine

EXAMPLES = Path(__file__).parents[2] / "examples"
MODEL, STAR = EXAMPLES / "shapes.onnx", EXAMPLES / "pictures/star_1.png"


def is_picture(path):
    with Image.open(path) as image:
        return image.format == "PNG" and image.width > 300


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures in a folder and a subfolder, among files that are none."""
    top = tmp_path / "pictures"
    (top / "more").mkdir(parents=True)
    for name in ("star_1.png", "ring_1.png", "heart_1.png"):
        place = top / "more" if name.startswith("ring") else top
        (place / name).write_bytes((EXAMPLES / "pictures" / name).read_bytes())
    (top / "notes.txt").write_text("not a picture")
    return top


def test_top(run: Run, folder: Path, tmp_path: Path) -> None:
    result = run(
        "top", MODEL, folder, "--layer", "mixed", "--channel", "7,60", "--count", "2",
        "-o", tmp_path / "top.png", "--json",
    )  # fmt: skip
    assert result.code == 0, result.error
    rows = json.loads(result.out)
    assert [row["channel"] for row in rows] == [7, 7, 60, 60]
    assert rows[0]["activity"] >= rows[1]["activity"]
    for row in rows:
        assert row["picture"] == str(folder / row["name"])
        assert row["name"] in ("star_1.png", "more/ring_1.png", "heart_1.png")
    assert is_picture(tmp_path / "top.png")


@pytest.mark.parametrize(
    ("flags", "channels"),
    [
        (["--channel", "top:3"], 3),
        (["--channel", "all"], 64),
        (["--channel", "4:36"], 32),
        ([], 9),
    ],
)
def test_the_channels_of_top(run: Run, folder: Path, flags: list[str], channels: int) -> None:
    files = ("--npz", "top.npz")
    result = run("top", MODEL, folder, "--layer", "mixed", *flags, "--count", "1", *files)
    assert result.code == 0, result.error
    with np.load("top.npz") as found:
        assert found["channels"].shape == (channels,)


def test_many_channels_are_several_pages(run: Run, folder: Path) -> None:
    """Of a PNG file each page is a file, and all their names are printed."""
    flags = ("--layer", "mixed", "--channel", "all", "--count", "4")
    result = run("top", MODEL, folder, *flags, "-o", "top.png", "--npz", "top.npz")
    assert result.code == 0, result.error
    written = [line.split()[1] for line in result.out.splitlines() if line.startswith("wrote ")]
    assert written == [*(f"top-{page}.png" for page in range(1, len(written))), "top.npz"]
    assert len(written) > 2
    assert sorted(written) == sorted(path.name for path in Path().glob("top*.*"))
    assert all(is_picture(path) for path in written[:-1])


def test_pictures_that_cannot_be_read_are_named_at_the_end(run: Run, folder: Path) -> None:
    """They end nothing while there are others; here and in the files of a subfolder."""
    (folder / "more" / "bad.tiff").write_bytes(b"II*")
    flags = ("--layer", "mixed", "--channel", "7", "-o", "top.png", "--npz", "top.npz")
    result = run("top", MODEL, folder, *flags)
    assert result.code == 0, result.error
    last = result.error.splitlines()[-1]
    skipped = "1 of 4 pictures could not be read and were skipped: more/bad.tiff"
    assert last == f"onnxplain: {skipped}"
    names = {line.split()[1] for line in result.out.splitlines()[1:4]}
    assert names == {"star_1.png", "more/ring_1.png", "heart_1.png"}
    assert run("top", MODEL, folder, *flags, "--json").error.splitlines()[-1] == last
    for path in folder.rglob("*.png"):
        path.write_bytes(b"")
    result = run("top", MODEL, folder, *flags)
    assert result.code == 2
    assert "none of the 4 pictures can be read; '" in result.error


def test_training(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "t.png"
    result = run(
        "training",
        MODEL,
        MODEL,
        "--image",
        STAR,
        "--layer",
        "block1",
        "--channel",
        "0:3",
        "-o",
        out,
    )
    assert result.code == 0, result.error
    assert is_picture(out)


def test_invariance(run: Run, tmp_path: Path) -> None:
    out, arrays = tmp_path / "i.png", tmp_path / "i.npz"
    result = run("invariance", MODEL, STAR, "--layer", "block2", "-o", out, "--npz", arrays)
    assert result.code == 0, result.error
    with np.load(arrays) as found:
        assert found["scale.amounts"].shape == found["scale.distance.block2"].shape
        assert found["rotation.probability"][0] > 0.5
    assert is_picture(out)


def test_occlusion(run: Run, tmp_path: Path) -> None:
    out, arrays = tmp_path / "o.png", tmp_path / "o.npz"
    result = run(
        "occlusion", MODEL, STAR, "--layer", "block2", "--window", "16", "--stride", "16",
        "-o", out, "--npz", arrays,
    )  # fmt: skip
    assert result.code == 0, result.error
    assert "star: probability" in result.out
    with np.load(arrays) as found:
        assert found["probability"].shape == found["strength"].shape == (4, 4)
    assert is_picture(out)


def test_methods_side_by_side(run: Run, tmp_path: Path) -> None:
    out, arrays = tmp_path / "s.png", tmp_path / "s.npz"
    result = run(
        "explain", MODEL, STAR, "--method", "gradient,smoothgrad,grad_cam", "--samples", "3",
        "-o", out, "--npz", arrays,
    )  # fmt: skip
    assert result.code == 0, result.error
    assert result.out.count("star") >= 3
    with np.load(arrays) as found:
        assert found["smoothgrad.attribution"].shape == (1, 1, 3, 64, 64)
        assert found["grad_cam.attribution"].shape == (1, 1, 1, 64, 64)
    assert is_picture(out)


def test_completeness_and_baseline(run: Run, tmp_path: Path) -> None:
    """The error is printed, and is that of the arrays; the baseline changes it."""
    flags = ("explain", MODEL, STAR, "--method", "integrated_gradients", "--npz", "a.npz")
    errors = []
    for baseline in ([], ["--baseline", "0.5"], ["--baseline", "0.5,0.1,-0.3"]):
        printed = run(*flags, *baseline)
        assert printed.code == 0, printed.error
        assert "completeness error" in printed.out
        (unit,) = json.loads(run(*flags, *baseline, "--json").out)["images"][0]["units"]
        with np.load("a.npz") as found:
            assert unit["completeness_error"] == found["completeness_error"][0, 0]
        assert f"{unit['completeness_error']:.4g}" in printed.out
        errors.append(unit["completeness_error"])
    assert len(set(errors)) == 3
    lrp = run("explain", MODEL, STAR, "--method", "lrp", "--json", "--npz", "lrp.npz")
    (unit,) = json.loads(lrp.out)["images"][0]["units"]
    with np.load("lrp.npz") as found:
        assert unit["activity"] ** 2 == pytest.approx(found["score"][0, 0])
    assert "score" not in unit


def test_views_write_their_arrays(run: Run) -> None:
    assert run("top", MODEL, STAR.parent, "--layer", "mixed", "--channel", "7",
               "--npz", "top.npz").code == 0  # fmt: skip
    assert run("training", MODEL, MODEL, "--image", STAR, "--npz", "training.npz").code == 0
    assert not Path("top.png").exists()
    with np.load("top.npz") as found:
        assert found["score"].shape == (1, 9)
        assert found["patch.0.8"].dtype == np.uint8
    with np.load("training.npz") as found:
        assert found["attribution"].shape == (2, 1, 3, 64, 64)


def test_memory_changes_nothing_but_the_number_of_runs(run: Run, tmp_path: Path) -> None:
    arrays = []
    for memory in ("1M", "2G"):
        path = tmp_path / f"{memory}.npz"
        result = run(
            "explain", MODEL, STAR, "--method", "integrated_gradients", "--steps", "5",
            "--memory", memory, "--npz", path,
        )  # fmt: skip
        assert result.code == 0, result.error
        with np.load(path) as found:
            arrays.append(found["attribution"])
    np.testing.assert_allclose(*arrays, rtol=1e-4, atol=1e-6)


def test_evaluate(run: Run, tmp_path: Path) -> None:
    result = run(
        "evaluate", MODEL, STAR, "--masks", EXAMPLES / "masks", "--method", "gradient",
        "--json",
    )  # fmt: skip
    assert result.code == 0, result.error
    rows = json.loads(result.out)
    assert [row["method"] for row in rows] == ["gradient", "random"]
    assert rows[0]["mass"] > rows[1]["mass"]


FLAT = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 64, 64] image, float[4, 3, 64, 64] weight) => (float[N, 4] y)
{ c = Conv (image, weight) r = Relu (c) y = Flatten (r) }
"""


def test_evaluate_names_a_method_that_refuses(run: Run, tmp_path: Path) -> None:
    weight = np.random.default_rng(0).random((4, 3, 64, 64)) / 4096
    model = write_model(tmp_path / "flat.onnx", FLAT, weight=weight)
    flags = ["--preprocess", "unit", "--method", "grad_cam,gradient"]
    shown = run("evaluate", model, STAR, *flags)
    assert shown.code == 0
    assert [line.split()[0] for line in shown.out.splitlines()[1:]] == ["gradient", "random"]
    assert shown.error.startswith("onnxplain: grad_cam is left out: ")
    rows = json.loads(run("evaluate", model, STAR, *flags, "--json").out)
    assert [row["method"] for row in rows] == ["gradient", "random", "grad_cam"]
    assert "layer" in rows[2]["refused"]
    alone = run("evaluate", model, STAR, "--preprocess", "unit", "--method", "grad_cam")
    assert alone.code == 3 and "layer" in alone.error_line


def test_methods(run: Run) -> None:
    rows = json.loads(run("methods", "--json").out)
    by_name = {row["method"]: row for row in rows}
    assert by_name["smoothgrad"]["options"] == ["samples", "noise_level", "noise", "noise_seed"]
    assert by_name["rise"]["artefact"] is False
    assert all(row["summary"] for row in rows)
    assert "lrp_epsilon_gamma_box" in run("methods").out


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("top", MODEL, "nowhere", "--layer", "mixed", "--channel", "1"), "no folder 'nowhere'"),
        (("top", MODEL, ".", "--layer", "mixed"), "no pictures in '.' and its subfolders"),
        (("top", MODEL, STAR.parent, "--layer", "mixed", "--channel", "999"), "no channel 999"),
        (("top", MODEL, STAR.parent, "--layer", "mixed", "--channel", "top:999"), "'top:999' are"),
        (("top", MODEL, STAR.parent, "--layer", "mixed", "--channel", "whole"), "'whole'"),
        (("top", MODEL, STAR.parent, "--layer", "mixed", "--count", "0"), "count of 0"),
        (("top", MODEL, STAR.parent, "--layer", "mixed", "--method", "grad_cam"), "does not carry"),
        (("explain", MODEL, STAR, "--method", "gradient", "--samples", "3"), "takes no samples"),
        (("explain", MODEL, STAR, "--channel", "3:1"), "'3:1' is an empty range"),
        (("explain", MODEL, STAR, "--memory", "2T"), "'2T' is not a size"),
        (("rewrite", MODEL, "--method", "rise", "-o", "out.onnx"), "many runs"),
        (("rewrite", MODEL, "--method", "lrp_epsilon_gamma_box", "-o", "o.onnx"), "low and high"),
        (("evaluate", MODEL, STAR, "--masks", "nowhere"), "no folder 'nowhere'"),
        (("occlusion", MODEL, STAR, "--layer", "block2", "--class", "99"), "no class 99"),
        (("occlusion", MODEL, STAR, "--window", "0"), "a window of 0"),
        (("occlusion", MODEL, STAR, "-o", "out.gif"), "'out.gif' does not end in .png"),
        (("invariance", MODEL, STAR, "--layer", "mixed", "-o", STAR), "would be overwritten"),
        (("evaluate", MODEL, STAR, "--method", "gradient", "--randomize", "-1"), "randomize -1"),
        (("explain", MODEL, STAR, "--method", "gradient", "--baseline", "1"), "takes no baseline"),
        (("explain", MODEL, STAR, "--method", "gradient,lrp", "--steps", "3"), "takes no steps"),
    ],
)
def test_what_is_wrong_is_said(run: Run, command, message) -> None:
    result = run(*command)
    assert result.code == 2
    assert message in result.error


def test_methods_side_by_side_share_one_engine(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made, real = [], Engine.__init__

    def counted(self: Engine, *arguments: Any, **named: Any) -> None:
        made.append(self)
        real(self, *arguments, **named)

    monkeypatch.setattr(Engine, "__init__", counted)
    assert run("explain", MODEL, STAR, "--method", "gradient,deconvnet,grad_cam").code == 0
    assert len(made) == 1
