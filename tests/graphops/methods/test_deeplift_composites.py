"""DeepLIFT at composite activations, against Captum and against the slow rescale rule.

Captum 0.9 rescales ReLU, ELU, Sigmoid and a few more modules. Its oracle for SiLU, GELU and hard
swish is its own rule for element-wise modules, entered for those too.
"""

import numpy as np
import pytest
import slow_deeplift
import torch
from artefacts import artefact, images, run
from captum.attr import DeepLift
from captum.attr._core.deep_lift import SUPPORTED_NON_LINEAR, nonlinear
from modern_nets import (
    SIZE,
    build,
    convnext,
    efficientnet,
    efficientnet_without_gates,
    mobilenet_v3,
)
from nets import to_onnx
from oracle import check_error
from torch import nn

COUNT = 5
SMOOTH = (nn.SiLU, nn.GELU, nn.Hardswish, nn.Hardsigmoid)
NETS = {
    "efficientnet": efficientnet,
    "efficientnet without gates": efficientnet_without_gates,
    "mobilenet_v3": mobilenet_v3,
    "convnext": convnext,
}
HOOKS = pytest.mark.filterwarnings(
    r"ignore:\s*Setting forward, backward hooks and attributes on non-linear:UserWarning"
)


@pytest.fixture
def rescaled(monkeypatch):
    for module in SMOOTH:
        monkeypatch.setitem(SUPPORTED_NON_LINEAR, module, nonlinear)
    kinds = (*slow_deeplift.ACTIVATIONS, *SMOOTH)
    monkeypatch.setattr(slow_deeplift, "ACTIVATIONS", kinds)


def feeds():
    x, baseline = images(COUNT, SIZE), images(COUNT, SIZE, seed=9)
    return x, baseline, np.arange(COUNT)


def found(name, opset=17):
    x, baseline, channel = feeds()
    model = to_onnx(build(NETS[name]), torch.zeros(2, 3, *SIZE), {0: "N"}, opset)
    return run(artefact(model, None, "deeplift"), x=x, baseline=baseline, channel=channel)


@HOOKS
@pytest.mark.parametrize("opset", [12, 17])
@pytest.mark.parametrize("name", NETS)
def test_captums_rule(name, opset, rescaled):
    x, baseline, channel = feeds()

    def explained(dtype):
        net, rows = build(NETS[name]).to(dtype), []
        for one, before, target in zip(x, baseline, channel, strict=True):
            one, before = (torch.from_numpy(v[None]).to(dtype) for v in (one, before))
            attribution = DeepLift(net).attribute(one.requires_grad_(), before, target=int(target))
            rows.append(attribution.detach())
        return torch.cat(rows)

    exact, single = explained(torch.float64), explained(torch.float32)
    check_error(found(name, opset)["attribution"], exact, single)


@pytest.mark.parametrize("name", NETS)
def test_the_slow_rule(name, rescaled):
    x, baseline, channel = (torch.from_numpy(v) for v in feeds())
    cotangent = torch.eye(COUNT)[channel]
    exact, single = (
        slow_deeplift.slow_deeplift(
            build(NETS[name]), *(t.to(dtype) for t in (x, baseline, cotangent))
        )
        for dtype in (torch.float64, torch.float32)
    )
    check_error(found(name)["attribution"], exact, single)


def test_what_differs_is_explained_to_the_last_digit():
    """Without products of signals, every node is linear or rescaled."""
    result = found("efficientnet without gates")
    size = np.abs(result["attribution"]).sum((1, 2, 3))
    assert (np.abs(result["completeness_error"]) < 1e-5 * size).all()


def test_a_difference_of_rounding_has_the_gradient_as_slope():
    """A picture and its baseline that differ by 1e-5 of themselves: Δy is mostly rounding."""
    x, _, channel = feeds()
    baseline = (x * (1 + 1e-5)).astype(np.float32)
    model = to_onnx(build(efficientnet_without_gates), torch.zeros(2, 3, *SIZE), {0: "N"})
    gradient = run(artefact(model, None, "gradient"), x=x, channel=channel)["attribution"]
    made = artefact(model, None, "deeplift")
    close = run(made, x=x, baseline=baseline, channel=channel)["attribution"]
    expected = gradient.astype(np.float64) * (x - baseline)
    assert np.abs(close - expected).sum() < 1e-3 * np.abs(expected).sum()
