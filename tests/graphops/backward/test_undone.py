"""An artefact without what the rewrite added is the network again."""

import numpy as np
import pytest
from artefacts import SMALL, artefact, images, network, run

from onnxplain.graphops import Network, without_explanation
from onnxplain.graphops.errors import UnknownLayer

X = images(2, (12, 10))


def names(values):
    return [value.name for value in values]


@pytest.mark.parametrize("method", ["gradient", "deconvnet", "grad_cam", "smoothgrad", "lrp"])
@pytest.mark.parametrize("select", ["channel", "pairs", "predicted", "seed"])
def test_the_network_with_its_own_outputs(method, select):
    source = network(SMALL)
    made = artefact(source, None, method, select=select)
    undone = without_explanation(made)
    assert names(undone.graph.input) == ["x"]
    assert names(undone.graph.output) == ["y"]
    kinds = [(n.op_type, list(n.output)) for n in source.graph.node]
    assert [(n.op_type, list(n.output)) for n in undone.graph.node] == kinds
    np.testing.assert_array_equal(run(undone, x=X)["y"], run(source, x=X)["y"])


def test_the_layer_where_the_outputs_were_left_out():
    undone = without_explanation(artefact(network(SMALL), "p1", keep_outputs=False))
    assert names(undone.graph.output) == ["p1"]
    assert [n.op_type for n in undone.graph.node] == ["Conv", "Relu", "MaxPool"]


def test_an_output_of_a_network_that_has_an_added_output_s_name():
    text = SMALL.replace("float[N, 4] y", "float[N, 4] score").replace("y = ", "score = ")
    made = artefact(network(text))
    assert names(made.graph.output) == ["score", "attribution", "onnxplain_score"]
    assert names(without_explanation(made).graph.output) == ["score"]


@pytest.mark.parametrize("select", ["channel", "predicted"])
@pytest.mark.parametrize("end", ["Softmax <axis = 1>", "Relu", "Identity"])
def test_the_class_score_of_an_artefact_is_the_network_s(select, end):
    source = network(SMALL.replace("Softmax <axis = 1>", end))
    found = Network(artefact(source, None, "gradient", select=select)).class_score
    assert found == Network(source).class_score


def test_an_artefact_of_an_artefact():
    source = network(SMALL)
    twice = artefact(artefact(source, select="predicted"), None, "deconvnet")
    assert names(twice.graph.output)[-2:] == ["onnxplain_attribution", "onnxplain_score"]
    once = without_explanation(twice)
    assert names(once.graph.output) == ["y", "attribution", "score", "class", "probability"]


def test_metadata_that_anyone_may_have_written():
    made = artefact(network(SMALL))
    for entry in made.metadata_props:
        if entry.key == "onnxplain.renamed":
            entry.value = "[not JSON"
    assert names(without_explanation(made).graph.output) == ["y"]
    made = artefact(network(SMALL), "p1", keep_outputs=False)
    for entry in made.metadata_props:
        if entry.key == "onnxplain.layer":
            entry.value = "nowhere"
    with pytest.raises(UnknownLayer):
        without_explanation(made)
