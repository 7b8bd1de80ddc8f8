"""Trained models from the wild: old opsets, fixed batches, half precision, odd exporters."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from artefacts import RECTIFIED, artefact, run, session
from oracle import relative_error
from PIL import Image, ImageOps

from onnxplain.graphops import check, layers, load

FOLDER = Path(__file__).parents[2].parent / "shared" / "models"
TABBY = 281

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the trained models are not there: no folder ../shared/models"
)


@dataclass(frozen=True)
class Case:
    """A model's file, input and layers with a unit each; the layer None is the class score."""

    file: str
    input: str
    units: dict[str | None, int]
    output: str


SQUEEZENET = Case("squeezenet_fp32", "data_0", {None: TABBY, "fire9/concat_1": 5}, "softmaxout_1")
HALF = Case("squeezenet_fp16", "data_0", {None: TABBY, "fire9/concat_1": 5}, "softmaxout_1")
MNIST = Case("mnist_cntk", "Input3", {None: 3, "Pooling66_Output_0": 2}, "Plus214_Output_0")
FACES = Case("ultraface_rfb320", "input", {"394": 7, "331": 1}, "boxes")
CASES = {case.file: case for case in (SQUEEZENET, HALF, MNIST, FACES)}
EVERY_LAYER = [(case.file, layer) for case in CASES.values() for layer in case.units]


@pytest.mark.parametrize("method", RECTIFIED)
@pytest.mark.parametrize(("file", "layer"), EVERY_LAYER)
def test_a_batch_of_two_equals_two_runs_of_the_network_as_it_was(file, layer, method):
    case, pictures = CASES[file], inputs(file)
    assert check(model(file), layer, method).batch == "freed"
    unit = np.array([case.units[layer]])
    made = session(artefact(model(file), layer, method), optimized=False)
    both = run(made, **{case.input: pictures, "channel": unit.repeat(2)})
    assert both["attribution"].shape == pictures.shape
    assert both["attribution"].dtype == pictures.dtype
    for i in range(2):
        single = run(made, **{case.input: pictures[i : i + 1], "channel": unit})
        assert np.isfinite(single["attribution"]).all() and np.isfinite(single["score"]).all()
        assert relative_error(both["attribution"][i], single["attribution"][0]) < 1e-5
        alone = run(model(file), optimized=False, **{case.input: pictures[i : i + 1]})
        for name, expected in alone.items():
            if expected.dtype == np.float32:
                np.testing.assert_array_equal(single[name], expected)
            else:  # the runtime computes half precision in float32, and rounds where it likes
                assert relative_error(single[name], expected) < 2e-3


@pytest.mark.parametrize(
    ("file", "layer"), [(file, layer) for file, layer in EVERY_LAYER if file != HALF.file]
)
def test_moving_along_the_gradient_moves_the_score(file, layer):
    """By as much as the gradient says: its own length times the step's."""
    case, picture = CASES[file], inputs(file)[:1]
    made = session(artefact(model(file), layer, "gradient"))
    unit = {"channel": np.array([case.units[layer]])}
    gradient = run(made, **{case.input: picture}, **unit)["attribution"]
    length = np.sqrt((gradient**2).sum())
    step = 1e-4 * np.sqrt((picture**2).mean()) * gradient / np.abs(gradient).max()
    ahead, behind = (
        run(made, **{case.input: picture + s}, **unit)["score"][0] for s in (step, -step)
    )
    expected = 2 * length * np.sqrt((step**2).sum())
    assert ahead - behind == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("layer", [None, "fire9/concat_1"])
def test_half_precision_gives_the_same_map(layer):
    unit = np.array([SQUEEZENET.units[layer]])
    single, half = (
        run(artefact(model(c.file), layer), **{c.input: inputs(c.file)[:1], "channel": unit})
        for c in (SQUEEZENET, HALF)
    )
    assert half["attribution"].dtype == np.float16
    a, b = (found["attribution"].astype(np.float64).ravel() for found in (single, half))
    assert a @ b / np.sqrt((a @ a) * (b @ b)) > 0.99
    assert half["score"] == pytest.approx(single["score"], rel=0.02)


@pytest.mark.parametrize(("method", "share"), [("guided_backprop", 0.75), ("deconvnet", 0.5)])
def test_squeezenet_sees_the_tabby_and_says_where(method, share):
    """Most of the energy lies on the cat's head, which is a third of the picture."""
    made = artefact(model(SQUEEZENET.file), None, method, select="predicted")
    found = run(made, **{SQUEEZENET.input: inputs(SQUEEZENET.file)[:1]})
    assert found[SQUEEZENET.output].argmax() == TABBY
    energy = (found["attribution"][0] ** 2).sum(0)
    assert energy[10:140, 35:160].sum() > share * energy.sum()


def test_every_layer_up_to_the_class_score_can_be_explained():
    for case in CASES.values():
        source = model(case.file)
        known = layers(source)
        score = next(i for i, layer in enumerate(known) if "class score" in layer.marks)
        for layer in [*known[1:score:6], known[score]]:
            report = check(source, layer.tensor, "deconvnet")
            assert report.ok and report.batch == "freed", report.problem


def test_the_imports_that_nothing_uses_are_gone():
    made = artefact(model(FACES.file), "394")
    assert len(model(FACES.file).opset_import) > 1
    assert [(o.domain, o.version) for o in made.opset_import] == [("", 17)]


@cache
def model(file):
    return load(FOLDER / f"{file}.onnx")


@cache
def inputs(file):
    """Return two pictures as the model was trained to see them."""
    if file == MNIST.file:
        return digits()
    size = (320, 240) if file == FACES.file else (224, 224)
    pictures = [
        ImageOps.fit(Image.open(FOLDER / name).convert("RGB"), size)
        for name in ("kitten.png", "fish.png")
    ]
    rows = np.stack([np.asarray(picture, np.float32) for picture in pictures])
    if file == FACES.file:
        return ((rows - 127) / 128).transpose(0, 3, 1, 2).copy()
    bgr = rows[..., ::-1].transpose(0, 3, 1, 2).copy()
    return bgr.astype(np.float16 if file == HALF.file else np.float32)


def digits():
    """Return a three and a one, drawn with straight strokes, [2, 1, 28, 28] from 0 to 255.

    On a noisy ground: of a plain one, every pool has several maxima.
    """
    pictures = np.random.default_rng(0).uniform(0, 20, (2, 1, 28, 28)).astype(np.float32)
    for row in (5, 13, 21):
        pictures[0, 0, row : row + 2, 8:20] = 255
    pictures[0, 0, 5:23, 18:20] = 255
    pictures[1, 0, 5:23, 13:15] = 255
    return pictures
