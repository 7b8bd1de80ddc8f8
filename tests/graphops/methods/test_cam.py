"""Class activation maps against their formulas, written out slowly, and Captum's Grad-CAM."""

from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from artefacts import artefact, images, network, run
from captum.attr import LayerGradCam
from nets import FAMILIES, build, export, to_onnx
from oracle import check_error, project, relative_error
from slow_cams import CAMS, METHODS, cam, signals
from torch import nn

COUNT = 5
DOUBLE_SINGLE = (torch.float64, torch.float32)
LAST = {  # with places of the picture
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
@pytest.mark.parametrize("method", METHODS)
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


@pytest.mark.parametrize("method", METHODS)
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


class Mean(nn.Module):
    def forward(self, x):
        return x.mean(2)


@cache
def classes(family):
    """Return for each image a class for which there is evidence in the last block."""
    x = images(COUNT, FAMILIES[family].size)
    return build(family)(torch.from_numpy(x)).argmax(1).numpy()


@cache
def exported(family):
    return export(family)
