"""DeepLIFT whatever the select, the ends, the spelling, the precision and the opset."""

from functools import cache

import numpy as np
import onnx
import pytest
from artefacts import DENSE, artefact, images, network, run, session, value_of
from nets import FAMILIES, export
from oracle import relative_error


def test_every_select_says_the_same():
    model, x, baseline = exported("inception"), images(3), images(1, seed=9)
    opened = session(artefact(model, None, "deeplift"))
    predicted = run(artefact(model, None, "deeplift", select="predicted"), x=x, baseline=baseline)
    best = predicted["y"].argmax(1)
    expected = run(opened, x=x, channel=best, baseline=baseline)
    same(predicted, expected)

    index, channel = np.array([2, 0, 2, 1]), np.array([1, 0, 5, 6])
    pairs = artefact(model, None, "deeplift", select="pairs")
    found = run(pairs, x=x, image_index=index, channel=channel, baseline=baseline)
    same(found, run(opened, x=x[index], channel=channel, baseline=baseline))

    fixed = artefact(model, None, "deeplift", select="fixed", channels=(4, 2))
    every = {"x": np.repeat(x, 2, 0), "channel": np.tile([4, 2], 3)}
    same(run(fixed, x=x, baseline=baseline), run(opened, **every, baseline=baseline))

    given = session(artefact(model, None, "deeplift", select="seed"))
    seed = np.eye(7, dtype=np.float32)[best]
    same(run(given, x=x, seed=seed, baseline=baseline), expected)
    whole = artefact(model, None, "deeplift", select="whole")
    ones = run(given, x=x, seed=np.ones_like(seed), baseline=baseline)
    same(run(whole, x=x, baseline=baseline), ones)


def test_a_unit_and_a_target_inside():
    """The signal starts at the strongest place of a channel, and ends at an inner tensor."""
    model, x = exported("resnet"), images(3)
    layer, to = "layer3", "layer1"
    made = artefact(model, layer, "deeplift", to=to, position="max")
    found = run(made, x=x, channel=np.array([1, 2, 3]))
    assert np.abs(found["attribution"]).max() > 0
    size = np.abs(found["attribution"]).sum((1, 2, 3))
    assert (np.abs(found["completeness_error"]) < 1e-5 * size).all()


def test_a_fully_connected_net():
    made = artefact(network(DENSE), None, "deeplift")
    x = np.random.default_rng(1).standard_normal((4, 9)).astype(np.float32)
    baseline = np.full((1, 9), 0.3, np.float32)
    found = run(made, x=x, baseline=baseline, channel=np.array([0, 1, 2, 3]))
    change = np.diagonal(found["y"]) - value_of(network(DENSE), "y", x=baseline)[0]
    np.testing.assert_allclose(found["attribution"].sum(1), change, rtol=1e-4, atol=1e-5)


MERGED = """
<ir_version: 8, opset_import: ["": 17]>
merged (float[N, 3, 8, 6] x, float[4, 3, 3, 3] w1, float[4] b1, float[48, 5] w2) => (float[N, 5] y)
<int64[5] apart = {-1, 2, 4, 8, 6}, int64[4] together = {-1, 4, 8, 6}, int64[2] flat = {-1, 48}>
{
    c1 = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)
    halves = Reshape (c1, apart)
    sums = Relu (halves)
    r1 = Reshape (sums, together)
    p1 = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r1)
    f = Reshape (p1, flat)
    y = MatMul (f, w2)
}
"""


def test_rows_that_are_merged_on_the_way():
    model, x = network(MERGED), images(4, (8, 6))
    index, channel = np.array([3, 2, 1, 0, 1, 1]), np.array([1, 0, 4, 3, 2, 1])
    pairs = artefact(model, "p1", "deeplift", select="pairs", position="max", seed_value="one")
    found = run(pairs, x=x, image_index=index, channel=channel % 4)
    np.testing.assert_allclose(found["completeness_error"], 0, atol=1e-5)
    given = artefact(model, "p1", "deeplift", select="seed")
    seed = np.zeros((6, 4, 4, 3), np.float32)
    for row, (unit, place) in enumerate(zip(channel % 4, found["position"], strict=True)):
        seed[row, unit, place[0], place[1]] = 1
    expected = run(given, x=x[index], seed=seed)["attribution"]
    np.testing.assert_allclose(found["attribution"], expected, rtol=1e-4, atol=1e-6)


def test_no_completeness_of_a_layer_that_has_no_row_for_each_image():
    made = artefact(network(MERGED), "sums", "deeplift", select="seed")
    found = run(made, x=images(4, (8, 6)), seed=np.ones((2, 2, 4, 8, 6), np.float32))
    assert "completeness_error" not in found
    assert found["attribution"].shape == (4, 3, 8, 6)


def test_every_size_fixed():
    x = images(2, FAMILIES["resnet"].size)
    fixed = artefact(export("resnet", batch=2, dynamic=False), None, "deeplift", keep_shape=True)
    free = artefact(exported("resnet"), None, "deeplift")
    channel = np.array([0, 5])
    same(run(fixed, x=x, channel=channel), run(free, x=x, channel=channel))


SPELLINGS = [
    "r = Relu (c)",
    "r = Max (c, zero)",
    "r = Max (zero, c)",
    "m = Greater (c, zero) f = Cast <to = 1> (m) r = Mul (c, f)",
    "m = Greater (c, zero) r = Where (m, c, zero)",
    "r = Clip (c, zero)",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_rectifiers_however_they_are_spelled(spelling):
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    spelled (float[N, 3, 8, 8] x, float[4, 3, 3, 3] w1, float[4] b1, float[5, 4, 3, 3] w2)
        => (float[N, 5] y)
    <float zero = {0}>
    { c = Conv (x, w1, b1) SPELLING d = Conv (r, w2)
      y = ReduceMean <axes = [2, 3], keepdims = 0> (d) }
    """
    x = images(3, (8, 8))
    feeds = {"x": x, "baseline": images(1, (8, 8), seed=4), "channel": np.array([0, 2, 4])}
    found, expected = (
        run(artefact(network(text.replace("SPELLING", s)), None, "deeplift"), **feeds)
        for s in (spelling, SPELLINGS[0])
    )
    np.testing.assert_allclose(found["attribution"], expected["attribution"], rtol=1e-4, atol=1e-6)
    assert np.abs(found["completeness_error"]).max() < 1e-5


POOLED = """
<ir_version: 8, opset_import: ["": 17]>
pooled (float[N, 3, 12, 12] x, float[6, 3, 3, 3] w1, float[6] b1, float[6, 4] w2)
    => (float[N, 4] y)
{ c = Conv (x, w1, b1) r = Relu (c) p = MaxPool <kernel_shape = [3, 3], strides = [2, 2]> (r)
  means = GlobalAveragePool (p) mean = Flatten (means) y = MatMul (mean, w2) }
"""


@pytest.mark.parametrize("backward", ["same", "float32"])
def test_half_precision(backward):
    half = network(POOLED.replace("float[", "float16["))
    single = network(POOLED)
    for mine, theirs in zip(single.graph.initializer, half.graph.initializer, strict=True):
        values = onnx.numpy_helper.to_array(theirs).astype(np.float32)
        mine.CopyFrom(onnx.numpy_helper.from_array(values, mine.name))
    x, channel = images(4, (12, 12)).astype(np.float16), np.arange(4)
    x[:, :, :6] = 0  # nothing differs there
    found = run(artefact(half, None, "deeplift", backward=backward), x=x, channel=channel)
    exact = run(artefact(single, None, "deeplift"), x=x.astype(np.float32), channel=channel)
    assert found["attribution"].dtype == (np.float32 if backward == "float32" else np.float16)
    assert found["completeness_error"].dtype == np.float32
    assert relative_error(found["attribution"], exact["attribution"]) < 2e-2


@pytest.mark.parametrize("opset", [18, 22, 26])
def test_newer_opsets(opset):
    x, channel = images(3, (12, 12)), np.array([0, 1, 2])
    new = POOLED.replace('"": 17', f'"": {opset}').replace("ir_version: 8", "ir_version: 13")
    older, newer = (
        run(artefact(network(text), None, "deeplift"), x=x, channel=channel)
        for text in (POOLED, new)
    )
    same(newer, older)


def same(found, expected):
    assert np.abs(expected["attribution"]).max() > 0
    for name in ("attribution", "score", "completeness_error"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-3, atol=2e-5)


@cache
def exported(family):
    return export(family)
