"""Activation maximisation: where it goes, and each regulariser by itself."""

import numpy as np
import pytest
from artefacts import value_of
from engine.nets import classifier, pictures, with_random_weights
from onnx import numpy_helper

from onnxplain.engine import PRESETS, Engine
from onnxplain.engine.methods.activation_maximisation import blurred
from onnxplain.graphops.errors import OptionError

MODEL = classifier()
PICTURES = pictures(2)
PLAIN = {"jitter": 0, "blur": 0, "decay": 0}
LINEAR = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 5, 6] x, float[4, 3, 5, 6] w) => (float[N, 4] y)
{ c = Conv (x, w) y = Flatten (c) }
"""


def test_a_linear_unit_s_picture_is_its_weights(engine):
    """Every step goes along w over its root mean square, whatever the picture."""
    model = with_random_weights(LINEAR)
    w = numpy_helper.to_array(model.graph.initializer[0])
    batch = np.random.default_rng(0).random((2, 3, 5, 6)).astype(np.float32)
    found = engine.explain(
        model, batch, "y", "activation_maximisation", [2, 0], start="picture", iterations=10,
        step_size=0.5, **PLAIN,
    )  # fmt: skip
    for unit, channel in enumerate((2, 0)):
        step = w[channel] / np.sqrt(np.mean(w[channel] ** 2))
        for image in range(2):
            expected = batch[image] + 10 * 0.5 * np.ptp(batch[image]) * step
            np.testing.assert_allclose(found.attribution[image, unit], expected, 1e-4, 1e-5)
            score = (expected * w[channel]).sum()
            np.testing.assert_allclose(found.score[image, unit], score, rtol=1e-4)
    decayed = engine.explain(
        model, batch, "y", "activation_maximisation", [2], start="picture", iterations=1,
        step_size=0, jitter=2, blur=0, decay=0.25,
    )  # fmt: skip
    np.testing.assert_allclose(decayed.attribution[:, 0], 0.75 * batch, rtol=1e-5)


@pytest.mark.parametrize("layer", [None, "r2"])
@pytest.mark.parametrize("start", ["noise", "picture"])
def test_the_unit_is_more_active_than_it_was(engine, layer, start):
    choices = {"units": 1, "preprocess": "unit", "start": start}
    found = engine.explain(
        MODEL, PICTURES, layer, "activation_maximisation", iterations=20, **choices
    )
    before = engine.explain(
        MODEL, PICTURES, layer, "activation_maximisation", iterations=1, step_size=0, **choices
    )
    assert found.attribution.shape == (2, 1, 3, 17, 15)
    assert (found.score > 1.1 * np.abs(before.score)).all()
    values = value_of(MODEL, layer or "scores", x=found.attribution[:, 0])[:, 1]
    np.testing.assert_allclose(found.score[:, 0], values.reshape(2, -1).sum(1), rtol=1e-4)
    found.figure()


def test_the_same_seed_gives_the_same_however_many_run_at_once(engine):
    choices = {"units": [0, 1, 2], "position": "max", "iterations": 4, "preprocess": "unit"}
    tight = Engine("cpu", threads=1, memory_bytes=1)
    once, again = (
        each.explain(MODEL, PICTURES, "r2", "activation_maximisation", **choices)
        for each in (engine, tight)
    )
    np.testing.assert_allclose(once.attribution, again.attribution, rtol=1e-3, atol=1e-5)
    assert once.position.shape == (2, 3, 2)
    other = engine.explain(
        MODEL, PICTURES, "r2", "activation_maximisation", noise_seed=1, **choices
    )
    assert np.abs(once.attribution - other.attribution).max() > 0.01


def test_a_unit_s_picture_depends_on_neither_its_place_nor_the_image_nor_threads(engine):
    choices = {"iterations": 6, "preprocess": "unit"}
    alone = engine.explain(MODEL, PICTURES[0], "r2", "activation_maximisation", [4], **choices)
    for images, units, place in (
        (PICTURES[0], [1, 4], (0, 1)), (PICTURES[1::-1], [4, 0], (1, 0)), (PICTURES, "all", (1, 4)),
    ):  # fmt: skip
        among = engine.explain(MODEL, images, "r2", "activation_maximisation", units, **choices)
        same = {"rtol": 1e-4, "atol": 1e-5}
        np.testing.assert_allclose(among.attribution[place], alone.attribution[0, 0], **same)
    two = Engine("cpu", threads=2).explain(
        MODEL, PICTURES[0], "r2", "activation_maximisation", [4], **choices
    )
    np.testing.assert_allclose(two.attribution, alone.attribution, rtol=1e-4, atol=1e-5)
    other = engine.explain(MODEL, PICTURES[0], "r2", "activation_maximisation", [3], **choices)
    assert np.abs(other.attribution - alone.attribution).max() > 0.01


def test_the_best_picture_on_the_way_is_returned(engine):
    """With strong decay and large steps the score falls again; more steps never give less."""
    scores = [
        engine.explain(
            MODEL, PICTURES[0], None, "activation_maximisation", 1, iterations=iterations,
            preprocess="unit", step_size=0.3, decay=0.3, blur=1.0,
        ).score.item()
        for iterations in range(1, 16)
    ]  # fmt: skip
    assert (np.diff(scores) >= 0).all()
    assert (np.diff(scores) == 0).any(), "some steps lead down, and are not taken"


DEAD = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 8, 8] x, float[2, 3, 3, 3] w, float[2] b) => (float[N, 4, 3, 3] y)
{ c = Conv (x, w, b) r = Relu (c) s = Relu (c) t = Concat <axis = 1> (r, s)
  y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (t) }
"""


def dead(bias):
    """Return a network of two rectified units whose values on mid-grey are about the bias."""
    model = with_random_weights(DEAD)
    weights = numpy_helper.to_array(model.graph.initializer[0])
    centred = weights - weights.mean(axis=(1, 2, 3), keepdims=True)
    for number, array in enumerate((centred, np.full(2, bias, np.float32))):
        named = numpy_helper.from_array(array, model.graph.initializer[number].name)
        model.graph.initializer[number].CopyFrom(named)
    return model


@pytest.mark.parametrize("layer", ["r", "t", "y"])
@pytest.mark.parametrize("position", ["all", "max", (1, 1)])
def test_a_unit_that_is_off_is_woken(engine, layer, position):
    """Also through a Concat and a MaxPool behind the rectifier."""
    picture = np.full((8, 8, 3), 128, np.uint8)
    choices = {"preprocess": "unit", "position": position, "jitter": 0}
    found = engine.explain(
        dead(-0.5), picture, layer, "activation_maximisation", [0, 1], iterations=30, **choices
    )
    assert (found.score > 0.2).all()
    values = value_of(dead(-0.5), layer, x=found.attribution[0])
    for unit in range(2):
        own = values[unit, unit]
        score = {"all": own.sum(), "max": own.max(), (1, 1): own[1, 1]}[position]
        np.testing.assert_allclose(found.score[0, unit], score, rtol=1e-4)
    (note,) = found.notes
    assert f"a unit of '{layer}' was off" in note
    hopeless = engine.explain(
        dead(-50.0), picture, layer, "activation_maximisation", 0, iterations=3, **choices
    )
    (note,) = hopeless.notes
    assert "never woke" in note and "--iterations" in note


def test_a_unit_that_nothing_leads_to_is_not_said_to_have_woken(engine):
    """Its value is the bias whatever the picture, with a gradient of zero before the rectifier."""
    model = dead(2.0)
    weights = np.zeros((2, 3, 3, 3), np.float32)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "w"))
    found = engine.explain(
        model, np.zeros((8, 8, 3), np.uint8), "r", "activation_maximisation", 0, iterations=3,
        preprocess="unit",
    )  # fmt: skip
    assert found.score.item() > 0
    (note,) = found.notes
    assert "never woke" in note


def test_the_first_steps_of_a_unit_that_is_off_go_along_its_weights(engine):
    """As those of the convolution before the rectifier: the same gradient."""
    picture = np.full((8, 8, 3), 128, np.uint8)
    rectified, linear = (
        engine.explain(
            dead(-50.0), picture, layer, "activation_maximisation", [1], preprocess="unit",
            iterations=1,
        )
        for layer in ("r", "c")
    )  # fmt: skip
    np.testing.assert_allclose(rectified.attribution, linear.attribution, rtol=1e-5, atol=1e-6)


def test_the_whole_layer_and_a_fixed_batch(engine):
    whole = engine.explain(
        MODEL, PICTURES, "r2", "activation_maximisation", "whole", preprocess="unit", iterations=3
    )
    assert whole.channels.tolist() == [[-1], [-1]]
    values = value_of(MODEL, "r2", x=whole.attribution[:, 0]).reshape(2, -1).sum(1)
    np.testing.assert_allclose(whole.score[:, 0], values, rtol=1e-4)
    free, fixed = (with_random_weights(LINEAR.replace("[N", f"[{n}")) for n in ("N", "2"))
    batch = np.ones((2, 3, 5, 6), np.float32)
    found, expected = (
        engine.explain(m, batch, "y", "activation_maximisation", [1, 2], iterations=3)
        for m in (fixed, free)
    )
    np.testing.assert_allclose(found.attribution, expected.attribution, rtol=1e-4, atol=1e-6)


def test_blurring_keeps_what_is_even_and_spreads_a_dot():
    even = np.full((3, 9, 8), 2.0, np.float32)
    np.testing.assert_allclose(blurred(even, [1, 2], 1.0), even, rtol=1e-6)
    dot = np.zeros((1, 21, 21), np.float32)
    dot[0, 10, 10] = 1
    spread = blurred(dot, [1, 2], 2.0)[0]
    assert spread.sum() == pytest.approx(1, rel=1e-5)
    at = np.arange(21) - 10
    variance = (spread.sum(axis=0) * at**2).sum()
    assert variance == pytest.approx(4, rel=0.05)  # the Gaussian ends at three deviations
    assert spread[10, 10] == spread.max() and spread[10, 12] == pytest.approx(spread[8, 10])


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"start": "zeros"}, "zeros"),
        ({"iterations": 0}, "iterations 0"),
        ({"decay": -1}, "decay -1"),
        ({"blur": float("nan")}, "blur nan"),
        ({"to": "p1"}, "leave `to` out"),
    ],
)
def test_wrong_choices_are_named(engine, wrong, named):
    with pytest.raises(OptionError, match=named):
        engine.explain(MODEL, PICTURES, "r2", "activation_maximisation", 1, **wrong)


@pytest.mark.parametrize("how", ["imagenet", "raw_bgr", "unit"])
def test_pictures_keep_to_what_pixels_can_be_whatever_their_range(engine, how):
    """The same in parts of the range, about mid-grey at first, and within it to the end."""
    low, high = (end.reshape(3, 1, 1) for end in PRESETS[how].ends())
    for iterations, bound in ((1, 0.4), (60, 1.0)):
        found = engine.explain(
            MODEL, PICTURES[0], "r2", "activation_maximisation", 1, preprocess=how,
            iterations=iterations,
        ).attribution[0, 0]  # fmt: skip
        parts = (found - low) / (high - low)
        assert np.abs(parts - 0.5).max() <= bound / 2 + 1e-5
    assert parts.std() > 0.03  # the noise it started from has 0.02
