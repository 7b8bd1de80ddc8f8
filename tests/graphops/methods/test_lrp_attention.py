"""Relevance through attention, gates and normalisations, against the papers' formulas by hand."""

import numpy as np
import pytest
import slow_lrp
import torch
from artefacts import artefact, images, run
from attention_nets import (
    VisionTransformer,
    Windows,
    convnext,
    efficientnet,
    initialized,
)
from exporters import torch_export
from nets import to_onnx
from oracle import relative_error

SIZE = (8, 12)  # six patches
HELD = {"lrp_epsilon": False, "lrp_cp": True}


def exported(net, exporter, size=SIZE):
    """Return the net as either of PyTorch's exporters writes it."""
    x = torch.zeros(2, 3, *size)
    if exporter == "TorchScript":
        return to_onnx(net, x, {0: "N"}, 20)
    free = ({0: torch.export.Dim.DYNAMIC},)
    return torch_export(
        net, x, dynamo=True, opset_version=20, dynamic_shapes=free, verbose=False
    ).model_proto


def causal(heads, tokens):
    """Return a mask that hides later tokens, with finite biases elsewhere."""
    bias = torch.randn(heads, tokens, tokens, generator=torch.Generator().manual_seed(2))
    return bias.masked_fill(torch.ones(tokens, tokens).triu(1).bool(), -torch.inf)


NETS = {
    "plain": lambda: VisionTransformer(),
    "masked": lambda: VisionTransformer(bias=causal(2, 6), depth=1),
}


@pytest.mark.parametrize("exporter", ["TorchScript", "dynamo"])
@pytest.mark.parametrize("kind", NETS)
def test_a_vision_transformer_by_hand(kind, exporter):
    net = initialized(NETS[kind]())
    model = exported(net, exporter)
    x = images(2, SIZE)
    seed = np.random.default_rng(1).standard_normal((2, 5)).astype(np.float32)
    net = net.double()
    with torch.no_grad():
        for method, held in HELD.items():
            found = run(artefact(model, None, method, select="seed"), x=x, seed=seed)
            for image, r, own in zip(x, seed, found["attribution"], strict=True):
                args = torch.tensor(image).double(), torch.tensor(r).double()
                exact = slow_lrp.vision_transformer(net, *args, held)
                assert relative_error(own, exact.numpy()) < 1e-3, method


@pytest.mark.parametrize("exporter", ["TorchScript", "dynamo"])
def test_shifted_windows_by_hand(exporter):
    net = initialized(Windows())
    model = exported(net, exporter, (16, 16))
    x = images(1, (16, 16))
    seed = np.random.default_rng(1).standard_normal((1, 5)).astype(np.float32)
    found = {m: run(artefact(model, None, m, select="seed"), x=x, seed=seed) for m in HELD}
    with torch.no_grad():
        for method, held in HELD.items():
            exact = shifted_windows(net.double(), torch.tensor(x[0]).double(),
                                    torch.tensor(seed[0]).double(), held)  # fmt: skip
            assert relative_error(found[method]["attribution"][0], exact.numpy()) < 1e-3


def shifted_windows(net, image, relevance, held):
    tokens = net.patch(image[None])[0].flatten(1).T  # 16 of them, row by row
    normed = net.norm(tokens)
    positions = torch.arange(16).reshape(4, 4).roll((-1, -1), (0, 1))
    windows = [positions[i : i + 2, j : j + 2].flatten() for i in (0, 2) for j in (0, 2)]
    mixed = torch.zeros_like(normed)
    for window in windows:
        mixed[window] = net.attention(normed[window][None])[0]
    state = tokens + mixed
    relevance = slow_lrp.linear(state.mean(0)[None], net.head.weight, net.head.bias,
                                relevance[None])[0]  # fmt: skip
    straight, of_mixed = slow_lrp.total([tokens, mixed], slow_lrp.mean(state, relevance))
    of_normed = torch.zeros_like(normed)
    for window in windows:
        of_normed[window] = slow_lrp.attention(
            net.attention, normed[window], of_mixed[window], held
        )
    relevance = straight + slow_lrp.layer_norm(tokens, net.norm, of_normed)
    return slow_lrp.patches(net.patch, image, relevance)


@pytest.mark.parametrize("exporter", ["TorchScript", "dynamo"])
def test_attention_held_constant_conserves(exporter):
    model = exported(initialized(VisionTransformer(depth=4), biases=False), exporter)
    check_conserved(model, "lrp_cp", images(4, SIZE))


BIAS_FREE = {"efficientnet": efficientnet, "convnext": convnext}


@pytest.mark.parametrize("exporter", ["TorchScript", "dynamo"])
@pytest.mark.parametrize("family", BIAS_FREE)
def test_networks_without_biases_conserve(family, exporter):
    model = exported(initialized(BIAS_FREE[family](), biases=False), exporter, (32, 32))
    for method in ("lrp", "lrp_epsilon", "lrp_epsilon_plus", "lrp_cp"):
        check_conserved(model, method, images(4, (32, 32)))


def check_conserved(model, method, x):
    found = run(artefact(model, None, method), x=x, channel=np.arange(len(x)))
    placed = found["attribution"].sum(axis=(1, 2, 3)) - found["completeness_error"]
    assert np.all(np.abs(placed) > 1e-3), method
    assert np.all(np.abs(found["completeness_error"]) <= 0.01 * np.abs(placed)), method


ALL_METHODS = (
    "lrp", "lrp_epsilon", "lrp_cp", "lrp_epsilon_alpha2_beta1", "excitation_backprop"
)  # fmt: skip


@pytest.mark.parametrize("method", ALL_METHODS)
def test_nothing_explodes_in_a_deep_transformer(method):
    model = exported(initialized(VisionTransformer(depth=12)), "TorchScript")
    x = images(3, SIZE)
    found = run(artefact(model, None, method), x=x, channel=np.array([0, 1, 2]))
    activity = np.sqrt(found["score"])
    assert np.all(np.isfinite(found["attribution"]))
    assert np.all(np.abs(found["completeness_error"]) < 20 * activity)
    one = run(artefact(model, None, method), x=x[1:2], channel=np.array([1]))
    assert relative_error(found["attribution"][1:2], one["attribution"]) < 1e-3
    pairs = artefact(model, None, method, select="pairs")
    two = run(pairs, x=x, image_index=np.array([1, 1]), channel=np.array([0, 1]))
    assert relative_error(two["attribution"][1:], one["attribution"]) < 1e-3
