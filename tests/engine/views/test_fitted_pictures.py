"""Views that change pictures start from what the network sees, which is fitted once."""

import numpy as np
import pytest
from engine.viewed import values
from PIL import Image

from onnxplain.engine import Engine

HOW = "unit,size=24x20,resize=40,crop=center"  # a small part of a large picture


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu")


@pytest.fixture
def photograph(tmp_path):
    """A picture wider than high, whose middle differs from the rest."""
    rng = np.random.default_rng(3)
    picture = rng.integers(0, 256, (60, 90, 3)).astype(np.uint8)
    picture[20:40, 30:60] //= 4
    Image.fromarray(picture).save(tmp_path / "wide.png")
    return tmp_path / "wide.png"


@pytest.fixture
def seen(photograph):
    """What the network sees of it, by Pillow alone."""
    image = Image.open(photograph).resize((60, 40), Image.Resampling.BILINEAR)
    return np.asarray(image.crop((20, 8, 40, 32)))


def probability(model, picture, class_):
    powers = np.exp(values(model, "y", picture))
    return powers[class_] / powers.sum()


def test_occlusion_and_invariance(engine, model, photograph, seen):
    covered = engine.occlusion(model, photograph, "s", 2, class_index=1, preprocess=HOW)
    assert covered.untouched[0] == pytest.approx(probability(model, seen, 1), rel=1e-4)
    frame = seen.copy()
    square = (slice(covered.rows[0], covered.rows[0] + covered.window),
              slice(covered.columns[0], covered.columns[0] + covered.window))  # fmt: skip
    frame[square] = 127
    assert covered.probability[0, 0] == pytest.approx(probability(model, frame, 1), rel=1e-4)
    assert covered.strength[0, 0] == pytest.approx(values(model, "s", frame)[2].sum(), rel=1e-4)
    moved = engine.invariance(model, photograph, ["r"], 1, preprocess=HOW)
    still = {one.change: one.probability for one in moved.curves}["translation"][12]
    assert still == pytest.approx(probability(model, seen, 1), rel=1e-4)


def test_evaluate(engine, model, photograph, seen):
    (found, _) = engine.evaluate(model, [photograph], ["gradient"], preprocess=HOW)
    best = int(values(model, "y", seen).argmax())
    assert found.deletion[0] == pytest.approx(probability(model, seen, best), rel=1e-4)
