"""The default lowering is the plain one: the same bytes, and the textbook operators."""

import pytest
from artefacts import DENSE, SMALL, network
from nets import export

from onnxplain.graphops import METHODS, Options, read_metadata, rewrite

NETWORKS = {
    "small": lambda: network(SMALL),
    "dense": lambda: network(DENSE),
    "wide": lambda: export("wide"),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("method", METHODS)
def test_the_default_is_plain_byte_for_byte(name, method):
    if name == "dense" and METHODS[method].over == "map":
        pytest.skip("no layer with places")
    bounds = {"low": (0.0,), "high": (1.0,)} if method == "lrp_epsilon_gamma_box" else {}
    model = NETWORKS[name]()
    made, plain = (
        rewrite(model, None, method, Options(**bounds, **chosen))
        for chosen in ({}, {"lowering": "plain"})
    )
    assert made.SerializeToString() == plain.SerializeToString()
    assert '"lowering": "plain"' in read_metadata(made)["onnxplain.options"]
    added = [node for node in made.graph.node if node.name.startswith("onnxplain/")]
    assert added and all(node.op_type != "HardSigmoid" for node in added)  # the step of a fast gate
