"""The methods of one walk back, against Captum on class scores, channels and single units; and
what shows a layer itself: `inverse` against PyTorch's vector-Jacobian products, `activation`.
"""

from functools import cache

import numpy as np
import pytest
import torch
from artefacts import DENSE, artefact, images, network, run, session, weights
from captum.attr import Deconvolution, GuidedBackprop, InputXGradient, Saliency
from nets import FAMILIES, build, export
from oracle import check_error
from torch import nn

COUNT = 5

CAPTUM = {
    "gradient": lambda net: Saliency(net),
    "input_x_gradient": lambda net: InputXGradient(net),
    "deconvnet": lambda net: Deconvolution(net),
    "guided_backprop": lambda net: GuidedBackprop(net),
}
WITH_RELU = [name for name in FAMILIES if name != "mobilenet"]  # Captum knows no ReLU6


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU activations:UserWarning")
@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients:UserWarning")
@pytest.mark.parametrize("place", ["class score", "channel", "unit"])
@pytest.mark.parametrize("method", CAPTUM)
@pytest.mark.parametrize("family", WITH_RELU)
def test_captum(family, method, place):
    module = "classifier" if place == "class score" else FAMILIES[family].middle
    x = images(COUNT, FAMILIES[family].size)
    y = outputs(build(family), x, module)[module]
    flat = y.detach().numpy().reshape(*y.shape[:2], -1)
    channel = flat.max(2).argmax(1)
    feeds, options = {"channel": channel}, {"position": "all"}
    if place == "unit":  # the channel's strongest
        options["position"] = "given"
        strongest = flat[np.arange(COUNT), channel].argmax(1)
        feeds["position"] = np.stack(np.unravel_index(strongest, y.shape[2:]), 1)
    layer = None if place == "class score" else module
    made = artefact(exported(family), layer, method, seed_value="one", **options)
    found = run(made, x=x, **feeds)["attribution"]

    def explained(dtype):
        """Let Captum explain, for each image, the unit or the sum of the channel."""
        upto = UpTo(build(family).to(dtype), module, sums=place == "channel")
        target = channel.tolist()
        if place == "unit":
            where = feeds["position"].tolist()
            target = [(c, *p) for c, p in zip(target, where, strict=True)]
        kwargs = {"abs": False} if method == "gradient" else {}
        values = torch.from_numpy(x).to(dtype)
        return CAPTUM[method](upto).attribute(values, target=target, **kwargs).detach()

    check_error(found, explained(torch.float64), explained(torch.float32))


# One layer, then spans of several: the layer, and what it is projected back to.
SPANS = [
    ("alexnet", "features.3", "features.2"),  # a grouped convolution
    ("alexnet", "features.0", "x"),  # a strided one
    ("alexnet", "features.5", "features.4"),  # a pool whose windows overlap
    ("vgg", "features.2", "features.1"),  # pools whose windows do not: with ceil_mode
    ("vgg", "features.5", "features.4"),  # and with pads
    ("alexnet", "classifier.2", "classifier.1"),  # dense
    ("alexnet", "features.8", "features.2"),
    ("alexnet", "classifier.4", "features.4"),
    ("resnet", "layer3", "layer1"),
    ("inception", "mixed2", "reduce"),
    ("densenet", "block2.1", "x"),
    ("mobilenet", "classifier", "stem"),
]


@pytest.mark.parametrize("select", ["seed", "whole"])
@pytest.mark.parametrize(("family", "layer", "to"), SPANS)
def test_inverse_is_the_vector_jacobian_product_of_a_span(family, layer, to, select):
    x = images(COUNT, FAMILIES[family].size)
    made = artefact(exported(family), layer, "inverse", to=to, select=select)
    shape = outputs(build(family), x, layer)[layer].shape
    signal = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    feeds = {"seed": signal} if select == "seed" else {}
    found = run(made, x=x, **feeds)["attribution"]

    def product(dtype):
        values = torch.from_numpy(x).to(dtype).requires_grad_()
        seen = outputs(build(family).to(dtype), values, layer, to) | {"x": values}
        y = seen[layer]
        cotangent = torch.from_numpy(signal).to(dtype) if select == "seed" else y.detach()
        return torch.autograd.grad(y, seen.get(to), cotangent)[0]

    check_error(found, product(torch.float64), product(torch.float32))


def test_inverse_starts_from_the_whole_layer_unless_told_otherwise():
    x = images(2, FAMILIES["resnet"].size)
    opened = session(artefact(exported("resnet"), "layer2", "inverse"))
    assert [i.name for i in opened.get_inputs()] == ["x"]
    whole = run(artefact(exported("resnet"), "layer2", "inverse", select="whole"), x=x)
    np.testing.assert_array_equal(run(opened, x=x)["attribution"], whole["attribution"])


@pytest.mark.parametrize(("layer", "to"), [("h", "x"), ("y", "r"), ("y", "x")])
def test_inverse_of_a_fully_connected_net(layer, to):
    model = network(DENSE)
    w1, b1, w2 = (weights(model)[name].astype(np.float64) for name in ("w1", "b1", "w2"))
    x = np.random.default_rng(1).standard_normal((3, 9)).astype(np.float32)
    h = x @ w1 + b1
    r = np.maximum(h, 0)
    expected = {
        ("h", "x"): h @ w1.T,
        ("y", "r"): (r @ w2) @ w2.T,
        ("y", "x"): ((r @ w2) @ w2.T * (h > 0)) @ w1.T,
    }[layer, to]
    found = run(artefact(model, layer, "inverse", to=to), x=x)
    np.testing.assert_allclose(found["attribution"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_activation_is_the_forward_map(family):
    module = FAMILIES[family].middle
    x = images(2, FAMILIES[family].size)
    y = outputs(build(family), x, module)[module].detach().numpy()
    made = artefact(exported(family), module, "activation", select="pairs")
    index, channel = np.array([1, 0, 1]), np.array([0, 1, 2])
    found = run(made, x=x, image_index=index, channel=channel)
    np.testing.assert_allclose(
        found["attribution"], y[index, channel][:, None], rtol=1e-3, atol=1e-4
    )


def test_activation_of_the_class_score():
    x = images(3, FAMILIES["densenet"].size)
    found = run(artefact(exported("densenet"), None, "activation", select="predicted"), x=x)
    np.testing.assert_allclose(
        found["attribution"], found["y"].max(1, keepdims=True), rtol=1e-5, atol=1e-6
    )


class UpTo(nn.Module):
    """A net that gives the output of one of its modules, perhaps each channel's sum."""

    def __init__(self, net, module, sums):
        super().__init__()
        self.net, self.module, self.sums = net, module, sums

    def forward(self, x):
        y = outputs(self.net, x, self.module)[self.module]
        return y.sum((2, 3)) if self.sums else y


def outputs(net, x, *modules):
    """Return the outputs of the net's modules, of those names that are a module's."""
    seen, handles = {}, []
    for name in modules:
        if name in dict(net.named_modules()):
            hook = net.get_submodule(name).register_forward_hook(
                lambda module, inputs, y, name=name: seen.__setitem__(name, y)
            )
            handles.append(hook)
    net(torch.from_numpy(x) if isinstance(x, np.ndarray) else x)
    for handle in handles:
        handle.remove()
    return seen


@cache
def exported(family):
    return export(family)
