"""`onnxplain explain` on this machine."""

import json
import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from cli.running import Run, write_model
from PIL import Image

from onnxplain.engine import Engine, Preprocess

POINTWISE = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 8, 8] image) => (float[N, 2, 8, 8] y) { y = Conv (image, weight) }
"""
POOLED = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 16, 16] image) => (float[N, 5, 1, 1] probabilities)
{
  c = Conv (image, weight)
  r = Relu (c)
  a = GlobalAveragePool (r)
  probabilities = Softmax <axis = 1> (a)
}
"""


def test_a_model_and_a_picture_are_enough(run: Run, network: Path, picture: Path) -> None:
    result = run("explain", network, picture)
    assert result.code == 0
    assert os.listdir() == ["cat_deconvnet.png"]
    with Image.open("cat_deconvnet.png") as drawing:
        assert drawing.format == "PNG"
    assert "wrote cat_deconvnet.png" in result.out
    assert "assumed preprocessing 'imagenet'" in result.error
    expected = Engine("cpu").explain(network, picture)
    channel, activity = expected.channels[0, 0], np.sqrt(expected.score[0, 0])
    numbers = [f"{activity:.4g}", f"{100 * expected.probability[0, 0]:.3g}%"]
    assert result.out.splitlines()[0].split() == ["picture", "channel", "activity", "probability"]
    assert result.out.splitlines()[1].split() == ["cat.png", str(channel), *numbers]


def test_flags_reach_the_engine(run: Run, network: Path, picture: Path) -> None:
    flags = ["--layer", "pool", "--method", "gradient", "--channel", "2,0", "--position", "3,4"]
    flags += ["--seed-value", "activation", "--unpool", "portable", "--to", "c"]
    flags += ["--preprocess", "unit,color=BGR,mean=0.5", "--npz", "arrays.npz", "--device", "cpu"]
    assert run("explain", network, picture, *flags).code == 0
    assert os.listdir() == ["arrays.npz"]
    expected = Engine("cpu").explain(
        network,
        picture,
        "pool",
        "gradient",
        (2, 0),
        position=(3, 4),
        seed_value="activation",
        unpool="portable",
        to="c",
        preprocess=Preprocess(color="BGR", mean=(0.5,), scale=1 / 255),
    )
    with np.load("arrays.npz") as found:
        for name in ("attribution", "score", "channels", "position"):
            np.testing.assert_array_equal(found[name], getattr(expected, name))


def test_the_numbers_are_the_gradient(run: Run, tmp_path: Path, picture: Path) -> None:
    weight = np.arange(6).reshape(2, 3, 1, 1)
    model = write_model(tmp_path / "pointwise.onnx", POINTWISE, weight=weight)
    flags = ["--layer", "y", "--method", "gradient", "--channel", "all", "--position", "all"]
    assert run("explain", model, picture, *flags, "--npz", "arrays.npz").code == 0
    with np.load("arrays.npz") as found:
        attribution = found["attribution"]
    assert attribution.shape == (1, 2, 3, 8, 8)
    np.testing.assert_array_equal(attribution[0, :, :, 2, 3], [[0, 1, 2], [3, 4, 5]])


def test_a_layer_as_one_is_told_so(run: Run, network: Path, picture: Path) -> None:
    result = run("explain", network, picture, "--method", "inverse")
    assert result.out.splitlines()[1].split()[:2] == ["cat.png", "whole"]


def test_a_method_left_out_between_commas(run: Run, network: Path, picture: Path) -> None:
    result = run("explain", network, picture, "--method", "gradient,")
    assert result.code == 2
    assert "--method gradient,: a name is missing" in result.error_line


def test_json(run: Run, network: Path, picture: Path) -> None:
    other = picture.with_name("dog.png")
    other.write_bytes(picture.read_bytes())
    flags = ["--layer", "pool", "--channel", "top:2", "--preprocess", "raw", "--json"]
    result = run("explain", network, picture, other, *flags, "-o", "a.png", "--npz", "a.npz")
    assert (result.code, result.error) == (0, "")
    answer = json.loads(result.out)
    assert (answer["layer"], answer["method"], answer["to"]) == ("p", "deconvnet", "image")
    assert answer["files"] == {"picture": "a.png", "npz": "a.npz"}
    assert answer["preprocess"]["color"] == "RGB"
    assert [row["image"] for row in answer["images"]] == [str(picture), str(other)]
    with np.load("a.npz") as found:
        for i, row in enumerate(answer["images"]):
            assert [unit["channel"] for unit in row["units"]] == found["channels"][i].tolist()
            activity = np.sqrt(found["score"][i]).tolist()
            assert [unit["activity"] for unit in row["units"]] == pytest.approx(activity)
            assert [unit["position"] for unit in row["units"]] == found["position"][i].tolist()
    assert sorted(os.listdir()) == ["a.npz", "a.png"]


def test_the_raw_score_of_a_class_and_the_activity_of_a_unit(
    run: Run, network: Path, picture: Path
) -> None:
    """Seen from ONNX Runtime alone: the scores before the Softmax, and the pool's values."""
    model = onnx.load(network)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in ("scores", "p"))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    pixels = np.asarray(Image.open(picture), np.float32).transpose(2, 0, 1)[None] / 255
    probabilities, scores, pool = session.run(None, {"image": pixels})

    def first(*flags: str) -> dict[str, object]:
        out = run("explain", network, picture, "--preprocess", "unit", "--json", *flags).out
        unit: dict[str, object] = json.loads(out)["images"][0]["units"][0]
        return unit

    for negate in ([], ["--negate"]):
        unit = first("--method", "gradient", "--class", "3", *negate)
        assert unit["score"] == pytest.approx(scores[0, 3], rel=1e-4)
        assert unit["probability"] == pytest.approx(probabilities[0, 3], rel=1e-4)
        assert (unit["position"], "activity" in unit) == (None, False)
    unit = first("--layer", "pool", "--channel", "2")
    row, column = unit["position"]  # type: ignore[misc]
    assert unit["activity"] == pytest.approx(pool[0, 2].max(), rel=1e-4)
    assert pool[0, 2, row, column] == pool[0, 2].max()
    assert "score" not in unit and "probability" not in unit
    unit = first("--layer", "pool", "--channel", "2", "--method", "gradient")
    assert unit["activity"] == pytest.approx(pool[0, 2].sum(), rel=1e-4)


def test_a_class_without_places_has_no_position(run: Run, picture: Path, tmp_path: Path) -> None:
    """The classes of a network that ends as SqueezeNet does, in [N, classes, 1, 1]."""
    weight = np.random.default_rng(0).normal(size=(5, 3, 3, 3))
    model = write_model(tmp_path / "pooled.onnx", POOLED, weight=weight)
    result = run("explain", model, picture, "--json", "--npz", "a.npz")
    assert result.code == 0, result.error
    (unit,) = json.loads(result.out)["images"][0]["units"]
    assert unit["position"] is None and 0 < unit["probability"] < 1
    assert "position" not in np.load("a.npz")
    assert run("explain", model, picture).out.splitlines()[0].split()[-1] == "probability"
    top = ("top", model, picture.parent, "--layer", "a", "--channel", "3", "--npz", "top.npz")
    assert run(*top).out.splitlines()[0].split() == ["channel", "name", "activity"]
    assert json.loads(run(*top, "--json").out)[0]["position"] is None


def test_a_method_that_refuses_leaves_the_others_results(
    run: Run, network: Path, picture: Path
) -> None:
    flags = ["--layer", "pool", "--to", "c", "--preprocess", "unit"]
    several = run("explain", network, picture, *flags, "--method", "gradient,rise,lrp")
    assert several.code == 0
    assert "onnxplain: rise is left out: method 'rise' changes the picture" in several.error
    assert [line for line in several.out.splitlines() if line.endswith("of p:")] == [
        "gradient of p:", "lrp of p:",
    ]  # fmt: skip
    assert "wrote cat_gradient_rise_lrp.png" in several.out
    answer = json.loads(
        run("explain", network, picture, *flags, "--method", "gradient,rise,lrp", "--json").out
    )
    assert [one["method"] for one in answer] == ["gradient", "lrp", "rise"]
    assert "refused" in answer[-1] and "images" not in answer[-1]
    none = run("explain", network, picture, *flags, "--method", "rise,occlusion", "-o", "no.png")
    assert none.code == 2
    assert "rise" in none.error_line and "occlusion" in none.error_line
    assert not Path("no.png").exists()
    twice = run("explain", network, picture, "--method", "lrp,lrp")
    assert (twice.code, "named twice" in twice.error_line) == (2, True)


@pytest.mark.parametrize(
    "text",
    ["ant\nbee\ncow\ndog, domestic\nelk\n", "3,dog, domestic\n0,ant\n4,elk\n1,bee\n2,cow\n\n"],
)
def test_labels(run: Run, network: Path, picture: Path, tmp_path: Path, text: str) -> None:
    file = tmp_path / "labels.txt"
    file.write_text(text)
    result = run("explain", network, picture, "--labels", file, "--channel", "3,0", "--json")
    units = json.loads(result.out)["images"][0]["units"]
    assert [unit["label"] for unit in units] == ["dog, domestic", "ant"]
    expected = Engine("cpu").explain(network, picture, None, units=(3, 0)).probability
    assert [unit["probability"] for unit in units] == expected[0].tolist()


def test_an_input_is_never_overwritten(run: Run, network: Path, picture: Path) -> None:
    before = picture.read_bytes()
    result = run("explain", network, picture, "-o", picture)
    assert result.code == 2
    assert "overwritten" in result.error_line
    assert picture.read_bytes() == before


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("-o", "cat.gif"), "does not end in .png, .pdf, .svg or .jpg"),
        (("--dpi", 5), "dpi is 5"),
        (("--cmap", "seismik"), "nearest: 'seismic'"),
        (("--alpha", 2), "alpha is 2.0"),
        (("--width", 0), "width is 0.0"),
        (("--columns", 0), "columns is 0"),
        (("--at", "photo"), "choose one of photograph, network"),
        (("--panels", "file"), "'file' is a file"),
    ],
)
def test_what_a_figure_cannot_be_is_said_before_the_work(
    run: Run, network: Path, picture: Path, flags: tuple[object, ...], message: str
) -> None:
    Path("file").write_text("")
    result = run("explain", network, picture, *flags)
    assert result.code == 2
    assert message in result.error_line
    assert "activity" not in result.out
    assert os.listdir() == ["file"]


def test_the_figure_s_flags_reach_it(run: Run, network: Path, picture: Path) -> None:
    flags = ("--dpi", 60, "--width", 5, "--no-title", "--cmap", "viridis", "--at", "network")
    result = run("explain", network, picture, "-o", "cat.jpg", "--method", "lrp", *flags)
    assert result.code == 0, result.error
    with Image.open("cat.jpg") as drawn:
        assert drawn.format == "JPEG"
        assert drawn.width == 300
        height = drawn.height
    run("explain", network, picture, "-o", "titled.png", "--method", "lrp", *flags[:4])
    with Image.open("titled.png") as drawn:
        assert drawn.height > height


def test_panels_are_files_of_the_figure_s_kind(run: Run, network: Path, picture: Path) -> None:
    result = run("explain", network, picture, "-o", "cat.pdf", "--panels", "parts")
    assert result.code == 0, result.error
    assert result.out.splitlines()[-2:] == ["wrote cat.pdf", "wrote parts/"]
    names = sorted(os.listdir("parts"))
    assert len(names) == 3
    assert all(Path("parts", name).read_bytes().startswith(b"%PDF") for name in names)
    alone = run("explain", network, picture, "--panels", "alone")
    assert alone.code == 0, alone.error
    assert sorted(os.listdir()) == ["alone", "cat.pdf", "parts"]
    assert {Path(name).suffix for name in os.listdir("alone")} == {".png"}


@pytest.mark.parametrize(
    ("preprocess", "word"),
    [
        ("imagnet", "'imagenet'"),
        ("hue=3", "'hue'"),
        ("size=big", "size=224"),
        ("scale=1/0", "scale=1/255"),
        ("raw,mean=1,2", "mean has 2 values for 3 channels"),
    ],
)
def test_wrong_preprocessing(
    run: Run, network: Path, picture: Path, preprocess: str, word: str
) -> None:
    result = run("explain", network, picture, "--preprocess", preprocess)
    assert result.code == 2
    assert word in result.error_line
    assert os.listdir() == []
