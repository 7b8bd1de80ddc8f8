"""What is explained by default, and what a result says of it: positions, classes, values."""

import numpy as np
import pytest
import torch
from engine.viewed import UNIT
from heads import Heads
from nets import to_onnx
from PIL import Image

from onnxplain.engine import Engine, explain
from onnxplain.graphops.errors import UnsupportedModel

SIZE = (24, 20)


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu", threads=1)


def exported(kind, **dynamic):
    net = Heads(kind).eval()
    return net, to_onnx(net, torch.zeros(2, 3, *SIZE), {0: "N"}, **dynamic)


def picture(seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), np.uint8)
    return Image.fromarray(pixels)


def scores(net, image):
    x = np.asarray(image).transpose(2, 0, 1)[None].astype(np.float32) / 255
    with torch.no_grad():
        return net.scores(torch.tensor(x)).numpy()[0]


@pytest.mark.parametrize("method", ["gradient", "occlusion", "smoothgrad", "lrp_epsilon"])
@pytest.mark.parametrize("kind", ["segmentation", "yolo", "ssd"])
def test_every_method_starts_at_the_strongest_position(engine, kind, method):
    net, model = exported(kind)
    values = scores(net, picture())
    values = values.T if kind == "ssd" else values
    result = engine.explain(model, picture(), method=method, preprocess=UNIT)
    channel, *where = np.unravel_index(values.argmax(), values.shape)
    assert result.channels[0, 0] == channel
    assert result.position[0, 0].tolist() == where
    assert any("starts at the strongest one" in note for note in result.notes)
    everywhere = engine.explain(model, picture(), method=method, position="all", preprocess=UNIT)
    assert everywhere.position is None
    assert not any("strongest one" in note for note in everywhere.notes)
    if result.seed_value == "one":
        np.testing.assert_allclose(everywhere.score[0, 0], values[channel].sum(), rtol=1e-4)


def test_an_inner_layer_starts_everywhere(engine):
    _, model = exported("segmentation")
    body = next(one.tensor for one in engine.open(model).layers if one.operator == "Relu")
    assert engine.explain(model, picture(), body, "gradient", preprocess=UNIT).position is None


@pytest.mark.parametrize("winner", [0, 3])
def test_the_runner_up_of_channel_0_is_named(engine, winner):
    """Whether channel 0 is the background cannot be known."""
    net = Heads("segmentation").eval()
    net.classes.bias.data[winner] += 5
    model = to_onnx(net, torch.zeros(2, 3, *SIZE), {0: "N"})
    second = np.argsort(-scores(net, picture()).max((1, 2)))[1]
    labels = [f"class-{i}" for i in range(5)]
    result = engine.explain(model, picture(), method="gradient", labels=labels, preprocess=UNIT)
    assert result.channels[0, 0] == winner
    told = [note for note in result.notes if "may be the background" in note]
    assert bool(told) == (winner == 0)
    assert all(f"channel {second} (class-{second})" in note for note in told)
    named = engine.explain(model, picture(), method="gradient", units=0, preprocess=UNIT)
    assert not any("background" in note for note in named.notes)


def test_labels_follow_the_class_score_and_not_the_rows_of_its_output(engine):
    _, model = exported("yolo")
    labels = ["ant", "bee", "cow", "dog", "elk"]
    assert engine.explain(model, picture(), method="gradient", labels=labels).labels == (*labels,)
    by_rows = engine.explain(model, picture(), "y", "gradient", labels=labels)
    assert by_rows.labels == ()


@pytest.mark.parametrize("method", ["gradient", "rise", "integrated_gradients", "activation"])
def test_negate_is_the_evidence_against(engine, method):
    _, model = exported("binary")
    few = {"masks": 20} if method == "rise" else {}
    plain, against = (
        engine.explain(model, picture(), method=method, negate=n, preprocess=UNIT, **few)
        for n in (False, True)
    )
    np.testing.assert_allclose(against.score, -plain.score)
    np.testing.assert_allclose(against.attribution, -plain.attribution, atol=1e-7)
    assert against.notes[0].startswith("the signal starts with the opposite sign")
    assert against.captions(0, 0)[0].startswith("against class 0, ")


def test_negated_activity_keeps_its_strength(engine):
    _, model = exported("binary")
    plain, against = (
        engine.explain(model, picture(), method="lrp_epsilon", negate=n) for n in (False, True)
    )
    np.testing.assert_array_equal(against.strength, plain.strength)


@pytest.mark.parametrize("kind", ["regression", "regression of rank 1", "binary"])
def test_a_number_is_a_probability_only_behind_a_sigmoid(engine, kind):
    net, model = exported(kind)
    value = float(np.ravel(scores(net, picture()))[0])
    expected = 1 / (1 + np.exp(-value)) if kind == "binary" else value
    name, quantity = ("class 0", "probability") if kind == "binary" else ("y", "value")
    map_ = engine.occlusion(model, picture(), preprocess=UNIT)
    assert (map_.quantity, map_.label, map_.class_index) == (quantity, name, 0)
    assert map_.untouched[0] == pytest.approx(expected, rel=1e-5)
    assert str(map_.arrays()["quantity"]) == quantity
    body = next(one.tensor for one in engine.open(model).layers if one.operator == "Relu")
    moved = engine.invariance(model, picture(), [body], preprocess=UNIT)
    assert moved.quantity == quantity
    assert moved.curves[0].probability[12] == pytest.approx(expected, rel=1e-5)


def test_a_softmax_that_the_network_lacks_is_told(engine):
    net, model = exported("scores")
    map_ = engine.occlusion(model, picture(), preprocess=UNIT)
    values = scores(net, picture()).astype(float)
    expected = np.exp(values.max()) / np.exp(values).sum()
    assert map_.untouched[0] == pytest.approx(expected, rel=1e-5)
    assert any("is the softmax of the class scores" in note for note in map_.notes)
    assert not any(
        "softmax" in n for n in engine.occlusion(exported("softmax")[1], picture()).notes
    )


def test_an_evaluation_of_a_regression_is_scaled_by_untouched_and_blank(engine):
    net, model = exported("regression")
    found = engine.evaluate(model, [picture()], ["gradient"], preprocess=UNIT)[0]
    grey = np.rint(np.asarray(picture()).reshape(-1, 3).mean(axis=0)).astype(np.uint8)
    untouched = scores(net, picture())[0]
    blank = scores(net, Image.fromarray(np.tile(grey, (*SIZE, 1))))[0]
    assert found.quantity == "value"
    assert found.deletion[0] == pytest.approx(untouched, rel=1e-4)
    assert found.deletion[-1] == pytest.approx(blank, rel=1e-4)
    for area, curve in (
        (found.deletion_area, found.deletion), (found.insertion_area, found.insertion)
    ):  # fmt: skip
        scaled = (curve - blank) / (untouched - blank)
        assert area == pytest.approx(np.trapezoid(scaled, dx=1 / 32), rel=1e-3)


def test_an_evaluation_of_a_chosen_class(engine):
    net, model = exported("softmax")
    found = engine.evaluate(model, [picture()], ["gradient"], class_index=3, preprocess=UNIT)[0]
    values = scores(net, picture()).astype(float)
    assert found.deletion[0] == pytest.approx(np.exp(values[3]) / np.exp(values).sum(), rel=1e-4)


def test_no_default_is_told_with_the_names_to_choose_from():
    _, model = exported("boxes and classes per level")
    with pytest.raises(UnsupportedModel, match="name one of '/classes/Conv_output_0'"):
        explain(model, picture(), method="gradient", preprocess=UNIT)
