"""Occlusion against Captum, RISE against its formula written slowly."""

import threading

import numpy as np
import onnx.parser
import pytest
import torch
from artefacts import network, value_of
from captum.attr import Occlusion
from engine.nets import classifier, pictures, with_random_weights
from onnx import numpy_helper

from onnxplain.engine.methods.occlusion import windows
from onnxplain.engine.methods.rise import random_mask
from onnxplain.engine.pictures.inputs import prepare
from onnxplain.graphops import check
from onnxplain.graphops.errors import Cancelled, OptionError, UnsupportedModel

MODEL = classifier()
PICTURES = pictures(2)


def rows(model=MODEL):
    return np.stack(prepare(model, PICTURES, "unit").rows)


def scores(x):
    """The class scores of a batch, by ONNX's reference evaluator, for Captum."""
    return torch.tensor(value_of(MODEL, "scores", x=x.numpy()))


@pytest.mark.parametrize(
    ("window", "stride"), [((4, 3), (2, 3)), ((5, 5), (5, 5)), ((17, 15), (1, 1)), ((6, 4), (5, 3))]
)
def test_occlusion_is_captum_s(engine, tight, window, stride):
    expected = Occlusion(scores).attribute(
        torch.tensor(rows()),
        sliding_window_shapes=(3, *window),
        strides=(3, *stride),
        target=torch.tensor([2, 2]),
    )
    for each in (engine, tight):
        found = each.explain(
            MODEL, PICTURES, None, "occlusion", 2, preprocess="unit", window=window, stride=stride
        )
        assert found.attribution.shape == (2, 1, 1, 17, 15)
        # Captum says the same for each channel, since a window covers all.
        np.testing.assert_allclose(found.attribution[:, 0], expected[:, :1], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found.score, scores(torch.tensor(rows()))[:, 2:3], rtol=1e-5)


def test_windows_cover_the_ends_of_the_sides():
    counted = []
    found = [
        windows(*sizes, counted.append)
        for sizes in (((5,), (2,), (2,)), ((5,), (2,), (3,)), ((2, 3), (9, 3), (1, 1)))
    ]
    assert found[0] == [(slice(0, 2),), (slice(2, 4),), (slice(4, 6),)]
    assert found[1] == [(slice(0, 2),), (slice(3, 5),)]
    assert found[2] == [(slice(0, 9), slice(0, 3))]
    assert counted == [3, 2, 1]


def test_the_size_of_a_window_has_a_default(engine):
    default, said = (
        engine.explain(MODEL, PICTURES, "r2", "occlusion", "top:2", preprocess="unit", **choices)
        for choices in ({}, {"window": (2, 1), "stride": 1})
    )
    np.testing.assert_array_equal(default.attribution, said.attribution)
    assert np.abs(default.attribution).max() > 0
    default.figure()


def test_a_baseline_and_a_place_in_the_layer(engine):
    """With the picture itself as baseline nothing is covered; with another, one place is seen."""
    x = rows()[:1]
    choices = {"units": 3, "position": (0, 0), "window": 2, "stride": 2}
    nothing = engine.explain(MODEL, x, "c2", "occlusion", baseline=x[0], **choices)
    assert np.abs(nothing.attribution).max() == 0
    found = engine.explain(MODEL, x, "c2", "occlusion", baseline=np.float32(1), **choices)
    assert found.position.tolist() == [[[0, 0]]]
    map_ = found.attribution[0, 0, 0]
    assert np.abs(map_[:6, :6]).max() > 0 == np.abs(map_[6:]).max() == np.abs(map_[:, 6:]).max()


def test_channels_last(engine):
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    net (float[N, H, W, 3] x, float[4, 3, 3, 3] w) => (float[N, 4] y)
    { t = Transpose <perm = [0, 3, 1, 2]> (x)  c = Conv (t, w)  g = GlobalMaxPool (c)
      y = Flatten (g) }
    """
    last = with_random_weights(text)
    first = with_random_weights(
        text.replace("H, W, 3", "3, H, W").replace("perm = [0, 3, 1, 2]", "perm = [0, 1, 2, 3]")
    )
    for method, choices in (("occlusion", {}), ("rise", {"masks": 20, "resolution": 3})):
        found, expected = (
            engine.explain(m, PICTURES, "y", method, 1, preprocess="unit", **choices)
            for m in (last, first)
        )
        assert found.attribution.shape == (2, 1, 17, 15, 1)
        moved = np.moveaxis(found.attribution, -1, 2)
        np.testing.assert_allclose(moved, expected.attribution, rtol=1e-4, atol=1e-6)


def test_rise_is_its_formula(engine, tight):
    """Petsiuk's E[f(x · M) | M(λ) = 1], the masks one by one, less the mean of f(x · M).

    DIANNA, and the paper's code, divide by n · p where Σ M(λ) is meant, its expectation.
    """
    masks = [random_mask(7, (17, 15), 4, 0.3, i) for i in range(12)]
    shown, mean, dianna = np.zeros((17, 15)), np.zeros(2), np.zeros((2, 17, 15))
    for mask in masks:
        left = value_of(MODEL, "scores", x=rows() * mask)[:, 2].astype(np.float64)
        dianna += left[:, None, None] * mask / (12 * 0.3)
        shown += mask
        mean += left / 12
    expected = dianna * (12 * 0.3) / shown - mean[:, None, None]
    for each in (engine, tight):
        found = each.explain(
            MODEL, PICTURES, None, "rise", 2, preprocess="unit", masks=12, resolution=4, keep=0.3,
            noise_seed=7,
        )  # fmt: skip
        np.testing.assert_allclose(found.attribution[:, 0, 0], expected, rtol=1e-3, atol=1e-5)


CORNER = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 32, 32] x, float[1, 3, 8, 8] w, float[1] b, int64[2] i0,
     int64[2] i1, int64[2] i2) => (float[N, 1] y)
{ s = Slice (x, i0, i1, i2)
  c = Conv (s, w, b) y = Flatten (c) }
"""


def corner(constant):
    """Return a network whose score is a constant plus the mean of the picture's first corner."""
    model = onnx.parser.parse_model(CORNER)
    values = {
        "w": np.full((1, 3, 8, 8), 1 / 192, np.float32), "b": np.array([constant], np.float32),
        "i0": np.array([0, 0]), "i1": np.array([8, 8]), "i2": np.array([2, 3]),
    }  # fmt: skip
    model.graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in values.items()
    )
    del model.graph.input[1:]
    return model


@pytest.mark.parametrize("constant", [0, 40])
def test_a_constant_part_of_the_score_does_not_drown_rise(engine, constant):
    """Of a score of 40, the picture's corner moves at most one."""
    picture = np.full((32, 32, 3), 255, np.uint8)
    found = engine.explain(corner(constant), picture, "y", "rise", 0, preprocess="unit", masks=300)
    map_ = found.attribution[0, 0, 0]
    elsewhere = map_[12:, 12:]
    assert map_[2:6, 2:6].min() > 4 * np.abs(elsewhere).max()
    assert found.notes == ()


def test_rise_of_what_masks_do_not_change_is_zero_and_noted(engine):
    picture = np.zeros((32, 32, 3), np.uint8)
    found = engine.explain(corner(40), picture, "y", "rise", 0, preprocess="unit", masks=50)
    assert not found.attribution.any()
    assert "covering 'x' does not change the score" in found.notes[0]


def test_a_map_no_stronger_than_chance_is_noted(engine):
    """Every pixel counts as much: what differs is which masks were drawn."""
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    net (float[N, 3, 32, 32] x) => (float[N, 3] y)
    { g = GlobalAveragePool (x) y = Flatten (g) }
    """
    picture = np.full((32, 32, 3), 255, np.uint8)
    found = engine.explain(network(text), picture, "y", "rise", 0, preprocess="unit", masks=40)
    assert any("by chance" in note and "--masks" in note for note in found.notes)


def enlarged(line, size):
    """`skimage.transform.resize(line, size, order=1, mode="reflect", anti_aliasing=False)`."""
    centres = (np.arange(len(line)) + 0.5) * size / len(line) - 0.5
    step = size / len(line)
    around = [centres[0] - step, *centres, centres[-1] + step]
    return np.interp(np.arange(size), around, np.pad(line, 1, mode="reflect"))


def test_masks_are_enlarged_grids_shifted_at_random():
    """The mask is a piece of the grid, enlarged as DIANNA has scikit-image do it."""
    shifts = set()
    for number in range(20):
        rng = np.random.default_rng([1, number])
        large = (rng.random((4, 4)) < 0.5).astype(np.float64)
        for axis, size in (
            (0, 5 * 5),
            (1, 5 * 4),
        ):  # one cell more, of ⌈17/4⌉ and ⌈15/4⌉ pixels
            large = np.apply_along_axis(enlarged, axis, large, size)
        mask = random_mask(1, (17, 15), 4, 0.5, number)
        pieces = np.lib.stride_tricks.sliding_window_view(large, (17, 15))[:5, :4]
        fits = np.argwhere(np.abs(pieces - mask).max(axis=(2, 3)) < 1e-6)
        assert len(fits) >= 1
        shifts.add(tuple(fits[0]))
    assert len(shifts) > 5
    many = np.mean([random_mask(1, (17, 15), 4, 0.3, i) for i in range(400)])
    assert many == pytest.approx(0.3, abs=0.02)


def test_every_unit_of_an_image_from_the_same_runs(engine):
    passes = []
    every = engine.explain(
        MODEL, PICTURES, "r2", "rise", "all", preprocess="unit", masks=5,
        passes=lambda *p: passes.append(p),
    )  # fmt: skip
    assert passes[-1] == (5, 5) and len(passes) == 2
    single = engine.explain(MODEL, PICTURES, "r2", "rise", 6, preprocess="unit", masks=5)
    np.testing.assert_allclose(every.attribution[:, [6]], single.attribution, rtol=1e-5)


def test_operators_without_a_rule_are_no_hindrance(engine):
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    net (float[N, 3, H, W] x) => (float[N, 3] y)
    { t = Transpose <perm = [0, 1, 3, 2]> (x) s = MatMul (x, t) d = Det (s) y = Relu (d) }
    """
    assert not check(with_random_weights(text), "y", "gradient").ok
    batch = np.random.default_rng(0).random((1, 3, 4, 5)).astype(np.float32)
    found = engine.explain(with_random_weights(text), batch, "y", "occlusion", 1, window=2)
    assert np.abs(found.attribution).max() > 0


def test_pictures_of_whole_numbers(engine):
    """Covered, they are of whole numbers still; the map lies over them, not over what follows."""
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    net (uint8[N, 3, H, W] x, float[4, 3, 3, 3] w) => (float[N, 4] y)
    { f = Cast <to = 1> (x) c = Conv (f, w) g = GlobalMaxPool (c) y = Flatten (g) }
    """
    model = with_random_weights(text)
    found = engine.explain(model, PICTURES, "y", "occlusion", 1, window=17, preprocess="raw")
    assert (found.to, found.attribution.shape) == ("x", (2, 1, 1, 17, 15))
    # Where one window covers it all, nothing is left of the picture, and the net has no bias.
    np.testing.assert_allclose(found.attribution[:, 0, 0, 0, 0], found.score[:, 0], rtol=1e-5)
    engine.explain(model, PICTURES, "y", "rise", 1, masks=3, preprocess="raw")


@pytest.mark.parametrize(
    ("method", "wrong", "named"),
    [
        ("occlusion", {"window": 0}, "window 0"),
        ("occlusion", {"stride": (1, 2, 3)}, "stride"),
        ("occlusion", {"window": "big"}, "window 'big'"),
        ("occlusion", {"to": "p1"}, "leave `to` out"),
        ("rise", {"keep": 1.0}, "keep 1.0"),
        ("rise", {"masks": 0}, "masks 0"),
        ("rise", {"baseline": np.zeros((2, 2))}, "baseline"),
    ],
)
def test_wrong_choices_are_named(engine, method, wrong, named):
    with pytest.raises(OptionError, match=named):
        engine.explain(MODEL, PICTURES, "r2", method, **wrong)


def test_vectors_have_nothing_to_cover(engine):
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    net (float[N, 6] x, float[6, 4] w) => (float[N, 4] y) { y = MatMul (x, w) }
    """
    with pytest.raises(UnsupportedModel, match="no height"):
        engine.explain(with_random_weights(text), np.ones((1, 6), np.float32), "y", "occlusion", 1)


@pytest.mark.parametrize("method", ["occlusion", "rise"])
def test_the_caller_can_give_up_between_runs(tight, method):
    cancel, seen = threading.Event(), []

    def passes(done, total):
        seen.append(done)
        if done == 3:
            cancel.set()

    with pytest.raises(Cancelled, match="cancelled"):
        tight.explain(MODEL, PICTURES, None, method, 1, cancel=cancel, passes=passes)
    assert seen == [0, 1, 2, 3][method == "rise" :]  # occlusion counts its windows first
