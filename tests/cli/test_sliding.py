"""`onnxplain convolutionalize` and `onnxplain slide`."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from cli.running import Run, write_model
from PIL import Image

from onnxplain.engine import Engine

# Its windows have 16 x 16 pixels and the stride 2; nothing pads.
CLASSIFIER = """
<ir_version: 8, opset_import: ["": 17],
 metadata_props: ["onnxplain.labels": "[\\"dark\\", \\"red\\", \\"green\\", \\"blue\\"]"]>
net (float[N, 3, 16, 16] image) => (float[N, 4] probabilities)
{
  c = Conv (image, weight)
  r = Relu (c)
  p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r)
  f = Flatten (p)
  scores = Gemm <transB = 1> (f, dense)
  probabilities = Softmax (scores)
}
"""


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    weights = {"weight": rng.normal(size=(5, 3, 3, 3)), "dense": rng.normal(size=(4, 245)) / 30}
    return write_model(tmp_path / "windows.onnx", CLASSIFIER, **weights)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(2).integers(0, 256, (30, 41, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "large.png")
    return tmp_path / "large.png"


def by_windows(classifier: Path, large: Path) -> np.ndarray:
    """Return the classifier's scores of each window cut out, [4, rows, columns]."""
    session = onnxruntime.InferenceSession(classifier, providers=["CPUExecutionProvider"])
    pixels = np.asarray(Image.open(large)).astype(np.float32).transpose(2, 0, 1)[None] / 255
    rows = [
        [
            session.run(None, {"image": pixels[:, :, top : top + 16, left : left + 16]})[0][0]
            for left in range(0, 41 - 15, 2)
        ]
        for top in range(0, 30 - 15, 2)
    ]
    return np.array(rows).transpose(2, 0, 1)


def test_the_scores_are_those_of_the_windows(run: Run, classifier: Path, large: Path) -> None:
    expected = by_windows(classifier, large)
    result = run(
        "slide", classifier, large, "--channel", 2, "--preprocess", "unit", "-o", "heat.png",
        "--npz", "scores.npz",
    )  # fmt: skip
    assert (result.code, result.error) == (0, "")
    with np.load("scores.npz", allow_pickle=False) as saved:
        np.testing.assert_allclose(saved["scores"], expected[2], rtol=1e-4, atol=1e-6)
        assert saved["window"].tolist() == [16, 16]
        assert saved["stride"].tolist() == [2, 2]
        assert (saved["label"], saved["channel"]) == ("green", 2)
    top, left = 2 * np.array(np.unravel_index(expected[2].argmax(), expected[2].shape))
    assert f"in the window from row {top}, column {left} on; 8 x 13 windows" in result.out
    assert "wrote heat.png" in result.out


def test_a_preset_s_crop_does_not_cut_the_picture(classifier: Path, large: Path) -> None:
    expected = Engine("cpu").slide(classifier, large, 1, preprocess="imagenet")
    found = Engine("cpu").slide(classifier, large, 1, preprocess="torchvision")
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_the_strongest_class_is_drawn_unless_one_is_named(
    run: Run, classifier: Path, large: Path
) -> None:
    expected = by_windows(classifier, large)
    result = run("slide", classifier, large, "--preprocess", "unit")
    channel = expected.max(axis=(1, 2)).argmax()
    assert f"channel {channel} (" in result.out
    assert Path("large_slide.png").exists()


def test_the_drawing_colours_each_window_at_its_centre(classifier: Path, large: Path) -> None:
    """The strongest window's colour is dark red, and it lies where that window's centre is."""
    found = Engine("cpu").slide(classifier, large, 1, preprocess="unit")
    figure = found.figure(at="network", alpha=1)
    figure.canvas.draw()
    canvas = np.asarray(figure.canvas.buffer_rgba())[:, :, :3].astype(int)
    ax = figure.axes[1]

    def colour(row: float, column: float) -> np.ndarray:
        x, y = ax.transData.transform((column, row))
        return canvas[len(canvas) - 1 - round(y), round(x)]

    strongest = colour(*(2 * p + 8 for p in found.best))
    assert np.abs(strongest - (177, 0, 38)).max() < 60
    assert np.ptp(colour(1, 1)) == 0  # the corner is grey and uncovered


def test_convolutionalize_writes_what_slide_takes(run: Run, classifier: Path, large: Path) -> None:
    result = run("convolutionalize", classifier, "-o", "out.onnx")
    assert (result.code, result.error) == (0, "")
    assert result.out.splitlines() == [
        "wrote out.onnx: 'probabilities' is a map of windows",
        "  window   16x16 pixels",
        "  stride   2 pixels",
        "  padding  none: scores equal those of windows cut out of the picture",
    ]
    onnx.checker.check_model(onnx.load("out.onnx"), full_check=True)
    flags = ["--channel", 0, "--preprocess", "unit", "--npz"]
    assert run("slide", "out.onnx", large, *flags, "a.npz").code == 0
    assert run("slide", classifier, large, *flags, "b.npz").code == 0
    with np.load("a.npz") as a, np.load("b.npz") as b:
        np.testing.assert_array_equal(a["scores"], b["scores"])


def test_what_is_wrong_is_said(run: Run, classifier: Path, network: Path, large: Path) -> None:
    padded = run("slide", network, large, "--preprocess", "unit")
    assert padded.code == 0
    assert "since 1 node pads (the first is 'convolution'): see" in padded.error
    channel = run("slide", classifier, large, "--channel", 4)
    assert channel.code == 2
    assert "no channel 4: the network has 4" in channel.error_line
    small = run("slide", classifier, large, "--preprocess", "unit,size=15x41")
    assert small.code == 2
    assert "15x41 pixels, and one window 16x16" in small.error_line
    size = run("convolutionalize", classifier, "--size", "17x16", "-o", "out.onnx")
    assert size.code == 3
    assert "fixed size 16, not 17" in size.error_line
    assert not Path("out.onnx").exists()


@pytest.mark.parametrize(
    ("last", "quantity"),
    [("Softmax", "probability"), ("LogSoftmax", "log probability"), ("Relu", "score")],
)
def test_a_map_is_called_what_it_is(
    run: Run, classifier: Path, large: Path, last: str, quantity: str
) -> None:
    model = onnx.load(classifier)
    model.graph.node[-1].op_type = last
    onnx.save(model, classifier)
    result = run("slide", classifier, large, "--npz", "map.npz", "--channel", 1)
    assert f"(red): strongest {quantity} " in result.out
    with np.load("map.npz") as found:
        assert found["quantity"].item() == quantity
