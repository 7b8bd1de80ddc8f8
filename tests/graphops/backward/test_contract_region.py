"""Position `region`: every position of the unit, weighted by the artefact's input `region`."""

import numpy as np
import pytest
import torch
from artefacts import CONVOLUTIONAL, SMALL, artefact, images, network, run
from exporters import export_by
from onnx.reference import ReferenceEvaluator
from oracle import relative_error
from several_inputs import EXPORTERS, gradients
from torch import nn

from onnxplain.graphops import Options, rewrite
from onnxplain.graphops.errors import OptionError

torch.set_num_threads(1)
WEIGHTS = np.random.default_rng(7).standard_normal((2, 9, 8)).astype(np.float32)


class Segmentation(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 5, 1), nn.Tanh()
        )

    def forward(self, x):
        return self.net(x)


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("seed_value", ["one", "activation"])
def test_the_attribution_is_the_gradient_of_the_weighted_sum(exporter, seed_value):
    net, x = Segmentation().eval(), images(2, (9, 8))
    model = export_by(exporter, net, torch.from_numpy(x))
    made = artefact(model, position="region", seed_value=seed_value)
    assert [v.name for v in made.graph.input] == ["x", "region", "channel"]
    found = run(made, x=x, region=WEIGHTS, channel=np.array([4, 1]))
    weights = torch.from_numpy(WEIGHTS)

    def score(y):
        units = torch.stack([y[0, 4], y[1, 1]])
        signal = units.detach() if seed_value == "activation" else 1
        return (weights * signal * units).sum()

    (expected,) = gradients(net, (x,), score)
    assert relative_error(found["attribution"], expected) < 1e-5
    y = net(torch.from_numpy(x)).detach().numpy()
    units = np.stack([y[0, 4], y[1, 1]]) ** (2 if seed_value == "activation" else 1)
    np.testing.assert_allclose(found["score"], (WEIGHTS * units).sum((1, 2)), rtol=1e-4)
    assert "position" not in found


@pytest.mark.parametrize("method", ["gradient", "deconvnet", "guided_backprop", "lrp", "deeplift"])
def test_a_region_of_ones_is_all_positions_and_one_pixel_a_given_position(method):
    x, channel = images(2, (12, 10)), np.array([0, 4])
    feeds = {"x": x, "channel": channel}
    made = artefact(network(SMALL), "r2", method, position="region")
    size = (2, 4, 3)
    every = run(made, **feeds, region=np.ones(size, np.float32))
    expected = run(artefact(network(SMALL), "r2", method, position="all"), **feeds)
    np.testing.assert_allclose(every["attribution"], expected["attribution"], atol=1e-6)
    np.testing.assert_allclose(every["score"], expected["score"], rtol=1e-6)
    dot = np.zeros(size, np.float32)
    dot[:, 2, 1] = 1
    found = run(made, **feeds, region=dot)
    given = artefact(network(SMALL), "r2", method, position="given")
    expected = run(given, **feeds, position=np.array([[2, 1], [2, 1]]))
    np.testing.assert_allclose(found["attribution"], expected["attribution"], atol=1e-6)


@pytest.mark.parametrize("method", ["smoothgrad", "integrated_gradients", "grad_cam"])
def test_sampled_methods_and_maps_take_a_region(method):
    """In two halves, the attributions of methods that are linear in the seed add up."""
    x = images(1, (9, 8))
    rest = {} if method != "integrated_gradients" else {"steps": 4}
    options = rest | ({"samples": 3} if method == "smoothgrad" else {})
    layer = "r1" if method == "grad_cam" else None
    made = artefact(network(CONVOLUTIONAL), layer, method, position="region", **options)
    noise = {"noise": np.zeros((1, 3, 9, 8), np.float32)} if method == "smoothgrad" else {}
    one = np.ones((1, 9, 8), np.float32)
    half = one.copy()
    half[:, 4:] = 0
    parts = [
        run(made, x=x, channel=np.array([2]), region=part, **noise)
        for part in (one, half, one - half)
    ]
    np.testing.assert_allclose(parts[0]["score"], parts[1]["score"] + parts[2]["score"], rtol=1e-4)
    if method != "grad_cam":  # which rectifies
        total = parts[1]["attribution"] + parts[2]["attribution"]
        np.testing.assert_allclose(parts[0]["attribution"], total, atol=1e-5)


def test_a_whole_layer_in_a_region_is_the_gradient_of_its_sum():
    smooth = CONVOLUTIONAL.replace("Relu", "Sigmoid").replace("float[", "double[")
    made = artefact(
        network(smooth), None, "gradient", select="whole", position="region", seed_value="one"
    )
    evaluator, x = ReferenceEvaluator(made), images(1, (9, 8), dtype=np.float64)
    names, region = [o.name for o in made.graph.output], WEIGHTS[:1].astype(np.float64)

    def outputs(x):
        return dict(zip(names, evaluator.run(None, {"x": x, "region": region}), strict=True))

    step = 1e-5 * images(1, (9, 8), seed=1, dtype=np.float64)
    change = (outputs(x + step)["score"] - outputs(x - step)["score"]) / 2
    np.testing.assert_allclose(change, (outputs(x)["attribution"] * step).sum(), rtol=1e-6)
    y = outputs(x)["y"]
    np.testing.assert_allclose(outputs(x)["score"], (region[:, None] * y).sum(), rtol=1e-12)


def test_a_layer_without_positions_has_no_region():
    with pytest.raises(OptionError, match="no positions"):
        rewrite(network(SMALL), "scores", "gradient", Options(position="region"))
