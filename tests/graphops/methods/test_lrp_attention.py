"""Relevance through attention, gates and normalisations, against the papers' formulas by hand."""

import numpy as np
import pytest
import slow_lrp
import torch
from artefacts import artefact, images, network, run
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

from onnxplain.graphops.errors import UnsupportedModel

SIZE = (8, 12)  # six patches
HELD = {"lrp_epsilon": False, "lrp_cp": True}


def exported(net, exporter, size=SIZE, opset=20):
    """Return the net as either of PyTorch's exporters writes it."""
    x = torch.zeros(2, 3, *size)
    if exporter == "TorchScript":
        return to_onnx(net, x, {0: "N"}, opset)
    free = ({0: torch.export.Dim.DYNAMIC},)
    return torch_export(
        net, x, dynamo=True, opset_version=opset, dynamic_shapes=free, verbose=False
    ).model_proto


def causal(heads, tokens):
    """Return a mask that hides later tokens, with finite biases elsewhere."""
    bias = torch.randn(heads, tokens, tokens, generator=torch.Generator().manual_seed(2))
    return bias.masked_fill(torch.ones(tokens, tokens).triu(1).bool(), -torch.inf)


NETS = {
    "plain": VisionTransformer,
    "masked": lambda one: VisionTransformer(bias=causal(2, 6), depth=1, one=one),
}


EXPORTS = [("TorchScript", 17), ("TorchScript", 20), ("dynamo", 20), ("dynamo", 23)]


@pytest.mark.parametrize(("exporter", "opset"), EXPORTS)
@pytest.mark.parametrize("kind", NETS)
def test_a_vision_transformer_by_hand(kind, exporter, opset):
    net = initialized(NETS[kind](one=opset == 23))
    model = exported(net, exporter, opset=opset)
    operators = {n.op_type for n in model.graph.node}
    assert ("Attention" in operators) == (opset == 23)
    assert ("Gelu" in operators) == (opset >= 20)
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


HEAD = """
<ir_version: 11, opset_import: ["": 23]>
net (float[N, 4, 6, 5] x, float[4, 5, 5] w, float[4, 5, 5] u) => (float[N, 4, 6, 5] y)
<float[6, 6] m = {0, -inf, -inf, -inf, -inf, -inf, 0.5, 1, -inf, -inf, -inf, -inf, 1, 0, 2, -inf,
 -inf, -inf, 0, -1, 1, 0, -inf, -inf, 2, 1, 0, 1, 0, -inf, 0, 0, 1, 0, 0, 1},
 float c = {0.5}, float cap = {2}, int64[4] twice = {0, 0, 1, 1}, int64[2] two = {0, 3},
 int64[1] half = {1}, int64[4] sizes = {0, 4, 6, 5}, float[1, 4, 6, 5] ones = %s>
""" % ("{" + ", ".join(f"{v:.3f}" for v in np.random.default_rng(3).standard_normal(120)) + "}")
MANNERS = {
    "mask": (
        "q = MatMul (x, w) k = Sin (x) y = Attention <scale = 0.5> (q, k, x, m)",
        """q = MatMul (x, w) k = Sin (x) t = Transpose <perm = [0, 1, 3, 2]> (k) s = MatMul (q, t)
           d = Mul (s, c) b = Add (d, m) a = Softmax (b) y = MatMul (a, x)""",
    ),
    "softcap": (
        "q = MatMul (x, w) y = Attention <scale = 0.5, softcap = 2.0> (q, x, x)",
        """q = MatMul (x, w) t = Transpose <perm = [0, 1, 3, 2]> (x) s = MatMul (q, t)
           d = Mul (s, c) e = Div (d, cap) f = Tanh (e) g = Mul (f, cap)
           a = Softmax (g) y = MatMul (a, x)""",
    ),
    "shared heads": (
        """q = MatMul (x, w) k = Gather <axis = 1> (x, two) v = Sin (k)
           y = Attention <scale = 0.5> (q, k, v)""",
        """q = MatMul (x, w) k = Gather <axis = 1> (x, two) v = Sin (k)
           r = Gather <axis = 1> (k, twice) z = Gather <axis = 1> (v, twice)
           t = Transpose <perm = [0, 1, 3, 2]> (r) s = MatMul (q, t)
           d = Mul (s, c) a = Softmax (d) y = MatMul (a, z)""",
    ),
    "constant queries": (
        "k = MatMul (x, w) y = Attention <scale = 0.5> (ones, k, x)",
        """k = MatMul (x, w) t = Transpose <perm = [0, 1, 3, 2]> (k) s = MatMul (ones, t)
           d = Mul (s, c) a = Softmax (d) y = MatMul (a, x)""",
    ),
    "constant keys": (
        "q = MatMul (x, w) y = Attention <scale = 0.5> (q, ones, ones)",
        """q = MatMul (x, w) t = Transpose <perm = [0, 1, 3, 2]> (ones) s = MatMul (q, t)
           d = Mul (s, c) a = Softmax (d) y = MatMul (a, ones)""",
    ),
}


@pytest.mark.parametrize("method", ["lrp_epsilon", "lrp_cp", "excitation_backprop"])
@pytest.mark.parametrize("manner", MANNERS)
def test_attention_in_one_operator_and_spelled_out(manner, method):
    if manner == "constant keys" and method != "lrp_epsilon":
        return  # nothing but the weights depends on the picture
    rows = 1 if "constant" in manner else 2
    x, seed = (
        np.random.default_rng(i).standard_normal((rows, 4, 6, 5)).astype(np.float32) for i in (0, 1)
    )
    found, expected = (
        run(artefact(network(HEAD.replace("N,", f"{rows},") + f"{{ {body} }}"), "y", method,
                     select="seed"), x=x, seed=seed)["attribution"]
        for body in MANNERS[manner]
    )  # fmt: skip
    assert relative_error(found, expected) < 1e-3


def test_weights_that_are_held_are_no_way_to_the_picture():
    body = MANNERS["constant keys"][0]
    with pytest.raises(UnsupportedModel, match="no signal from 'y' reaches 'x'"):
        artefact(network(HEAD.replace("N,", "1,") + f"{{ {body} }}"), "y", "lrp_cp")
