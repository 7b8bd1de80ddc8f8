"""Nodes that look as if they had a faster form, and have none: both lowerings give the same."""

import numpy as np
import onnx
import pytest
from artefacts import artefact, network, run, session

HEAD = '<ir_version: 8, opset_import: ["": 17]>\nnet '
POOLS = {
    "tiled from outside": "pads = [1, 1, 1, 1]",
    "padding counted": "pads = [1, 1, 1, 1], count_include_pad = 1",
}
TRANSPOSED = {"auto_pad": '"SAME_UPPER"', "output_shape": "[16, 16]"}


@pytest.mark.parametrize("pool", POOLS)
def test_average_pools_with_padding(pool):
    """The sizes are those of windows side by side, 2·3 = 6, but the first begins outside."""
    attrs = f"kernel_shape = [3, 3], strides = [3, 3], {POOLS[pool]}"
    text = "(float[N, 16, 6, 6] x) => (float[N, 16, 2, 2] y)"
    text += f" {{ y = AveragePool <{attrs}> (x) }}"
    seed = np.random.default_rng(0).standard_normal((2, 16, 2, 2)).astype(np.float32)
    assert_same(network(HEAD + text), "gradient", {"seed": seed}, (2, 16, 6, 6), select="seed")


@pytest.mark.parametrize("method", ["lrp", "lrp_epsilon_plus", "excitation_backprop"])
@pytest.mark.parametrize("attribute", TRANSPOSED)
def test_transposed_convolutions_of_the_network(attribute, method):
    """A second forward pass has them as they are, with sizes that pads do not say."""
    attrs = f"strides = [2, 2], {attribute} = {TRANSPOSED[attribute]}"
    text = (
        "(float[N, 3, 8, 8] x, float[16, 3, 1, 1] w1, float[16, 16, 3, 3] w2, float[16, 5] w3)"
        " => (float[N, 5] y) { a = Conv (x, w1)"
        f" c = ConvTranspose <{attrs}> (a, w2)"
        " r = Relu (c) m = GlobalAveragePool (r) f = Flatten (m) y = Gemm (f, w3) }"
    )
    assert_same(network(HEAD + text), method, {"channel": np.array([1, 4])}, (2, 3, 8, 8))


def test_a_signal_copied_along_the_batch():
    text = (
        "(float[2, 16, 6, 5] x, float[16, 16, 3, 3] w) => (float[1, 16, 1, 1] y)"
        " { c = Conv (x, w) r = Relu (c) y = ReduceMean <axes = [0, 2, 3]> (r) }"
    )
    seed = np.random.default_rng(0).standard_normal((1, 16, 1, 1)).astype(np.float32)
    assert_same(network(HEAD + text), "gradient", {"seed": seed}, (2, 16, 6, 5), select="seed")


@pytest.mark.parametrize("border", ["-inf", "-3.4e38"])
def test_max_pools_of_maps_padded_by_the_least_number(border):
    """A pool of padding alone; filters of one element would make NaN of infinity times zero."""
    model = network(
        HEAD + "(float[N, 16, 8, 8] x, float lowest) => (float[N, 16, 4, 4] y)"
        " { pads = Constant <value = int64[8] {0, 0, 0, 0, 0, 0, 1, 1}> ()"
        " p = Pad (x, pads, lowest) y = MaxPool <kernel_shape = [3, 3], strides = [2, 2]> (p) }"
    )
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.float32(border), "lowest"))
    seed = np.random.default_rng(0).standard_normal((2, 16, 4, 4)).astype(np.float32)
    assert_same(model, "gradient", {"seed": seed}, (2, 16, 8, 8), select="seed")


@pytest.mark.parametrize("kernel", [(3, 1), (1, 3)])
def test_max_pools_that_skip_rows_or_columns(kernel):
    """Windows of one element along an axis, two apart there; the signal's sizes are inferred."""
    attrs = f"kernel_shape = [{kernel[0]}, {kernel[1]}], strides = [2, 2]"
    model = network(
        HEAD + "(float[N, 16, 9, 9] x) => (float[N, 16, A, B] y)"
        f" {{ r = Relu (x) p = MaxPool <{attrs}> (r) t = Tanh (p)"
        " s = Shape (p) y = Reshape (t, s) }"
    )
    added = {"channel": np.array([1, 4])}
    assert_same(model, "gradient", added, (2, 16, 9, 9), position="all")


def test_a_factor_per_channel_and_image():
    text = (
        "(float[2, 16, 6, 5] x, float[2, 16, 1, 1] w) => (float[2, 16, 6, 5] y)"
        " { t = Tanh (x) m = Mul (t, w) y = Tanh (m) }"
    )
    added = {"channel": np.array([1, 4])}
    assert_same(network(HEAD + text), "gradient", added, (2, 16, 6, 5), position="all")


def test_no_channels():
    """A convolution of no groups would end the process."""
    text = "(float[0, 3, 5, 4] x) => (float[3, 0, 5, 4] y)"
    text += " { t = Transpose <perm = [1, 0, 2, 3]> (x) y = Acos (t) }"
    made = artefact(network(HEAD + text), "y", select="seed", to="x", lowering="fast")
    assert all(node.op_type != "Conv" for node in made.graph.node)
    feeds = {"x": np.zeros((0, 3, 5, 4), np.float32), "seed": np.zeros((3, 0, 5, 4), np.float32)}
    assert run(session(made, optimized=False), **feeds)["attribution"].shape == (0, 3, 5, 4)


def assert_same(model, method, feeds, size, **options):
    x = np.random.default_rng(1).standard_normal(size).astype(np.float32)
    plain, fast = (
        artefact(model, "y", method, lowering=form, **options) for form in ("plain", "fast")
    )
    expected, found = (run(made, x=x, **feeds)["attribution"] for made in (plain, fast))
    assert found.shape == expected.shape
    assert np.linalg.norm(found - expected) <= 1e-5 * np.linalg.norm(expected)
