"""Regions of the picture or the layer, in place of a position."""

import numpy as np
import pytest
from artefacts import CONVOLUTIONAL, network
from PIL import Image

from onnxplain.engine import Engine
from onnxplain.engine.regions import area_mean
from onnxplain.graphops.errors import OptionError

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 3, 12, 8)).astype(np.float32)
MASKS = RNG.random((2, 12, 8)).astype(np.float32)
MODEL = network(CONVOLUTIONAL)  # its class score has the picture's size
POOLED = network(
    '<ir_version: 8, opset_import: ["": 17]> pooled (float[N, 3, H, W] x, float[6, 3, 3, 3] w) '
    "=> (float[N, 6, h, v] y) { c = Conv <pads = [1, 1, 1, 1]> (x, w) r = Relu (c) "
    "y = AveragePool <kernel_shape = [4, 2], strides = [4, 2]> (r) }"
)


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu", threads=1)


@pytest.mark.parametrize("seed_value", ["one", "activation"])
@pytest.mark.parametrize("memory", [2**30, 1])
def test_a_region_is_the_weighted_sum_of_its_positions(engine, seed_value, memory):
    tight = Engine("cpu", threads=1, memory_bytes=memory)
    found = tight.explain(MODEL, X, None, "gradient", (1, 3), region=MASKS, seed_value=seed_value)
    total = np.zeros_like(found.attribution)
    for row in range(12):
        for column in range(8):
            one = engine.explain(
                MODEL, X, None, "gradient", (1, 3), position=(row, column), seed_value=seed_value
            )
            total += MASKS[:, row, column][:, None, None, None, None] * one.attribution
    np.testing.assert_allclose(found.attribution, total, atol=1e-5)
    assert found.position is None


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("smoothgrad", {"samples": 2, "noise_level": 0.0}),
        ("integrated_gradients", {"steps": 3}),
        ("occlusion", {"window": 3}),
        ("rise", {"masks": 4}),
        ("activation", {}),
        ("deeplift", {}),
        ("grad_cam", {"layer": "r1"}),
        ("activation_maximisation", {"iterations": 2, "start": "picture"}),
    ],
)
def test_all_methods_take_a_region(engine, method, options):
    """A region of one pixel is that position, one of ones is all positions."""
    options = dict(options)
    layer = options.pop("layer", None)
    dot = np.zeros((12, 8), np.float32)
    dot[5, 2] = 1
    for region, position in ((dot, (5, 2)), (np.ones_like(dot), "all")):
        some = engine.explain(MODEL, X, layer, method, 1, region=region, **options)
        same = engine.explain(MODEL, X, layer, method, 1, position=position, **options)
        np.testing.assert_allclose(some.attribution, same.attribution, atol=1e-5)
        np.testing.assert_allclose(some.score, same.score, rtol=1e-5)
    gradient = engine.explain(MODEL, X, None, "gradient", 1, region=MASKS)
    if method == "smoothgrad":
        some = engine.explain(MODEL, X, None, method, 1, region=MASKS, **options)
        np.testing.assert_allclose(some.attribution, gradient.attribution, atol=1e-5)


@pytest.mark.parametrize("units", [(1, 3), "whole"])
@pytest.mark.parametrize(("method", "options"), [("gradient", {}), ("occlusion", {"window": 3})])
def test_the_evidence_against_units_in_a_region(engine, method, options, units):
    found, against = (
        engine.explain(MODEL, X, None, method, units, region=MASKS, negate=negate, **options)
        for negate in (False, True)
    )
    np.testing.assert_allclose(against.attribution, -found.attribution, atol=1e-6)
    np.testing.assert_allclose(against.score, -found.score, rtol=1e-6)


def test_the_whole_layer_in_a_region(engine):
    whole = engine.explain(MODEL, X, None, "gradient", "whole", region=MASKS, seed_value="one")
    units = engine.explain(MODEL, X, None, "gradient", "all", region=MASKS, seed_value="one")
    np.testing.assert_allclose(whole.attribution[:, 0], units.attribution.sum(axis=1), atol=1e-5)


def test_masks_come_in_the_size_of_the_layer_or_of_the_picture(engine, tmp_path):
    """The mean over each position's area, by hand; light pixels of a file are inside."""
    mask = np.zeros((12, 8), np.uint8)
    mask[2:7, 1:6] = 255
    small = mask.reshape(3, 4, 4, 2).mean(axis=(1, 3)) / 255
    expected = engine.explain(POOLED, X, None, "gradient", 2, region=small.astype(np.float32))
    Image.fromarray(mask).save(tmp_path / "mask.png")
    np.save(tmp_path / "mask.npy", mask)
    bits = mask > 0
    for region in (mask, bits, bits.astype(np.uint8), bits.astype(np.float64), small, [mask] * 2,
                   tmp_path / "mask.png", str(tmp_path / "mask.npy")):  # fmt: skip
        found = engine.explain(POOLED, X, None, "gradient", 2, region=region)
        np.testing.assert_allclose(found.attribution, expected.attribution, atol=1e-6)


def test_a_mask_of_the_file_s_size_is_cropped_as_the_picture_is(engine):
    """imagenet's preset crops the middle of a picture that is twice as wide as high."""
    picture, mask = RNG.integers(0, 256, (12, 24, 3), np.uint8), np.zeros((12, 24), np.uint8)
    mask[:, 6:12] = 255  # the left half of what is cropped
    how = "imagenet,size=12x12"
    left = np.zeros((12, 12), np.float32)
    left[:, :6] = 1
    found = engine.explain(MODEL, picture, None, "gradient", 0, region=mask, preprocess=how)
    expected = engine.explain(MODEL, picture, None, "gradient", 0, region=left, preprocess=how)
    np.testing.assert_allclose(found.attribution, expected.attribution, atol=1e-6)


def test_the_area_mean_of_any_sizes_keeps_the_mean():
    values = RNG.random((7, 5, 3))
    for size in ((3, 4, 2), (14, 10, 6), (7, 5, 3), (1, 1, 1)):
        resized = area_mean(values, size)
        assert resized.shape == size
        np.testing.assert_allclose(resized.mean(), values.mean())
    np.testing.assert_allclose(area_mean(np.array([1.0, 2, 4]), (2,)), [4 / 3, 10 / 3])


@pytest.mark.parametrize(
    ("model", "choices", "match"),
    [
        (MODEL, {"region": np.zeros((12, 8))}, "zero everywhere"),
        (MODEL, {"region": np.ones((5, 5))}, r"\[5, 5\] fits neither.*\[12, 8\]"),
        (MODEL, {"region": np.ones((3, 12, 8))}, "3 regions, for 2 image"),
        (MODEL, {"region": MASKS, "position": "max"}, "exclude each other"),
        (MODEL, {"position": "region"}, "needs a mask"),
        (MODEL, {"region": np.full((12, 8), np.nan)}, "not finite"),
    ],
)
def test_wrong_regions_are_refused(engine, model, choices, match):
    with pytest.raises(OptionError, match=match):
        engine.explain(model, X, None, "gradient", 0, **choices)
