"""The two ends of a projection: any layer, of any rank, back to any tensor before it."""

import numpy as np
import pytest
import torch
from artefacts import CONVOLUTIONAL, DENSE, SMALL, artefact, images, network, run, weights
from oracle import relative_error

from onnxplain.graphops.errors import OptionError

SIZE = (12, 10)
X = images(3, SIZE)


def test_projecting_back_to_a_tensor_in_between_inverts_one_layer_alone():
    made = artefact(network(SMALL), "c2", select="seed", to="p1")
    seed = images(3, (4, 3), 5, seed=2)
    found = run(made, x=X, seed=seed)["attribution"]
    w2 = torch.from_numpy(weights(made)["w2"].copy())
    expected = torch.nn.functional.conv_transpose2d(torch.from_numpy(seed), w2)
    assert relative_error(found, expected.numpy()) < 1e-6


@pytest.mark.parametrize("method", ["gradient", "deconvnet", "guided_backprop"])
def test_a_fully_connected_network(method):
    model = network(DENSE)
    w1, b1, w2 = weights(model).values()
    x = np.random.default_rng(1).standard_normal((5, 9)).astype(np.float32)
    channel = np.array([0, 1, 2, 3, 1])
    start = w2[:, channel].T
    if method == "deconvnet":
        start = start * (np.maximum(x @ w1 + b1, 0) @ w2)[np.arange(5), channel][:, None]
    passed = {
        "gradient": start * (x @ w1 + b1 > 0),
        "deconvnet": np.maximum(start, 0),
        "guided_backprop": np.maximum(start, 0) * (x @ w1 + b1 > 0),
    }[method]
    made = artefact(model, None, method)
    found = run(made, x=x, channel=channel)["attribution"]
    assert relative_error(found, passed @ w1.T) < 1e-6


def test_layers_of_rank_2_know_only_position_all():
    for position in ("max", "given"):
        with pytest.raises(OptionError, match="rank 2"):
            artefact(network(SMALL), "scores", position=position)
    artefact(network(SMALL), "scores", position="all")


def test_a_target_that_is_not_upstream_is_refused():
    with pytest.raises(OptionError, match="upstream"):
        artefact(network(SMALL), "p1", to="c2")


def test_the_channel_axis_of_a_channels_last_layer():
    """A layer and its transpose hold the same units: only the axis that counts them differs."""
    text = CONVOLUTIONAL.replace("Relu (c1)", "Relu (c1) t = Transpose <perm = [0, 2, 3, 1]> (r1)")
    text = text.replace("Conv (r1, w2)", "Conv (back, w2)")
    text = text.replace(" y =", " back = Transpose <perm = [0, 3, 1, 2]> (t) y =")
    model, channel = network(text), np.array([0, 5, 3])
    for position in ("all", "max"):
        expected = run(artefact(model, "r1", position=position), x=X, channel=channel)
        for axis in (None, 3, -1):
            made = artefact(model, "t", position=position, channel_axis=axis)
            found = run(made, x=X, channel=channel)
            for name in expected:
                np.testing.assert_array_equal(found[name], expected[name])
    for axis in (0, 4, -4):
        with pytest.raises(OptionError, match="channel axis"):
            artefact(model, "t", channel_axis=axis)


def test_the_last_axis_of_a_layer_of_rank_3_counts_its_units():
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    tokens (float[N, 7, 4] x, float[4, 6] w) => (float[N, 7, 6] y)
    { h = MatMul (x, w) y = Relu (h) }
    """
    model = network(text)
    x = np.random.default_rng(0).standard_normal((2, 7, 4)).astype(np.float32)
    w = weights(model)["w"]
    made = artefact(model, "y", position="all")
    found = run(made, x=x, channel=np.array([5, 1]))["attribution"]
    expected = ((x @ w)[[0, 1], :, [5, 1]] > 0)[..., None] * w.T[[5, 1], None]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    by_token = run(
        artefact(model, "y", channel_axis=1, position="all"), x=x, channel=np.array([6, 0])
    )
    only = np.flatnonzero(np.abs(by_token["attribution"][0]).sum(1))
    np.testing.assert_array_equal(only, [6])
