"""Select `predicted`: the class that the network predicts and its own probability, as outputs."""

import json

import numpy as np
import pytest
from artefacts import artefact, images, network, run

from onnxplain.graphops import forward, read_metadata

HEAD = """
<ir_version: 8, opset_import: ["": 17]>
net (FLOAT[N, 3, 12, 12] x, FLOAT[4, 3, 3, 3] w, FLOAT[4, 5] d) => (FLOAT[N, 5] y)
{ c = Conv (x, w) g = GlobalAveragePool (c) f = Flatten (g) s = MatMul (f, d) END }
"""
MAP = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 12, 12] x, float[4, 3, 3, 3] w) => (float[N, 4, 10, 10] y)
{ s = Conv (x, w) y = Softmax <axis = 1> (s) }
"""
CHANNELS_LAST = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 12, 12] x, float[4, 3, 3, 3] w) => (float[N, 10, 10, 4] y)
{ c = Conv (x, w) s = Transpose <perm = [0, 2, 3, 1]> (c) y = Softmax <axis = 3> (s) }
"""
X = 9 * images(6, (12, 12))


def head(end, dtype="float"):
    return network(HEAD.replace("END", end).replace("FLOAT", dtype))


def names(made):
    return [value.name for value in made.graph.output]


@pytest.mark.parametrize("method", ["gradient", "deconvnet", "grad_cam", "smoothgrad", "lrp"])
@pytest.mark.parametrize("end", ["y = Softmax <axis = 1> (s)", "y = Sigmoid (s)"])
def test_the_class_and_its_probability_are_the_network_s(end, method):
    made = artefact(head(end), None, method, select="predicted", target="cpu")
    added = ["class", "probability"]
    assert [n for n in names(made) if n in added] == names(made)[-2:] == added
    found = run(made, x=X)
    assert len(set(found["class"])) > 1, "classes that are all the same show little"
    assert found["class"].dtype == np.int64
    np.testing.assert_array_equal(found["class"], found["y"].argmax(1))
    np.testing.assert_array_equal(found["probability"], found["y"].max(1))


def test_without_the_network_s_outputs_they_stay():
    end = "y = Softmax <axis = 1> (s)"
    made = artefact(head(end), select="predicted", keep_outputs=False)
    assert names(made) == ["attribution", "score", "class", "probability"]
    expected, found = run(head(end), x=X)["y"], run(made, x=X)
    np.testing.assert_array_equal(found["class"], expected.argmax(1))
    np.testing.assert_allclose(found["probability"], expected.max(1), rtol=1e-6)


def test_in_half_precision_the_probability_is_float32():
    made = artefact(head("y = Softmax <axis = 1> (s)", "float16"), select="predicted")
    found = run(made, x=X.astype(np.float16))
    assert found["probability"].dtype == np.float32
    np.testing.assert_array_equal(found["probability"], found["y"].max(1).astype(np.float32))


@pytest.mark.parametrize("end", ["y = Identity (s)", "y = LogSoftmax <axis = 1> (s)"])
def test_there_is_a_class_but_no_probability_without_softmax_or_sigmoid(end):
    made = artefact(head(end), select="predicted")
    assert names(made) == ["y", "attribution", "score", "class"]
    found = run(made, x=X)
    np.testing.assert_array_equal(found["class"], found["y"].argmax(1))


@pytest.mark.parametrize("select", ["channel", "pairs", "fixed"])
def test_other_selects_have_neither(select):
    chosen = {"channels": (1,)} if select == "fixed" else {}
    made = artefact(head("y = Softmax <axis = 1> (s)"), select=select, **chosen)
    assert names(made) == ["y", "attribution", "score"]


@pytest.mark.parametrize(("net", "axis"), [(MAP, 1), (CHANNELS_LAST, 3)], ids=["first", "last"])
def test_of_a_map_of_classes_at_the_strongest_position(net, axis):
    made = artefact(network(net), select="predicted")
    found = run(made, x=X)
    y = np.moveaxis(found["y"], axis, 1)
    where = tuple(found["position"].T)
    own = y[(np.arange(len(X)), found["class"], *where)]
    np.testing.assert_array_equal(found["probability"], own)
    scores = np.moveaxis(run(forward(network(net), "s"), x=X)["activation"], axis, 1)
    own = scores[(np.arange(len(X)), found["class"], *where)]
    np.testing.assert_array_equal(own, scores.reshape(len(X), -1).max(1))
    everywhere = artefact(network(net), select="predicted", position="all")
    assert names(everywhere) == ["y", "attribution", "score", "class"]


@pytest.mark.parametrize(
    ("end", "shape"),
    [
        ("y = Sigmoid (s)", "N, 1"),
        ("last = Constant <value_ints = [1]> () one = Squeeze (s, last) y = Sigmoid (one)", "N"),
    ],
)
def test_of_a_single_logit_it_is_class_0(end, shape):
    """A single Sigmoid output is the probability of the only class, whichever it says."""
    text = HEAD.replace("FLOAT[N, 5]", f"float[{shape}]").replace("FLOAT[4, 5]", "float[4, 1]")
    text = text.replace("END", end).replace("FLOAT", "float")
    found = run(artefact(network(text), select="predicted"), x=X)
    np.testing.assert_array_equal(found["class"], np.zeros(len(X)))
    np.testing.assert_array_equal(found["probability"], found["y"].reshape(-1))


@pytest.mark.parametrize("function", ["Softmax <axis = 0>", "Sigmoid"])
def test_of_a_network_that_drops_the_batch_axis(function):
    text = HEAD.replace("FLOAT[N, 3", "FLOAT[1, 3").replace("FLOAT[N, 5] y", "FLOAT[5] y")
    text = text.replace("END", f"v = Squeeze (s) y = {function} (v)").replace("FLOAT", "float")
    made = artefact(network(text), select="predicted", keep_shape=True)
    for x in X:
        found = run(made, x=x[None])
        np.testing.assert_array_equal(found["class"], [found["y"].argmax()])
        np.testing.assert_allclose(found["probability"], [found["y"].max()], rtol=1e-6)


def test_of_a_network_of_one_image_without_a_batch_axis():
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    net (float[3, 12, 12] x, float[4, 3, 3, 3] w) => (float[4] y)
    { first = Constant <value_ints = [0]> () one = Unsqueeze (x, first) c = Conv (one, w)
      g = GlobalAveragePool (c) s = Squeeze (g) y = Softmax <axis = 0> (s) }
    """
    made = artefact(network(text), select="predicted")
    for x in X:
        found = run(made, x=x)
        np.testing.assert_array_equal(found["class"], [found["y"].argmax()])
        np.testing.assert_array_equal(found["probability"], [found["y"].max()])


def test_names_that_the_network_uses_get_the_prefix():
    end = "probability = Softmax <axis = 1> (s) y = Identity (probability)"
    made = artefact(head(end), select="predicted")
    assert names(made) == ["y", "attribution", "score", "class", "onnxplain_probability"]
    renamed = json.loads(read_metadata(made)["onnxplain.renamed"])
    assert renamed == {"probability": "onnxplain_probability"}
