"""The probabilities beside scores: the network's own outputs, and none where it has none."""

import numpy as np
import pytest
from artefacts import network, value_of
from engine.nets import pictures
from engine.viewed import UNIT

from onnxplain.engine import Engine
from onnxplain.engine.pictures.inputs import prepare
from onnxplain.engine.views.predictions import class_probabilities

HEAD = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 12, 12] x, float[4, 3, 3, 3] w, float[4, 5] d) => (float[N, 5] y)
{ c = Conv (x, w) g = GlobalAveragePool (c) f = Flatten (g) s = MatMul (f, d) END }
"""
MAP = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 12, 12] x, float[4, 3, 3, 3] w) => (float[N, 4, 10, 10] y)
{ s = Conv (x, w) y = Softmax <axis = 1> (s) }
"""
PICTURES = pictures(2, 12, 12)


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu", threads=1)


def rows(model):
    return np.stack(prepare(model, PICTURES, "unit").rows)


@pytest.mark.parametrize("end", ["y = Softmax <axis = 1> (s)", "y = Sigmoid (s)"])
@pytest.mark.parametrize("method", ["gradient", "grad_cam", "lrp", "occlusion", "smoothgrad"])
def test_they_are_the_network_s_output(engine, end, method):
    model = network(HEAD.replace("END", end))
    expected = value_of(model, "y", x=rows(model))
    for units in ("top:2", [4, 0], "all"):
        found = engine.explain(model, PICTURES, None, method, units, preprocess="unit")
        own = np.take_along_axis(expected, found.channels, axis=1)
        np.testing.assert_allclose(found.probability, own, rtol=1e-5)
        assert found.probability.dtype == np.float32
    assert engine.explain(model, PICTURES, None, method, "whole").probability is None


@pytest.mark.parametrize("function", ["Softmax <axis = 0>", "Sigmoid"])
@pytest.mark.parametrize(
    "one", ["i = Constant <value_int = 0> () v = Gather (s, i)", "v = Squeeze (s)"]
)
def test_of_a_network_that_drops_the_batch_axis(engine, one, function):
    """The class score is what still has it; the probabilities are the network's, without it."""
    head = HEAD.replace("float[N, 3", "float[1, 3").replace("float[N, 5] y", "float[5] y")
    model = network(head.replace("END", f"{one} y = {function} (v)"))
    found = engine.explain(model, PICTURES, None, "gradient", "all", preprocess="unit")
    viewed = class_probabilities(engine, model, PICTURES, UNIT)
    for image, row in enumerate(rows(model)):
        expected = value_of(model, "y", x=row[None])
        np.testing.assert_allclose(viewed[image], expected, rtol=1e-5)
        own = expected[found.channels[image]]
        np.testing.assert_allclose(found.probability[image], own, rtol=1e-5)


def test_of_a_map_of_classes_at_the_unit_s_position(engine):
    model = network(MAP)
    expected = value_of(model, "y", x=rows(model))
    for position in (None, "max", (3, 7)):
        found = engine.explain(
            model, PICTURES, None, "gradient", [2, 0], position=position, preprocess="unit"
        )
        for image in range(2):
            for unit, channel in enumerate((2, 0)):
                at = tuple(found.position[image, unit])
                own = expected[(image, channel, *at)]
                np.testing.assert_allclose(found.probability[image, unit], own, rtol=1e-5)
    everywhere = engine.explain(model, PICTURES, None, "gradient", 1, position="all")
    assert everywhere.probability is None


@pytest.mark.parametrize(
    "end", ["y = Identity (s)", "y = LogSoftmax <axis = 1> (s)", "y = Relu (s)"]
)
def test_there_are_none_without_softmax_or_sigmoid(engine, end):
    model = network(HEAD.replace("END", end))
    assert engine.explain(model, PICTURES, None, "gradient").probability is None


def test_there_are_none_of_other_layers_and_other_pictures(engine):
    model = network(HEAD.replace("END", "y = Softmax <axis = 1> (s)"))
    assert engine.explain(model, PICTURES, "c", "gradient").probability is None
    made = engine.explain(model, PICTURES, None, "activation_maximisation", iterations=1)
    assert made.probability is None


def test_they_are_in_captions_and_arrays(engine):
    model = network(HEAD.replace("END", "y = Softmax <axis = 1> (s)"))
    found = engine.explain(model, PICTURES, None, "gradient", 3, labels=["a", "b", "c", "cat"])
    share = f"{100 * found.probability[0, 0]:.0f}"
    assert found.captions(0, 0)[0].startswith(f"cat, {share} % (score ")
    np.testing.assert_array_equal(found.arrays()["probability"], found.probability)
