"""Networks that take one image, without a batch axis."""

import numpy as np
import pytest
import torch
from artefacts import artefact, images, run
from exporters import export_by
from oracle import relative_error
from several_inputs import NoBatchAtAll, OneImage, OneImageToClasses, gradients

from onnxplain.graphops import Network, check
from onnxplain.graphops.errors import OptionError
from onnxplain.graphops.ir import load

torch.set_num_threads(1)
X = images(1, (16, 12))[0]
CASES = [
    (OneImage, "torchscript"),
    (OneImage, "dynamo"),
    (OneImageToClasses, "torchscript"),
    (OneImageToClasses, "dynamo"),
    (NoBatchAtAll, "dynamo"),  # TorchScript writes a MaxPool that ONNX does not have
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0].__name__}-{case[1]}")
def case(request):
    kind, exporter = request.param
    net = kind().eval()
    return net, export_by(exporter, net, torch.from_numpy(X), free=False)


def test_the_attribution_has_the_image_s_shape_and_is_what_autograd_says(case):
    net, model = case
    report = check(model, None, "gradient")
    assert report.ok
    assert (report.batch, report.batch_note) == (
        "fixed", "the input 'x' takes one image, without a batch axis",
    )  # fmt: skip
    found = run(artefact(model), x=X, channel=np.array([2]))
    (expected,) = gradients(net, (X,), lambda y: y.reshape(-1)[2])
    assert relative_error(found["attribution"], expected) < 1e-5
    np.testing.assert_allclose(found["score"], found["y"].reshape(-1)[2:3], rtol=1e-6)


@pytest.mark.parametrize("position", ["max", "given", "region"])
def test_a_layer_with_positions(case, position):
    net, model = case
    layer = next(one for one in Network(model).layers if one.operator == "Conv").tensor
    made = artefact(model, layer, "gradient", position=position)
    added = {"position": np.array([[3, 5]])} if position == "given" else {}
    weights = images(1, (16, 12), 1, seed=4)[0]
    added = {"region": weights} if position == "region" else added
    found = run(made, x=X, channel=np.array([1]), **added)
    seen = []
    handle = net.body[0].register_forward_hook(lambda m, i, y: seen.append(y))
    x = torch.from_numpy(X).requires_grad_()
    net(x)
    handle.remove()
    unit = seen[0].reshape(6, 16, 12)[1]
    if position == "max":
        score = unit.max()
        at = np.unravel_index(unit.detach().numpy().argmax(), unit.shape)
        np.testing.assert_array_equal(found["position"], [at])
    else:
        score = unit[3, 5] if position == "given" else (unit * torch.from_numpy(weights[0])).sum()
    (expected,) = torch.autograd.grad(score, x)
    assert relative_error(found["attribution"], expected.numpy()) < 1e-5
    np.testing.assert_allclose(found["score"], [score.item()], rtol=1e-4)


@pytest.mark.parametrize("method", ["lrp_epsilon", "deeplift", "excitation_backprop"])
def test_the_completeness_error_is_of_the_image_as_a_whole(case, method):
    net, model = case
    options = {"seed_value": "one"}
    found = run(artefact(model, None, method, **options), x=X, channel=np.array([2]))
    assert found["completeness_error"].shape == (1,)
    if method == "deeplift":
        with torch.no_grad():
            change = net(torch.from_numpy(X)) - net(torch.zeros(X.shape))
        total = change.reshape(-1)[2].item() + found["completeness_error"][0]
        np.testing.assert_allclose(found["attribution"].sum(), total, atol=1e-5)
        assert abs(found["completeness_error"][0]) < 1e-5
    else:
        total = found["attribution"].sum() - found["completeness_error"][0]
        np.testing.assert_allclose(total, 1, rtol=1e-4)


def test_class_activation_maps_have_the_picture_s_size(case):
    net, model = case
    layer = next(one for one in Network(model).layers if one.operator == "Conv").tensor
    found = run(artefact(model, layer, "grad_cam"), x=X, channel=np.array([2]))
    seen = []
    handle = net.body[0].register_forward_hook(lambda m, i, y: seen.append(y))
    score = net(torch.from_numpy(X).requires_grad_()).reshape(-1)[2]
    handle.remove()
    (g,) = torch.autograd.grad(score, seen[0])
    maps, g = (a.detach().reshape(6, 16, 12) for a in (seen[0], g))
    expected = torch.relu((g.mean((1, 2), keepdim=True) * maps).sum(0)).numpy()
    assert relative_error(found["attribution"], expected[None, None]) < 1e-5


def test_a_batch_of_signals_is_not_an_image():
    """A rank of 3 alone says nothing: [1, C, L] of a 1-D network has a batch axis."""
    net = torch.nn.Sequential(torch.nn.Conv1d(3, 4, 3), torch.nn.ReLU()).eval()
    model = export_by("dynamo", net, torch.zeros(1, 3, 20), free=False)
    assert check(model, None, "gradient").batch == "freed"
    assert Network(load(model.SerializeToString())).unbatched == frozenset()


def test_channels_and_places_are_known(case):
    """The axes of [C, H, W] as well as those of [1, C, H, W]."""
    _, model = case
    layers = Network(model).layers
    assert not any(one.channel_axis_assumed for one in layers)
    for one in layers:
        channel = int(one.shape[0] == 1)
        assert one.channel_axis == channel
        assert one.spatial_axes == tuple(range(channel + 1, len(one.shape)))


def test_by_default_a_map_lies_over_the_last_layer_with_places(case):
    _, model = case
    layer = [one for one in Network(model).layers if one.operator == "Relu"][-1].tensor
    options = {"upsample": False}
    found = run(artefact(model, None, "grad_cam", **options), x=X, channel=np.array([2]))
    named = run(artefact(model, layer, "grad_cam", **options), x=X, channel=np.array([2]))
    assert found["attribution"].shape == (1, 1, 8, 6)
    np.testing.assert_array_equal(found["attribution"], named["attribution"])


def test_the_evidence_against_a_class(case):
    _, model = case
    found, against = (
        run(artefact(model, None, "gradient", negate=negate), x=X, channel=np.array([2]))
        for negate in (False, True)
    )
    np.testing.assert_allclose(against["attribution"], -found["attribution"], atol=1e-7)
    np.testing.assert_allclose(against["score"], -found["score"])


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_another_channel_axis(axis):
    """In a layer [C, H, W], every axis can be that of the channels."""
    net = NoBatchAtAll().eval()
    model = export_by("dynamo", net, torch.from_numpy(X), free=False)
    layer = next(one for one in Network(model).layers if one.operator == "Relu").tensor
    made = artefact(model, layer, "gradient", channel_axis=axis, position="all")
    x = torch.from_numpy(X).requires_grad_()
    unit = net.body[1](net.body[0](x)).select(axis, 4)
    (expected,) = torch.autograd.grad(unit.sum(), x)
    found = run(made, x=X, channel=np.array([4]))
    assert relative_error(found["attribution"], expected.numpy()) < 1e-5
    np.testing.assert_allclose(found["score"], [unit.sum().item()], rtol=1e-4)
    with pytest.raises(OptionError, match="channel axis 3 is not .* rank is 3: choose 0 to 2"):
        artefact(model, layer, "gradient", channel_axis=3)
