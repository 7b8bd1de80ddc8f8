"""Crops to the receptive field: the projections, scores and positions of the whole picture."""

from collections import OrderedDict

import nets
import numpy as np
import pytest
import torch
from engine.nets import with_random_weights
from oracle import project, relative_error
from torch import nn

from onnxplain.engine import Engine
from onnxplain.engine.methods import single_graph

SIZE = (131, 117)
LAYERS = [
    ("alexnet", "features.0", True),
    ("alexnet", "features.4", False),
    ("vgg", "features.6", True),
    ("vgg", "features.9", False),
    ("resnet", "layer1", True),
    ("resnet", "layer2", False),
    ("mobilenet", "depthwise", True),
    ("inception", "mixed1", False),
    ("inception", "mixed2", True),
    ("densenet", "block1", True),
]


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu", threads=1)


@pytest.fixture
def crops(monkeypatch):
    """Return the crops that each explanation is made from, one entry for each."""
    seen = []

    def find(run):
        seen.append(found(run))
        return seen[-1]

    found = single_graph.find_crops
    monkeypatch.setattr(single_graph, "find_crops", find)
    return seen


@pytest.fixture
def whole(monkeypatch):
    """Return a function that explains from whole pictures."""

    def explain(engine, *args, **choices):
        with monkeypatch.context() as patch:
            patch.setattr(single_graph, "find_crops", lambda run: None)
            return engine.explain(*args, **choices)

    return explain


def up_to(family, layer):
    """Return a net of the family without the modules behind the one that holds the layer."""
    children = dict(nets.build(family).named_children())
    names = list(children)[: list(children).index(layer.split(".")[0]) + 1]
    return nn.Sequential(OrderedDict((name, children[name]) for name in names)).eval()


def images(count, size=SIZE, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, 3, *size)).astype(np.float32)


def value(net, layer, x):
    """Return a module's output in float64."""
    seen = []
    hook = net.get_submodule(layer).register_forward_hook(lambda m, i, y: seen.append(y))
    with torch.no_grad():
        net.double()(torch.tensor(x).double())
    hook.remove()
    return seen[0].numpy()


def places(sizes):
    """Return positions at the corners, at the borders and inside."""
    height, width = sizes
    rows, columns = (0, 1, height // 2, height - 1), (0, width // 3, width - 2, width - 1)
    return np.array([(row, column) for row in rows for column in columns], np.int64)


@pytest.mark.parametrize("method", ["gradient", "deconvnet", "guided_backprop"])
@pytest.mark.parametrize(("family", "layer", "free"), LAYERS)
def test_units_everywhere_are_projected_as_pytorch_does(
    engine, crops, whole, family, layer, free, method
):
    net, (x,) = up_to(family, layer), images(1)
    axes = {0: "N", 2: "H", 3: "W"} if free else {0: "N"}
    model = nets.to_onnx(net, torch.zeros(2, 3, *SIZE), axes)
    y = value(net, layer, x[None])
    positions = places(y.shape[2:])
    channels = [int(c) for c in np.arange(len(positions)) % y.shape[1]]
    arguments = (model, x[None], layer, method, channels)
    choices = {"position": positions[None], "seed_value": "one"}
    found = engine.explain(*arguments, **choices)
    assert crops[-1] is not None
    errors = []
    for unit, (channel, (row, column)) in enumerate(zip(channels, positions, strict=True)):

        def alone(z, at=(0, channel, row, column)):
            signal = torch.zeros_like(z)
            signal[at] = 1
            return signal

        exact = project(net, layer, torch.tensor(x[None]).double(), alone, method).numpy()[0]
        if np.any(exact):
            errors.append(relative_error(found.attribution[0, unit], exact))
        else:
            assert not np.any(found.attribution[0, unit])
        np.testing.assert_allclose(found.score[0, unit], y[0, channel, row, column], 1e-3, 1e-4)
    assert np.median(errors) <= 1e-4
    expected = whole(engine, *arguments, **choices)
    same(found, expected)


@pytest.mark.parametrize("seed_value", ["one", "activation"])
@pytest.mark.parametrize("negate", [False, True])
@pytest.mark.parametrize("method", ["gradient", "input_x_gradient"])
@pytest.mark.parametrize("units", ["top:3", [5, 0]])
def test_the_strongest_position_is_that_of_the_whole_picture(
    engine, crops, whole, units, method, negate, seed_value
):
    net, rows = up_to("alexnet", "features.4"), images(3)
    model = nets.to_onnx(net, torch.zeros(2, 3, *SIZE), {0: "N"})
    arguments = (model, rows, "features.4", method, units)
    choices = {"position": "max", "negate": negate, "seed_value": seed_value}
    found = engine.explain(*arguments, **choices)
    assert crops[-1] is not None
    y = value(net, "features.4", rows)
    for image in range(3):
        for unit, channel in enumerate(found.channels[image]):
            place = np.unravel_index(y[image, channel].argmax(), y.shape[2:])
            assert tuple(found.position[image, unit]) == place
            score = y[image, channel].max() ** (2 if seed_value == "activation" else 1)
            np.testing.assert_allclose(found.score[image, unit], -score if negate else score, 1e-4)
    same(found, whole(engine, *arguments, **choices))


def test_little_memory_and_pictures_of_several_sizes_give_the_same(crops, whole):
    net = up_to("resnet", "layer1")
    model = nets.to_onnx(net, torch.zeros(2, 3, *SIZE), {0: "N", 2: "H", 3: "W"})
    roomy, tight = (Engine("cpu", threads=1, memory_bytes=n) for n in (2**30, 1))
    rng = np.random.default_rng(0)
    pictures = [
        rng.integers(0, 256, (*size, 3), np.uint8) for size in ((90, 117), (90, 117), (131, 75))
    ]
    choices = {"preprocess": "unit", "position": "max"}
    arguments = (model, pictures, "layer1", "deconvnet", [1, 2, 7])
    found = [list(e.explain_units(*arguments, **choices)) for e in (roomy, tight)]
    assert all(one is not None for one in crops)
    assert [p.first_image for p in found[0]] == [0, 1, 2]
    assert [p.first_image for p in found[1]] == [0] * 3 + [1] * 3 + [2] * 3
    for image, picture in enumerate(pictures):
        expected = whole(roomy, model, picture, "layer1", "deconvnet", [1, 2, 7], **choices)
        same(found[0][image], expected)
        pieces = found[1][3 * image : 3 * image + 3]
        joined = np.concatenate([p.attribution for p in pieces], axis=1)
        np.testing.assert_allclose(joined, expected.attribution, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("family", "layer", "choices"),
    [
        ("mobilenet", "pointwise", {"position": "max"}),  # squeeze and excitation sees all
        ("mobilenet", "depthwise", {"position": "all"}),
        ("mobilenet", "depthwise", {"position": "max", "to": "stem"}),
        ("mobilenet", "depthwise", {"position": "max", "method": "lrp"}),
        ("alexnet", "features.7", {"position": "max"}),  # its crop is half of the picture
    ],
)
def test_whole_pictures_are_run_where_crops_are_not_exact_or_not_cheaper(
    engine, crops, family, layer, choices
):
    net = up_to(family, layer)
    model = nets.to_onnx(net, torch.zeros(2, 3, *SIZE), {0: "N"})
    method = choices.pop("method", "gradient")
    engine.explain(model, images(1), layer, method, [0], **choices)
    assert crops == [None]


def test_a_fixed_batch_is_run_as_it_is(engine, crops):
    net = up_to("alexnet", "features.0")
    model = nets.to_onnx(net, torch.zeros(2, 3, *SIZE))
    engine.explain(model, images(1), "features.0", "gradient", [0], position="max")
    assert crops == [None]


def test_pictures_with_channels_last_are_cropped_along_their_own_axes(engine, crops, whole):
    model = with_random_weights("""
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 90, 70, 3] x, float[4, 3, 5, 3] w) => (float[N, W2, 4, H2] y)
{
    t = Transpose <perm = [0, 3, 1, 2]> (x)
    c = Conv <strides = [2, 1]> (t, w)
    y = Transpose <perm = [0, 3, 1, 2]> (c)
}
""")
    rows = np.random.default_rng(0).standard_normal((2, 90, 70, 3)).astype(np.float32)
    for position in ("max", (3, 40)):
        arguments = (model, rows, "y", "gradient", [0, 3])
        choices = {"position": position, "channel_axis": 2}
        found = engine.explain(*arguments, **choices)
        (crop,) = crops[-1].values()
        assert crop.size == (6, 3)
        same(found, whole(engine, *arguments, **choices))
        assert np.count_nonzero(found.attribution[0, 0]) == 5 * 3 * 3


def test_where_a_crop_gives_no_finite_signal_the_whole_picture_is_run(engine, crops, whole):
    """A sum of neighbours is zero at the border of a crop whose first column is zero."""
    model = with_random_weights("""
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 1, 30, 30] x, float[2, 1, 3, 3] w) => (float[N, 2, 28, 28] y)
<float[1, 1, 1, 2] both = {1, 1}>
{ sum = Conv <pads = [0, 1, 0, 0]> (x, both) part = Div (x, sum) y = Conv (part, w) }
""")
    x = np.zeros((1, 1, 30, 30), np.float32)
    x[..., ::2] = 5
    for column in (0, 10, 11):
        choices = {"position": (4, column), "seed_value": "one"}
        found = engine.explain(model, x, "y", "gradient", [0, 1], **choices)
        assert crops[-1] is not None
        expected = whole(engine, model, x, "y", "gradient", [0, 1], **choices)
        same(found, expected)
        assert np.isfinite(found.attribution).all()


def same(found, expected):
    np.testing.assert_array_equal(found.position, expected.position)
    np.testing.assert_allclose(found.score, expected.score, rtol=1e-5, atol=1e-6)
    largest = np.abs(expected.attribution).max()
    np.testing.assert_allclose(found.attribution, expected.attribution, atol=1e-6 * largest, rtol=0)
