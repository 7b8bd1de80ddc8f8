"""Files of arrays, further inputs, regions, standard input and URLs on the command line."""

import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from artefacts import network as network_of
from cli.running import Run
from PIL import Image

from onnxplain.engine import Engine

SIGNAL = """
<ir_version: 8, opset_import: ["": 17]>
ecg (float[N, 2, L] ecg, float[4, 2, 5] w, float[4, 3] v) => (float[N, 3] y)
{
    c = Conv <pads = [2, 2]> (ecg, w)
    r = Relu (c)
    m = ReduceMean <axes = [2], keepdims = 0> (r)
    y = MatMul (m, v)
}
"""
VOLUME = """
<ir_version: 8, opset_import: ["": 17]>
ct (float[N, 1, D, H, W] ct, float[4, 1, 3, 3, 3] w, float[4, 2] v) => (float[N, 2] y)
{
    c = Conv <pads = [1, 1, 1, 1, 1, 1]> (ct, w)
    r = Relu (c)
    m = ReduceMean <axes = [2, 3, 4], keepdims = 0> (r)
    y = MatMul (m, v)
}
"""
BANDS = """
<ir_version: 8, opset_import: ["": 17]>
bands (float[N, 6, 10, 12] x, float[4, 6, 3, 3] w) => (float[N, 4, 8, 10] y)
{ c = Conv (x, w) y = Relu (c) }
"""
TWO = """
<ir_version: 8, opset_import: ["": 17]>
two (float[N, 3, 8, 8] image, float[N, 5] age, float[3, 4] v, float[5, 4] w) => (float[N, 4] y)
{
    m = ReduceMean <axes = [2, 3], keepdims = 0> (image)
    h = MatMul (m, v)
    g = MatMul (age, w)
    y = Mul (h, g)
}
"""
RNG = np.random.default_rng(0)


def save(folder: Path, text: str, *inputs: str) -> Path:
    onnx.save(network_of(text, inputs), folder / "own.onnx")
    return folder / "own.onnx"


def test_a_signal_is_drawn_as_curves(run: Run, tmp_path: Path) -> None:
    model, signals = save(tmp_path, SIGNAL, "ecg"), RNG.standard_normal((3, 2, 90))
    np.save(tmp_path / "ecg.npy", signals.astype(np.float32))
    done = run("explain", model, tmp_path / "ecg.npy", "--method", "gradient", "--npz", "a.npz",
               "-o", "a.png")  # fmt: skip
    assert (done.code, done.error) == (0, "")
    lines = [line.split()[0] for line in done.out.splitlines()[1:4]]
    assert lines == [f"ecg.npy[{i}]" for i in range(3)]
    expected = Engine("cpu").explain(model, signals, method="gradient")
    with np.load("a.npz") as found:
        np.testing.assert_array_equal(found["attribution"], expected.attribution)
    with Image.open("a.png") as drawing:
        assert drawing.width > 640
        assert drawing.height > 3 * 384
    one = run("explain", model, tmp_path / "ecg.npy", "--method", "occlusion,grad_cam", "--json")
    assert [len(each["images"]) for each in json.loads(one.out)] == [3, 3]


def test_a_volume_is_drawn_as_slices(run: Run, tmp_path: Path) -> None:
    model = save(tmp_path, VOLUME, "ct")
    np.save(tmp_path / "ct.npy", RNG.integers(-1000, 1000, (1, 9, 8, 7)).astype(np.int16))
    done = run("explain", model, tmp_path / "ct.npy", "--method", "gradient,occlusion")
    assert (done.code, done.error) == (0, "")
    assert os.listdir() == ["ct_gradient_occlusion.png"]


def test_bands_of_a_picture_of_many_channels(run: Run, tmp_path: Path) -> None:
    model = save(tmp_path, BANDS, "x")
    np.save(tmp_path / "x.npy", RNG.random((6, 10, 12)).astype(np.float32))
    flags = ["explain", model, tmp_path / "x.npy", "--method", "gradient", "-o"]
    drawings = []
    for name, bands in (("mean.png", []), ("three.png", ["--bands", "4,2,0"])):
        assert run(*flags, name, *bands).code == 0
        drawings.append(Path(name).read_bytes())
    assert drawings[0] != drawings[1]
    wrong = run(*flags, "no.png", "--bands", "6")
    assert wrong.code == 2
    assert "channels 0 to 5" in wrong.error
    assert not os.path.exists("no.png")


def test_further_inputs_and_all_targets(run: Run, tmp_path: Path) -> None:
    model, age = save(tmp_path, TWO, "image", "age"), RNG.random((1, 5)).astype(np.float32)
    pixels = RNG.integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "cat.png")
    np.save(tmp_path / "age.npy", age)
    flags = ["explain", model, tmp_path / "cat.png", "--method", "gradient", "--to", "all"]
    flags += ["--preprocess", "unit", "--npz", "a.npz", "-o", "a.png"]
    missing = run(*flags)
    assert missing.code == 2
    assert "'age' (float32 [N, 5])" in missing.error
    assert "--input age=FILE" in missing.error
    done = run(*flags, "--input", f"age={tmp_path / 'age.npy'}")
    assert done.code == 0, done.error
    expected = Engine("cpu").explain(
        model, pixels, method="gradient", preprocess="unit", inputs={"age": age}, to="all"
    )
    with np.load("a.npz") as found:
        np.testing.assert_array_equal(found["attribution"], expected.attribution)
        np.testing.assert_array_equal(found["attribution.age"], expected.others["age"])
    for text in ("age", "=x", "age="):
        assert "write NAME=FILE" in run(*flags, "--input", text).error


def test_a_region(run: Run, network: Path, picture: Path, tmp_path: Path) -> None:
    mask = np.zeros((16, 16), np.uint8)
    mask[2:9, 4:12] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    flags = ["--layer", "pool", "--channel", "2", "--npz", "a.npz", "--preprocess", "unit"]
    done = run("explain", network, picture, *flags, "--region", tmp_path / "mask.png")
    assert done.code == 0, done.error
    expected = Engine("cpu").explain(
        network, picture, "pool", units=2, region=mask, preprocess="unit"
    )
    with np.load("a.npz") as found:
        np.testing.assert_array_equal(found["attribution"], expected.attribution)
    both = run("explain", network, picture, "--region", tmp_path / "mask.png", "--position", "max")
    assert both.code == 2
    assert "exclude each other" in both.error
    own = run("explain", network, picture, *flags[:-2], "--region", picture, "-o", picture)
    assert "is an input" in own.error


@pytest.fixture
def piped(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let standard input be a picture."""
    stdin = io.TextIOWrapper(io.BytesIO(picture.read_bytes()))
    monkeypatch.setattr(sys, "stdin", stdin)


@pytest.mark.usefixtures("piped")
def test_a_picture_from_standard_input(run: Run, network: Path, picture: Path) -> None:
    done = run("explain", network, "-", "--npz", "a.npz", "-o", "a.png", "--preprocess", "unit")
    assert done.code == 0, done.error
    assert done.out.splitlines()[1].startswith("-")
    with np.load("a.npz") as found:
        expected = Engine("cpu").explain(network, picture, preprocess="unit")
        np.testing.assert_array_equal(found["attribution"], expected.attribution)


def test_empty_standard_input_is_called_so(
    run: Run, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    done = run("explain", network, "-")
    assert (done.code, os.listdir()) == (2, [])
    assert "standard input (-) is empty" in done.error


@pytest.mark.usefixtures("piped")
def test_the_views_read_standard_input_too(run: Run, network: Path) -> None:
    done = run("occlusion", network, "-", "--preprocess", "unit")
    assert done.code == 0, done.error
    assert os.listdir() == ["stdin_occlusion.png"]


def test_standard_input_holds_one_picture(run: Run, network: Path) -> None:
    for command in (["explain", network, "-", "-"], ["evaluate", network, "-", "-"]):
        done = run(*command)
        assert done.code == 2
        assert "name it once" in done.error


@pytest.mark.parametrize("url", ["https://example.com/a", "http://a.b/c", "s3://bucket/key"])
def test_a_url_is_to_be_downloaded_first(run: Run, network: Path, picture: Path, url: str) -> None:
    for command in (
        ["explain", network, f"{url}.png"],
        ["explain", network, f"{url}.npy"],
        ["explain", f"{url}.onnx", picture],
        ["explain", network, picture, "--region", f"{url}.png"],
        ["explain", network, picture, "--labels", f"{url}.txt"],
        ["occlusion", network, f"{url}.png"],
        ["evaluate", network, f"{url}.png"],
        ["top", network, url, "--layer", "pool", "--channel", "0"],
        ["layers", f"{url}.onnx"],
        ["check", f"{url}.onnx"],
        ["rewrite", f"{url}.onnx", "-o", "out.onnx"],
    ):
        done = run(*command)
        assert done.code == 2, command
        assert "is a URL: download it first, and give the f" in done.error, command
    assert not os.listdir()


def test_views_of_pixels_refuse_arrays(run: Run, network: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((3, 16, 16), np.float32))
    done = run("occlusion", network, tmp_path / "x.npy")
    assert done.code == 2
    assert "only explain takes" in done.error


def test_views_take_pictures_that_are_arrays(run: Run, network: Path, picture: Path) -> None:
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("RGB"))
    np.save("x.npy", pixels)
    np.savez("x.npz", pixels)
    found = []
    for number, file in enumerate((picture, "x.npy", "x.npz")):
        flags = ["--window", 4, "--preprocess", "unit", "--npz", f"{number}.npz"]
        done = run("occlusion", network, file, *flags)
        assert done.code == 0, done.error
        with np.load(f"{number}.npz") as arrays:
            found.append(arrays["strength"])
    assert np.ptp(found[0]) > 0
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_a_folder_of_arrays(run: Run, tmp_path: Path) -> None:
    model, folder = save(tmp_path, BANDS, "x"), tmp_path / "tiles"
    folder.mkdir()
    for i in range(3):
        np.save(folder / f"{i}.npy", (i + 1) * RNG.random((6, 10, 12)).astype(np.float32))
    done = run("top", model, folder, "--layer", "y", "--channel", "0,2", "--count", "2")
    assert (done.code, done.error) == (0, "")
    assert {line.split()[1] for line in done.out.splitlines()[1:5]} <= {
        f"{i}.npy" for i in range(3)
    }
    np.save(folder / "3.npy", np.zeros((2, 6, 10, 12), np.float32))
    many = run("top", model, folder, "--layer", "y", "--channel", "0")
    assert many.code == 2
    assert "holds 2 images" in many.error


def test_a_wave_without_channels_is_drawn(run: Run, tmp_path: Path) -> None:
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    net (float[N, 30] wave, float[30, 4] w) => (float[N, 4] y) { y = MatMul (wave, w) }
    """
    np.save(tmp_path / "wave.npy", RNG.random(30).astype(np.float32))
    done = run("explain", save(tmp_path, text, "wave"), tmp_path / "wave.npy", "-o", "wave.png")
    assert done.code == 0, done.error
    with Image.open("wave.png") as drawn:
        assert drawn.width > 640


@pytest.mark.parametrize("command", [("occlusion",), ("training", "--image")])
def test_a_view_says_that_explain_alone_takes_further_inputs(
    command: tuple[str, ...], run: Run, tmp_path: Path, picture: Path
) -> None:
    """It has no --input of its own."""
    model = save(tmp_path, TWO, "image", "age")
    name, *flag = command
    done = run(name, model, *flag, picture)
    assert done.code == 2
    assert "'age'" in done.error and "explain, but no other command" in done.error
