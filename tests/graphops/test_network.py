"""A network is read and brought to canonical form once; whatever takes a model takes it."""

import threading

import numpy as np
import onnx
import pytest
from artefacts import SMALL, images, network, run

from onnxplain import graphops
from onnxplain.engine import METHODS, Engine
from onnxplain.graphops import Network, Options, check, convolutionalize, forward, layers, rewrite
from onnxplain.graphops.canonicalize import canonical_graph

FEW = {"masks": 4, "iterations": 2, "samples": 4, "steps": 4}


def taken(method):
    return {option.name for option in METHODS[method].takes}


@pytest.fixture
def counted(monkeypatch):
    """Count what is done once: by name, how often."""
    counts = {}

    def counting(module, name):
        real = getattr(module, name)

        def call(*arguments, **named):
            counts[name] = counts.get(name, 0) + 1
            return real(*arguments, **named)

        monkeypatch.setattr(module, name, call)

    counting(graphops.network, "canonicalize")
    counting(canonical_graph, "resolve")
    return counts


@pytest.mark.parametrize("layer", [None, "r2"])
@pytest.mark.parametrize("method", METHODS)
def test_one_explanation_prepares_once_and_searches_each_name_once(counted, method, layer):
    """A class activation map over a named layer has two names, that of the class score too.

    DeconvNet starts at one position, so that a crop of the picture is explained: a network too.
    """
    pictures = np.random.default_rng(0).integers(0, 256, (2, 20, 20, 3), np.uint8)
    own = {option: few for option, few in FEW.items() if option in taken(method)}
    explain = Engine("cpu", threads=1).explain
    explain(network(SMALL), pictures, layer, method, preprocess="unit", **own)
    is_map = METHODS[method].over == "map"
    crop = method == "deconvnet" and layer is not None  # begins at one position: a second network
    searched = 1 + (is_map and layer is not None) + crop
    assert counted == {"canonicalize": 1 + crop, "resolve": searched}


@pytest.mark.parametrize("layer", [None, "r2"])
@pytest.mark.parametrize("method", ["gradient", "deconvnet", "lrp_epsilon"])
def test_a_target_s_name_is_one_more_to_search(counted, method, layer):
    pictures = np.random.default_rng(0).integers(0, 256, (2, 20, 20, 3), np.uint8)
    explain = Engine("cpu", threads=1).explain
    explain(network(SMALL), pictures, layer, method, to="r1", preprocess="unit")
    assert counted == {"canonicalize": 1, "resolve": 2}


@pytest.mark.parametrize("method", ["smoothgrad", "integrated_gradients"])
def test_a_network_that_begins_at_a_target_inside_is_a_second_one(counted, method):
    """The exception: the copies of the target's value enter a network that begins there.

    It is canonicalised once too, and the target's and the layer's names are searched in it again.
    """
    pictures = np.random.default_rng(0).integers(0, 256, (2, 20, 20, 3), np.uint8)
    explain = Engine("cpu", threads=1).explain
    explain(network(SMALL), pictures, "r2", method, to="r1", preprocess="unit")
    assert counted == {"canonicalize": 2, "resolve": 4}


def test_the_score_s_layer_is_a_name_to_search(counted):
    pictures = np.random.default_rng(0).integers(0, 256, (2, 20, 20, 3), np.uint8)
    explain = Engine("cpu", threads=1).explain
    explain(network(SMALL), pictures, "r1", "grad_cam", score_layer="r2", preprocess="unit")
    assert counted == {"canonicalize": 1, "resolve": 2}


def test_all_that_a_network_is_asked_for_takes_one_canonical_form(counted):
    shared = Network(network(SMALL))
    rewrite(shared, "r2", "gradient")
    check(shared, "r2")
    layers(shared)
    forward(shared, "r2")
    convolutionalize(shared, (20, 20))
    assert counted == {"canonicalize": 1, "resolve": 1}


def test_a_path_a_model_and_a_network_give_the_same(tmp_path):
    model = network(SMALL)
    path = tmp_path / "net.onnx"
    onnx.save(model, path)
    for function in (rewrite, check, forward):
        expected = function(model, "r2")
        for source in (path, str(path), path.read_bytes(), Network(path), Network(model)):
            assert function(source, "r2") == expected
    assert layers(path) == layers(model) == layers(Network(path))
    assert convolutionalize(path, (20, 20)) == convolutionalize(model, (20, 20))


def test_a_rewrite_leaves_the_network_as_it_is():
    """MaxPool gets a second output, nodes are appended and cut off: all of that on a copy."""
    shared = Network(network(SMALL))
    before = rewrite(shared, "r1", "gradient").SerializeToString()
    for method in ("deconvnet", "grad_cam", "lrp", "deeplift", "smoothgrad"):
        rewrite(shared, None if method == "grad_cam" else "r2", method)
    rewrite(shared, "r2", "gradient", Options(select="pairs", keep_shape=False))
    convolutionalize(shared, (20, 20))
    layers(shared, (20, 20))
    assert rewrite(shared, "r1", "gradient").SerializeToString() == before


def test_keep_shape_is_a_form_of_its_own():
    model = network(SMALL.replace("float[N, 3, H, W]", "float[1, 3, 20, 20]"))
    shared = Network(model)
    freed, kept = rewrite(shared, "r2"), rewrite(shared, "r2", options=Options(keep_shape=True))
    first = [m.graph.input[0].type.tensor_type.shape.dim[0] for m in (freed, kept)]
    assert (first[0].dim_param, first[1].dim_value) == ("N", 1)


def test_threads_share_a_network():
    shared, x = Network(network(SMALL)), images(2, (20, 20))
    feeds = {"x": x, "channel": np.array([1, 2])}
    expected = run(rewrite(shared, None, "gradient"), **feeds)["attribution"]
    results = []

    def work():
        results.append(run(rewrite(shared, None, "gradient"), **feeds)["attribution"])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for result in results:
        np.testing.assert_array_equal(result, expected)


def test_a_sequence_output_survives_the_copy():
    """onnx-graphsurgeon's copy would take it for a tensor."""
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    net (float[N, 3, 8, 8] x, float[4, 3, 3, 3] w)
        => (float[N, 4, 6, 6] y, seq(float[N, 1, 6, 6]) parts)
    { y = Conv (x, w)  parts = SplitToSequence <axis = 1> (y) }
    """
    model = network(text)
    made = rewrite(model, "y", "gradient")
    assert {o.name: o.type.WhichOneof("value") for o in made.graph.output}[
        "parts"
    ] == "sequence_type"


def test_a_rewrite_leaves_the_model_as_it_is():
    """A weight that the branch of a decided If alone reads is renamed, in a copy."""
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    net (float[N, 3, 4] x, float[2, 3, 4] w) => (float[N, P] y)
    {
        h = Conv (x, w)  s = Shape (h)  d = Gather (s, two)  c = Equal (d, one)
        y = If (c) <
            then_branch = a () => (float[N, P] t) { t = Squeeze (h, last) },
            else_branch = b () => (float[N, P] e) { e = Identity (h) }
        >
    }
    """
    names = {"one": np.array(1), "two": np.array(2), "last": np.array([2])}
    model = onnx.parser.parse_model(
        text.replace("w)", "w, int64 one, int64 two, int64[1] last)", 1)
    )
    values = names | {"w": np.ones((2, 3, 4), np.float32)}
    for name, value in values.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    del model.graph.input[1:]
    before = model.SerializeToString()
    rewrite(model, "y", "gradient")
    assert model.SerializeToString() == before
