"""LRP's rules written out slowly, and what its artefacts promise beside Zennit's numbers."""

import numpy as np
import onnx
import pytest
from artefacts import SMALL, artefact, images, network, run, weights
from nets import FAMILIES, export
from oracle import relative_error

from onnxplain.graphops import check, rewrite
from onnxplain.graphops.errors import OptionError

ONE_LAYER = """
<ir_version: 8, opset_import: ["": 17]>
one (float[N, 4, 1, 1] x, float[3, 4, 1, 1] w, float[3] b) => (float[N, 3, 1, 1] y)
{ y = Conv (x, w, b) }
"""
LOW, HIGH = -2.5, 3.0


def share(x, w, bias, relevance):
    """Hand relevance [j] down to x [i] by x·w / z, z = Σ x·w + bias, one number at a time."""
    found = np.zeros_like(x)
    for j, r in enumerate(relevance):
        z = sum(x[i] * w[j, i] for i in range(len(x))) + bias[j]
        z += 1e-6 if z >= 0 else -1e-6
        for i in range(len(x)):
            found[i] += x[i] * w[j, i] / z * r
    return found


def split(x, w, bias, relevance, sign):
    """As `share`, but only of the products x·w of one sign."""
    found = np.zeros_like(x)
    for j, r in enumerate(relevance):
        parts = [max(sign * x[i] * w[j, i], 0) * sign for i in range(len(x))]
        z = sum(parts) + sign * max(sign * bias[j], 0)
        z += 1e-6 if z >= 0 else -1e-6
        found += np.array(parts) / z * r
    return found


def in_box(x, w, bias, relevance):
    found = np.zeros_like(x)
    for j, r in enumerate(relevance):
        parts = [
            x[i] * w[j, i] - LOW * max(w[j, i], 0) - HIGH * min(w[j, i], 0) for i in range(len(x))
        ]
        z = sum(parts) + bias[j] - max(bias[j], 0) - min(bias[j], 0)
        found += np.array(parts) / (z + (1e-6 if z >= 0 else -1e-6)) * r
    return found


BY_HAND = {
    "lrp_epsilon": share,
    "lrp_epsilon_plus": lambda *a: split(*a, 1),
    "lrp_epsilon_alpha2_beta1": lambda *a: 2 * split(*a, 1) - split(*a, -1),
    "lrp_epsilon_plus_flat": lambda x, w, b, r: np.full_like(x, sum(r) / len(x)),
    "lrp_epsilon_gamma_box": in_box,
    "excitation_backprop": lambda *a: split(*a, 1),
}


@pytest.mark.parametrize("method", BY_HAND)
def test_one_layer_by_hand(method):
    model = network(ONE_LAYER, seed=3)
    rng = np.random.default_rng(1)
    x = rng.uniform(-2, 2, (2, 4)).astype(np.float32)
    seed = rng.standard_normal((2, 3)).astype(np.float32)
    bounds = {"low": (LOW,), "high": (HIGH,)} if "box" in method else {}
    made = artefact(model, "y", method, select="seed", **bounds)
    found = run(made, x=x[:, :, None, None], seed=seed[:, :, None, None])
    w, b = (weights(model)[n].astype(np.float64) for n in ("w", "b"))
    exact = np.array([BY_HAND[method](*a) for a in zip(x.astype(float), [w[:, :, 0, 0]] * 2,
                                                       [b] * 2, seed, strict=True)])  # fmt: skip
    np.testing.assert_allclose(found["attribution"][:, :, 0, 0], exact, rtol=1e-3, atol=1e-5)
    lost = exact.sum(axis=1) - seed.sum(axis=1)
    np.testing.assert_allclose(found["completeness_error"], lost, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("family", ["alexnet", "vgg", "resnet"])
def test_epsilon_conserves_in_networks_without_biases(family):
    model = export(family, keep_batch_norm=False)
    for tensor in model.graph.initializer:
        if any(n.op_type in ("Conv", "Gemm") and tensor.name in n.input[2:]
               for n in model.graph.node):  # fmt: skip
            zeros = np.zeros(list(tensor.dims), np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(zeros, tensor.name))
    made = artefact(model, None, "lrp_epsilon")
    x = images(2, FAMILIES[family].size)
    found = run(made, x=x, channel=np.array([1, 3]))
    placed = found["attribution"].sum(axis=(1, 2, 3)) - found["completeness_error"]
    assert np.all(np.abs(placed) > 1e-3)
    assert np.all(np.abs(found["completeness_error"]) <= 0.01 * np.abs(placed))


DENSE_AS = {
    "Gemm": "y = Gemm <transB = 1> (h, v, c)",
    "scaled": "y = Gemm <alpha = 0.5, beta = 2.0> (h, half, twice)",
    "MatMul": "p = MatMul (h, t) y = Add (p, c)",
}


@pytest.mark.parametrize("spelled", DENSE_AS)
def test_a_dense_layer_however_it_is_spelled(spelled):
    text = f"""
    <ir_version: 8, opset_import: ["": 17]>
    dense (float[N, 5] x, float[4, 5] w, float[4] b) => (float[N, 3] y)
    <float[3, 4] v = {{1, -2, 3, 1, 0.5, 1, -1, 2, -1, 1, 0.25, -3}},
     float[4, 3] t = {{1, 0.5, -1, -2, 1, 1, 3, -1, 0.25, 1, 2, -3}},
     float[4, 3] half = {{2, 1, -2, -4, 2, 2, 6, -2, 0.5, 2, 4, -6}},
     float[3] c = {{0.5, -1, 2}}, float[3] twice = {{0.25, -0.5, 1}}>
    {{ a = Gemm <transB = 1> (x, w, b) h = Relu (a) {DENSE_AS[spelled]} }}
    """
    reference = text.replace(DENSE_AS[spelled], DENSE_AS["Gemm"])
    x = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    feeds = {"x": x, "channel": np.array([0, 1, 2])}
    for method in ("lrp_epsilon", "lrp_epsilon_plus_flat", "excitation_backprop"):
        found, expected = (
            run(artefact(network(t), "y", method), **feeds)["attribution"]
            for t in (text, reference)
        )
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_many_units_of_few_images():
    model = network(SMALL)
    x = images(2, (21, 19))
    image, channel = np.array([1, 0, 1]), np.array([3, 0, 1])
    for method in ("lrp_epsilon", "lrp_epsilon_plus_flat", "lrp_epsilon_alpha2_beta1"):
        pairs = run(
            artefact(model, None, method, select="pairs"), x=x, image_index=image, channel=channel
        )
        single = artefact(model, None, method)
        for b in range(3):
            one = run(single, x=x[image[b]][None], channel=channel[b : b + 1])
            for name in ("attribution", "completeness_error", "score"):
                np.testing.assert_allclose(pairs[name][b], one[name][0], rtol=1e-4, atol=1e-6)


def test_half_precision_is_near_single():
    x = images(2, FAMILIES["vgg"].size)
    feeds = {"channel": np.array([1, 2])}
    half = artefact(export("vgg", half=True), None, "lrp_epsilon_plus", backward="float32")
    single = artefact(export("vgg"), None, "lrp_epsilon_plus")
    found = run(half, x=x.astype(np.float16), **feeds)["attribution"]
    expected = run(single, x=x.astype(np.float16).astype(np.float32), **feeds)["attribution"]
    assert relative_error(found, expected) < 0.05


def test_weights_are_made_in_the_graph():
    model = network("""
    <ir_version: 8, opset_import: ["": 17]>
    wide (float[N, 64, 9, 9] x, float[128, 64, 3, 3] w, float[64, 128, 3, 3] v) => (float[N, 64, 5, 5] y)
    { a = Conv (x, w) r = Relu (a) y = Conv (r, v) }
    """)  # fmt: skip  # noqa: E501
    made = artefact(model, "y", "lrp_epsilon_alpha2_beta1_flat")
    assert made.ByteSize() < 1.05 * model.ByteSize()


def test_the_box_needs_its_bounds():
    with pytest.raises(OptionError, match="low and high"):
        rewrite(network(SMALL), None, "lrp_epsilon_gamma_box")
    assert check(network(SMALL), None, "lrp_epsilon_gamma_box").ok
