"""Class activation maps against their formulas, written out slowly, on PyTorch's gradients."""

from functools import cache

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from artefacts import artefact, images, network, run, session, weights
from captum.attr import LayerGradCam
from nets import FAMILIES, build, export, to_onnx
from oracle import check_error, project, relative_error
from torch import nn

from onnxplain.graphops import Options, check, rewrite
from onnxplain.graphops.errors import OptionError, UnsupportedModel, UnsupportedOperator

COUNT = 5
CAMS = ("grad_cam", "grad_cam_pp", "layer_cam")
ALL = (*CAMS, "guided_grad_cam")
LAST = {  # the last convolutional block
    "alexnet": "features.8",
    "vgg": "features.11",
    "resnet": "layer3",
    "mobilenet": "same",
    "inception": "average",
    "densenet": "norm",
}
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


@pytest.mark.parametrize("layer", ["last", "middle"])
@pytest.mark.parametrize("method", CAMS)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_map_as_it_is(family, method, layer):
    module = LAST[family] if layer == "last" else FAMILIES[family].middle
    x, channel = images(COUNT, FAMILIES[family].size), classes(family)
    name = None if layer == "last" else module
    found = run(artefact(exported(family), name, method, upsample=False), x=x, channel=channel)
    exact, single = (
        cam(method, *signals(build(family), module, x, channel, dtype)) for dtype in DOUBLE_SINGLE
    )
    check_error(found["attribution"], exact, single)


@pytest.mark.parametrize("size", [FAMILIES["resnet"].size, (40, 53)])
@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_map_on_the_picture(family, method, size):
    if not FAMILIES[family].any_size:
        size = FAMILIES[family].size
    x, channel = images(COUNT, size), classes(family)
    found = run(artefact(exported(family), None, method), x=x, channel=channel)["attribution"]

    def shown(dtype):
        base = "grad_cam" if method == "guided_grad_cam" else method
        maps = cam(base, *signals(build(family), LAST[family], x, channel, dtype))
        maps = F.interpolate(torch.from_numpy(maps), size, mode="bilinear")
        if method != "guided_grad_cam":
            return maps
        values = torch.from_numpy(x).to(dtype)
        units = F.one_hot(torch.from_numpy(channel), 7).to(dtype)
        return maps * project(
            build(family), "classifier", values, lambda y: units, "guided_backprop"
        )

    check_error(found, *map(shown, DOUBLE_SINGLE))


@pytest.mark.parametrize("family", FAMILIES)
def test_grad_cam_is_captums(family):
    x, channel = images(COUNT, FAMILIES[family].size), classes(family)
    made = artefact(exported(family), LAST[family], "grad_cam", upsample=False)
    found = run(made, x=x, channel=channel)["attribution"]

    def explained(dtype):
        net = build(family).to(dtype)
        scores = net[:-1] if family == "mobilenet" else net  # before its softmax
        captums = LayerGradCam(scores, net.get_submodule(LAST[family]))
        target, values = torch.from_numpy(channel), torch.from_numpy(x).to(dtype)
        return captums.attribute(values, target=target, relu_attributions=True).detach()

    check_error(found, *map(explained, DOUBLE_SINGLE))


@pytest.mark.parametrize("method", ALL)
def test_of_an_inner_unit(method):
    """The evidence for the strongest place of a channel of layer3, in layer1."""
    x, channel = images(COUNT), np.array([3, 1, 4, 1, 5])
    options = {"score_layer": "layer3", "position": "max", "upsample": method not in CAMS}
    found = run(artefact(exported("resnet"), "layer1", method, **options), x=x, channel=channel)

    def strongest(y):
        signal = torch.zeros_like(y)
        for row, unit in enumerate(channel):
            signal[row, unit].view(-1)[y[row, unit].argmax()] = 1.0
        return signal

    def shown(dtype):
        base = method if method in CAMS else "grad_cam"
        net, values = build("resnet"), torch.from_numpy(x).to(dtype)
        maps, g = signals(net, "layer1", x, strongest, dtype, score="layer3")
        if method in CAMS:
            return cam(base, maps, g)
        maps = F.interpolate(torch.from_numpy(cam(base, maps, g)), x.shape[2:], mode="bilinear")
        return maps * project(net, "layer3", values, strongest, "guided_backprop")

    check_error(found["attribution"], *map(shown, DOUBLE_SINGLE))
    assert found["position"].shape == (COUNT, 2)


@pytest.mark.parametrize("method", ALL)
def test_every_select_says_the_same(method):
    model, x = exported("inception"), images(3)
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


@pytest.mark.parametrize("method", ALL)
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


def test_axes_of_one_and_of_three_positions():
    for axes, conv in ((1, nn.Conv1d), (3, nn.Conv3d)):
        torch.manual_seed(0)
        tail = [nn.Flatten(2), Mean(), nn.Linear(5, 4)]
        net = nn.Sequential(
            conv(2, 6, 3, stride=2), nn.ReLU(), conv(6, 5, 3, padding=1), nn.ReLU(), *tail
        )
        size = (11, 10, 9)[:axes]
        x = np.random.default_rng(0).standard_normal((COUNT, 2, *size)).astype(np.float32)
        model = to_onnx(net, torch.from_numpy(x), {0: "N", **{2 + i: f"s{i}" for i in range(axes)}})
        channel = np.arange(COUNT) % 4
        for method in CAMS:
            found = run(artefact(model, "3", method), x=x, channel=channel)["attribution"]
            raw = cam(method, *signals(net, "3", x, channel, torch.float64, score="6"))
            shown = F.interpolate(torch.from_numpy(raw), size, mode=LINEAR[axes])
            assert relative_error(found, shown) < 1e-5


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


@pytest.mark.parametrize("method", ALL)
def test_channels_on_the_last_axis(method):
    """Of the picture, which is told by its 3; of the map, whose axis is named."""
    model = network(LAST_AXIS)
    w1, w2, w3 = (torch.tensor(weights(model)[f"w{i}"]).double() for i in (1, 2, 3))
    pictures = images(COUNT, (17, 14)).transpose(0, 2, 3, 1)
    channel = np.arange(COUNT)
    made = artefact(model, "r2", method, channel_axis=-1)
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


HALF = LAST_AXIS.replace("float[", "float16[")


@pytest.mark.parametrize("backward", ["same", "float32"])
@pytest.mark.parametrize("method", ALL)
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
@pytest.mark.parametrize("method", ALL)
def test_newer_opsets(method, opset):
    new = TINY.replace('"": 17', f'"": {opset}').replace("ir_version: 8", "ir_version: 13")
    x, channel = images(3, (12, 11)), np.array([0, 1, 2])
    older, newer = (
        run(artefact(network(text), None, method), x=x, channel=channel) for text in (TINY, new)
    )
    same(newer, older)


def test_what_grad_cam_pp_divides_by_by_hand():
    """One map, A = [1, 2], g = [0, 0.5]: α = 0.25 / (0.5 + 3·0.125 + 1e-6), w = 0.5·α."""
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    hand (float[N, 1, 2] x) => (float[N, 1] y)
    <float[1, 1, 1] one = {1}, float[2, 1] w = {0, 0.5}>
    { a = Conv (x, one) f = Flatten (a) y = MatMul (f, w) }
    """
    made = artefact(network(text), "a", "grad_cam_pp")
    found = run(made, x=np.array([[[1, 2]]], np.float32), channel=np.array([0]))
    weight = 0.5 * 0.25 / (0.5 + 3 * 0.125 + 1e-6)
    np.testing.assert_allclose(found["attribution"], [[[weight, 2 * weight]]], rtol=1e-6)


@pytest.mark.parametrize("method", ALL)
def test_what_is_refused(method):
    model = exported("alexnet")
    with pytest.raises(UnsupportedModel, match=r"rank 2, so there are no positions to map: name"):
        rewrite(model, "classifier.2", method)
    with pytest.raises(OptionError, match="leave `to` out"):
        rewrite(model, "features.4", method, Options(to="x"))
    with pytest.raises(OptionError, match=r"channel axis 4 is not one of .* whose rank is 4"):
        rewrite(model, "features.4", method, Options(channel_axis=4))
    with pytest.raises(OptionError, match="select 'predicted'"):
        rewrite(exported("resnet"), "layer1", method,
                Options(score_layer="layer3", select="predicted"))  # fmt: skip


def test_a_map_of_a_sequence_has_no_place_on_the_picture():
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    tokens (float[N, 3, 8, 8] x, float[6, 3, 4, 4] w1, float[6, 5] w2) => (float[N, 5] y)
    <int64[3] sequence = {0, 6, -1}>
    { c = Conv <strides = [4, 4]> (x, w1) s = Reshape (c, sequence)
      t = Transpose <perm = [0, 2, 1]> (s) r = Relu (t)
      mean = ReduceMean <axes = [1], keepdims = 0> (r) y = MatMul (mean, w2) }
    """
    model = network(text)
    with pytest.raises(OptionError, match="1 axes of positions .* has 2: turn `upsample` off"):
        rewrite(model, "r", "grad_cam")
    made = artefact(model, "r", "grad_cam", upsample=False)
    found = run(made, x=images(2, (8, 8)), channel=np.array([0, 3]))
    assert found["attribution"].shape == (2, 1, 4)


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


DOUBLE_SINGLE = (torch.float64, torch.float32)


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


class Mean(nn.Module):
    def forward(self, x):
        return x.mean(2)


def cam(method, maps, gradients):
    """Return [B, 1, ...positions] from A and g, [B, K, ...positions], by the papers' formulas."""
    rows = []
    for a, g in zip(maps, gradients, strict=True):
        total = np.zeros(a.shape[1:], a.dtype)
        for a_k, g_k in zip(a, g, strict=True):
            if method == "grad_cam":
                total += g_k.mean() * a_k
            elif method == "layer_cam":
                total += np.maximum(g_k, 0) * a_k
            else:
                weight = 0.0
                for value in g_k[g_k > 0]:
                    alpha = value**2 / (2 * value**2 + a_k.sum() * value**3 + 1e-6)
                    weight += alpha * value
                total += weight * a_k
        rows.append(np.maximum(total, 0)[None])
    return np.stack(rows)


def signals(net, module, x, channel, dtype, score="classifier"):
    """Return A and g: a module's output, and the gradient there of units of a later one.

    channel: the classes, or what the later module's output has as its cotangent.
    """
    net = net.to(dtype)
    seen = {}
    handles = [
        net.get_submodule(name).register_forward_hook(
            lambda module, inputs, y, name=name: seen.__setitem__(name, y)
        )
        for name in (module, score)
    ]
    net(torch.from_numpy(x).to(dtype))
    for handle in handles:
        handle.remove()
    y = seen[score]
    cotangent = (
        channel(y) if callable(channel) else F.one_hot(torch.from_numpy(channel), y.shape[1])
    )
    (g,) = torch.autograd.grad(y, seen[module], cotangent.to(dtype))
    return seen[module].detach().numpy(), g.numpy()


def same(found, expected):
    assert np.abs(expected["attribution"]).max() > 0
    np.testing.assert_allclose(found["attribution"], expected["attribution"], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-5, atol=1e-6)


@cache
def classes(family):
    """Return for each image a class for which there is evidence in the last block."""
    x = images(COUNT, FAMILIES[family].size)
    return build(family)(torch.from_numpy(x)).argmax(1).numpy()


@cache
def exported(family):
    return export(family)
