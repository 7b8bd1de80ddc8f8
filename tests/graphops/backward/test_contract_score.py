"""What the artefact's attribution and score mean: where the signal starts, and its size there."""

import numpy as np
import pytest
from artefacts import SMALL, artefact, images, network, run, value_of
from onnx.reference import ReferenceEvaluator
from oracle import relative_error

SIZE = (12, 10)
X = images(3, SIZE)


@pytest.mark.parametrize(
    ("method", "outputs", "score_is"),
    [
        ("gradient", ["y", "attribution", "score"], "sum"),
        ("guided_backprop", ["y", "attribution", "score"], "sum"),
        ("deconvnet", ["y", "attribution", "score", "position"], "max²"),
    ],
)
def test_defaults_of_the_methods(method, outputs, score_is):
    """Deconvnet starts from the strongest activation, the others from one at every position."""
    found = run(artefact(network(SMALL), "r2", method), x=X, channel=np.array([0, 4, 2]))
    assert list(found) == outputs
    layer = value_of(network(SMALL), "r2", x=X)
    unit = layer[np.arange(3), [0, 4, 2]].reshape(3, -1)
    expected = unit.sum(1) if score_is == "sum" else unit.max(1) ** 2
    np.testing.assert_allclose(found["score"], expected, rtol=1e-5)
    if "position" in found:
        rows, columns = np.unravel_index(unit.argmax(1), layer.shape[2:])
        np.testing.assert_array_equal(found["position"], np.stack([rows, columns], 1))


@pytest.mark.parametrize(
    ("layer", "position"), [("scores", "all"), ("r2", "all"), ("r2", "max"), ("r2", "given")]
)
@pytest.mark.parametrize(("seed_value", "power"), [("one", 1), ("activation", 2)])
def test_attribution_is_the_gradient_of_the_score(layer, position, seed_value, power):
    """In float64 on ONNX's reference evaluator, against differences of `score` itself.

    From the activation a itself, score is Σa² and the attribution is the gradient of its half.
    """
    smooth = SMALL.replace("Relu", "Sigmoid").replace("float[", "double[")
    smooth = smooth.replace("MaxPool", "AveragePool")
    made = artefact(network(smooth), layer, position=position, seed_value=seed_value)
    evaluator = ReferenceEvaluator(made)
    feeds = {"x": images(2, (8, 7), dtype=np.float64), "channel": np.array([1, 3])}
    if position == "given":
        feeds["position"] = np.array([[1, 0], [0, 0]])
    names = [o.name for o in made.graph.output]

    def outputs(x):
        return dict(zip(names, evaluator.run(None, feeds | {"x": x}), strict=True))

    gradient = outputs(feeds["x"])["attribution"]
    assert np.abs(gradient).max() > 1e-3
    for seed in range(5):
        step = 1e-5 * images(2, (8, 7), seed=seed + 1, dtype=np.float64)
        ahead, behind = outputs(feeds["x"] + step)["score"], outputs(feeds["x"] - step)["score"]
        expected = (gradient * step).sum((1, 2, 3)) * power
        np.testing.assert_allclose((ahead - behind) / 2, expected, rtol=1e-6, atol=1e-12)


def test_a_position_given_is_the_signal_of_that_place_alone():
    """The sum over all positions of one-position projections is the projection of all of them."""
    model = network(SMALL)
    whole = run(artefact(model, "r2", position="all"), x=X[:1], channel=np.array([4]))
    made, total = artefact(model, "r2", position="given"), 0
    for row in range(4):
        for column in range(3):
            place = np.array([[row, column]])
            found = run(made, x=X[:1], channel=np.array([4]), position=place)
            np.testing.assert_array_equal(found["position"], place)
            total = total + found["attribution"]
    assert relative_error(total, whole["attribution"]) < 1e-5


def test_negative_positions_count_from_the_last():
    made = artefact(network(SMALL), "c2", position="given")
    channel, places = np.zeros(3, np.int64), np.array([[3, 2], [0, 1], [2, 0]])
    expected = run(made, x=X, channel=channel, position=places)["attribution"]
    found = run(made, x=X, channel=channel, position=places - [4, 3])["attribution"]
    assert np.abs(expected).max() > 0
    np.testing.assert_array_equal(found, expected)
