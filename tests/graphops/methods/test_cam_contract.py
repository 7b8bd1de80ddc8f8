"""Class activation maps whatever the select, the axes, the precision and the opset; refusals."""

from functools import cache

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from artefacts import artefact, images, network, run, session, weights
from nets import export
from oracle import relative_error
from slow_cams import CAMS, METHODS, cam

from onnxplain.graphops import Options, check, rewrite
from onnxplain.graphops.errors import OptionError, UnsupportedModel, UnsupportedOperator

COUNT = 5


@pytest.mark.parametrize("method", METHODS)
def test_every_select_says_the_same(method):
    model, x = exported("resnet"), images(3)
    opened = session(artefact(model, None, method))
    predicted = run(artefact(model, None, method, select="predicted"), x=x)
    best = predicted["y"].argmax(1)
    expected = run(opened, x=x, channel=best)
    same(predicted, expected)
    assert np.abs(expected["attribution"]).max() > 0

    index, channel = np.array([2, 0, 2, 1]), np.array([1, 0, 5, 6])
    pairs = run(artefact(model, None, method, select="pairs"), x=x, image_index=index,
                channel=channel)  # fmt: skip
    same(pairs, run(opened, x=x[index], channel=channel))

    fixed = run(artefact(model, None, method, select="fixed", channels=(4, 2)), x=x)
    every = run(opened, x=np.repeat(x, 2, 0), channel=np.tile([4, 2], 3))
    same(fixed, every)

    seed = np.eye(7, dtype=np.float32)[best]
    same(run(artefact(model, None, method, select="seed"), x=x, seed=seed), expected)
    ones = run(artefact(model, None, method, select="seed"), x=x, seed=np.ones_like(seed))
    same(run(artefact(model, None, method, select="whole"), x=x), ones)


MERGED = """
<ir_version: 8, opset_import: ["": 17]>
merged (float[N, 3, 8, 6] x, float[4, 3, 3, 3] w1, float[4, 4, 3, 3] w2, float[48, 5] w3)
    => (float[N, 5] y)
<int64[5] apart = {-1, 2, 4, 8, 6}, int64[4] together = {-1, 4, 8, 6}, int64[2] flat = {-1, 48}>
{
    c1 = Conv <pads = [1, 1, 1, 1]> (x, w1)
    halves = Reshape (c1, apart)
    sums = Relu (halves)
    r1 = Reshape (sums, together)
    c2 = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (r1, w2)
    map = Relu (c2)
    f = Reshape (map, flat)
    y = MatMul (f, w3)
}
"""


@pytest.mark.parametrize("method", METHODS)
def test_pairs_where_rows_are_merged_before_the_map(method):
    """From the map on each image has its row; before it two images share one."""
    model = network(MERGED)
    x = images(4, (8, 6))
    opened = session(artefact(model, "map", method, select="seed"))
    index, channel = np.array([3, 2, 1, 0, 1, 1]), np.array([1, 0, 4, 3, 2, 1])
    made = artefact(model, "map", method, select="pairs")
    found = run(made, x=x, image_index=index, channel=channel)
    seed = np.eye(5, dtype=np.float32)[channel]
    same(found, run(opened, x=x[index], seed=seed))


LAST_AXIS = """
<ir_version: 8, opset_import: ["": 17]>
last (float[N, H, W, 3] x, float[6, 3, 3, 3] w1, float[6, 4] w2, float[4, 5] w3) => (float[N, 5] y)
{
    first = Transpose <perm = [0, 3, 1, 2]> (x)
    c1 = Conv <strides = [2, 2]> (first, w1)
    back = Transpose <perm = [0, 2, 3, 1]> (c1)
    r1 = Relu (back)
    m = MatMul (r1, w2)
    r2 = Relu (m)
    mean = ReduceMean <axes = [1, 2], keepdims = 0> (r2)
    y = MatMul (mean, w3)
}
"""


@pytest.mark.parametrize("axis", [None, -1])
@pytest.mark.parametrize("method", METHODS)
def test_channels_on_the_last_axis(method, axis):
    """Of the picture and of the map, whose axis the network tells, or the caller."""
    model = network(LAST_AXIS)
    w1, w2, w3 = (torch.tensor(weights(model)[f"w{i}"]).double() for i in (1, 2, 3))
    pictures = images(COUNT, (17, 14)).transpose(0, 2, 3, 1)
    channel = np.arange(COUNT)
    made = artefact(model, "r2", method, channel_axis=axis)
    found = run(made, x=np.ascontiguousarray(pictures), channel=channel)["attribution"]

    x = torch.from_numpy(pictures).double().requires_grad_()
    guided = Guided.apply if method == "guided_grad_cam" else torch.relu
    a = guided(F.conv2d(x.permute(0, 3, 1, 2), w1, stride=2).permute(0, 2, 3, 1))
    r2 = guided(a @ w2)
    score = (r2.mean((1, 2)) @ w3)[range(COUNT), channel].sum()
    g, back = torch.autograd.grad(score, [r2, x])
    base = method if method in CAMS else "grad_cam"
    r2, g = (t.detach().permute(0, 3, 1, 2).numpy() for t in (r2, g))
    shown = F.interpolate(torch.from_numpy(cam(base, r2, g)), (17, 14), mode="bilinear")
    expected = shown if method in CAMS else back * shown.permute(0, 2, 3, 1)
    assert relative_error(found, expected) < 1e-5


def test_the_axes_of_the_map_and_of_the_layer_that_is_explained():
    """The map over c1, [N, 6, H, W], of a row of r2, [N, H, W, 4], instead of a channel."""
    model = network(LAST_AXIS)
    w1, w2 = (torch.tensor(weights(model)[f"w{i}"]).double() for i in (1, 2))
    pictures = images(COUNT, (17, 14)).transpose(0, 2, 3, 1)
    row, options = np.arange(COUNT), {"score_layer": "r2", "score_channel_axis": 1}
    x = torch.from_numpy(pictures).double()
    c1 = F.conv2d(x.permute(0, 3, 1, 2), w1, stride=2).requires_grad_()
    r2 = torch.relu(torch.relu(c1.permute(0, 2, 3, 1)) @ w2)
    (g,) = torch.autograd.grad(r2[range(COUNT), row].sum(), c1)
    for axis, order in ((None, (0, 1, 2, 3)), (1, (0, 1, 2, 3)), (2, (0, 2, 1, 3))):
        made = artefact(model, "c1", "grad_cam", upsample=False, channel_axis=axis, **options)
        found = run(made, x=np.ascontiguousarray(pictures), channel=row)["attribution"]
        maps, signal = (t.detach().permute(order).numpy() for t in (c1, g))
        assert relative_error(found, torch.from_numpy(cam("grad_cam", maps, signal))) < 1e-5


HALF = LAST_AXIS.replace("float[", "float16[")


@pytest.mark.parametrize("backward", ["same", "float32"])
@pytest.mark.parametrize("method", METHODS)
def test_half_precision(method, backward):
    """Small gradients: half precision can hold them, but not their squares and cubes."""
    scale = 0.05 if method in CAMS else 1
    half = network(HALF)
    double = network(LAST_AXIS)
    for mine, theirs in zip(double.graph.initializer, half.graph.initializer, strict=True):
        values = onnx.numpy_helper.to_array(theirs) * (scale if theirs.name == "w3" else 1)
        theirs.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), theirs.name))
        mine.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32), mine.name))
    x = np.ascontiguousarray(images(COUNT, (17, 14)).transpose(0, 2, 3, 1)).astype(np.float16)
    options = {"channel_axis": -1, "backward": backward}
    channel = np.arange(COUNT)
    found = run(artefact(half, "r2", method, **options), x=x, channel=channel)["attribution"]
    exact = run(artefact(double, "r2", method, **options), x=x.astype(np.float32), channel=channel)
    assert found.dtype == (np.float32 if backward == "float32" else np.float16)
    assert relative_error(found, exact["attribution"]) < 5e-3


TINY = """
<ir_version: 8, opset_import: ["": 17]>
tiny (float[N, 3, H, W] x, float[6, 3, 3, 3] w1, float[6, 4] w2) => (float[N, 4] y)
{ c = Conv (x, w1) r = Relu (c) means = GlobalAveragePool (r) f = Flatten (means)
  y = MatMul (f, w2) }
"""


@pytest.mark.parametrize("opset", [18, 22, 26])
@pytest.mark.parametrize("method", METHODS)
def test_newer_opsets(method, opset):
    new = TINY.replace('"": 17', f'"": {opset}').replace("ir_version: 8", "ir_version: 13")
    x, channel = images(3, (12, 11)), np.array([0, 1, 2])
    older, newer = (
        run(artefact(network(text), None, method), x=x, channel=channel) for text in (TINY, new)
    )
    same(newer, older)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_refused(method):
    model = exported("alexnet")
    with pytest.raises(UnsupportedModel, match=r"rank 2, so there are no positions to map: name"):
        rewrite(model, "classifier.2", method)
    with pytest.raises(OptionError, match="leave `to` out"):
        rewrite(model, "features.4", method, Options(to="x"))
    with pytest.raises(OptionError, match=r"channel axis 4 .* whose rank is 4: choose 1 to 3"):
        rewrite(model, "features.4", method, Options(channel_axis=4))
    with pytest.raises(OptionError, match=r"score channel axis 2 .* rank is 2: choose 1$"):
        rewrite(model, "features.4", method, Options(score_channel_axis=2))
    with pytest.raises(OptionError, match="select 'predicted'"):
        rewrite(exported("resnet"), "layer1", method,
                Options(score_layer="layer3", select="predicted"))  # fmt: skip


SEQUENCE = """
<ir_version: 8, opset_import: ["": 17]>
tokens (float[N, 3, H, W] x, float[6, 3, 4, 4] w1, float[6, 6] w2, float[6, 5] w3)
    => (float[N, 5] y)
<int64[3] sequence = {0, 6, -1}>
{
    c = Conv <strides = [4, 4]> (x, w1)
    s = Reshape (c, sequence)
    t = Transpose <perm = [0, 2, 1]> (s)
    m = MatMul (t, w2)
    r = Relu (m)
    mean = ReduceMean <axes = [1], keepdims = 0> (r)
    y = MatMul (mean, w3)
}
"""


@pytest.mark.parametrize("sizes", ["H, W", "13, 9"], ids=["dynamic", "static"])
@pytest.mark.parametrize("method", CAMS)
def test_a_sequence_of_tokens_is_laid_out_as_the_pictures_grid(method, sizes):
    model = network(SEQUENCE.replace("H, W", sizes))
    x, channel = images(COUNT, (13, 9)), np.arange(COUNT)
    made = artefact(model, None, method, upsample=False)
    found = run(made, x=x, channel=channel)["attribution"]
    (w1, w2, w3) = (torch.tensor(weights(model)[f"w{i}"]).double() for i in (1, 2, 3))
    grid = F.conv2d(torch.from_numpy(x).double(), w1, stride=4).permute(0, 2, 3, 1)
    r = torch.relu(grid @ w2).requires_grad_()
    (g,) = torch.autograd.grad((r.mean((1, 2)) @ w3)[range(COUNT), channel].sum(), r)
    expected = cam(method, *(t.detach().permute(0, 3, 1, 2).numpy() for t in (r, g)))
    assert found.shape == (COUNT, 1, 3, 2)
    assert relative_error(found, expected) < 1e-5
    shown = F.interpolate(torch.from_numpy(expected), (13, 9), mode="bilinear")
    found = run(artefact(model, "r", method), x=x, channel=channel)["attribution"]
    assert relative_error(found, shown) < 1e-5


def test_axes_in_another_order_than_the_pictures():
    text = SEQUENCE.replace("[0, 2, 1]> (s)", "[0, 3, 2, 1]> (c)").replace("[1], k", "[1, 2], k")
    model, x, channel = network(text), images(COUNT, (13, 9)), np.arange(COUNT)
    found, expected = (
        run(artefact(made, "r", "grad_cam"), x=x, channel=channel)["attribution"]
        for made in (model, network(SEQUENCE))
    )
    assert relative_error(found, expected) < 1e-5


def test_the_images_must_come_first():
    text = SEQUENCE.replace("m = MatMul (t, w2)", "f = Transpose <perm = [1, 0, 2]> (t)"
        " z = MatMul (f, w2) m = Transpose <perm = [1, 0, 2]> (z)")  # fmt: skip
    with pytest.raises(UnsupportedModel, match="axis 0 of layer 'z' runs over places"):
        rewrite(network(text), "z", "grad_cam")
    made = artefact(network(text), None, "grad_cam", upsample=False)
    found = run(made, x=images(2, (13, 9)), channel=np.array([0, 3]))["attribution"]
    assert found.shape == (2, 1, 3, 2)


def test_a_map_with_fewer_axes_than_the_picture_has_no_place_on_it():
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    rows (float[N, 3, 8, 8] x, float[6, 3, 4, 4] w1, float[6, 5] w2) => (float[N, 5] y)
    { c = Conv <strides = [4, 4]> (x, w1) s = ReduceMean <axes = [3], keepdims = 0> (c)
      t = Transpose <perm = [0, 2, 1]> (s) r = Relu (t)
      mean = ReduceMean <axes = [1], keepdims = 0> (r) y = MatMul (mean, w2) }
    """
    model = network(text)
    with pytest.raises(OptionError, match="1 spatial axes, but .* has 2: turn `upsample` off"):
        rewrite(model, "r", "grad_cam")
    made = artefact(model, "r", "grad_cam", upsample=False)
    found = run(made, x=images(2, (8, 8)), channel=np.array([0, 3]))
    assert found["attribution"].shape == (2, 1, 2)


def test_what_is_assumed_of_the_map_is_said():
    model = network(SEQUENCE.replace("H, W", "13, 9"))
    default, tokens = check(model, None, "grad_cam").warnings
    assert "'r', the last layer before" in default and "--layer" in default
    assert "laid out as the picture's 3 x 2 places" in tokens
    assert check(model, "r", "grad_cam").warnings == (tokens,)
    assert check(model, "c", "grad_cam").warnings == ()


def test_guided_grad_cam_needs_the_pictures_size():
    with pytest.raises(OptionError, match="leave `upsample` on"):
        rewrite(exported("alexnet"), None, "guided_grad_cam", Options(upsample=False))


def test_guided_grad_cam_is_told_what_stands_before_the_map():
    text = """
    <ir_version: 8, opset_import: ["": 17, "com.example": 1]>
    foreign (float[N, 3, 8, 8] x, float[4, 3, 3, 3] w1, float[4, 5] w2) => (float[N, 5] y)
    <float[N, 3, 8, 8] b>
    { b = com.example.Sharpen (x) c = Conv (b, w1) r = Relu (c)
      mean = ReduceMean <axes = [2, 3], keepdims = 0> (r) y = MatMul (mean, w2) }
    """
    model = network(text)
    assert check(model, "r", "grad_cam").ok
    report = check(model, "r", "guided_grad_cam")
    assert "Sharpen" in report.problem
    with pytest.raises(UnsupportedOperator, match="Sharpen"):
        rewrite(model, "r", "guided_grad_cam")


class Guided(torch.autograd.Function):
    """A ReLU through which only positive signals come back."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, signal):
        (x,) = ctx.saved_tensors
        return signal.clamp(min=0) * (x > 0)


def same(found, expected):
    assert np.abs(expected["attribution"]).max() > 0
    np.testing.assert_allclose(found["attribution"], expected["attribution"], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-5, atol=1e-6)


@cache
def exported(family):
    return export(family)
