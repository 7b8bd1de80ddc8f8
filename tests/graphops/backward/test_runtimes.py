"""Artefacts made for one runtime: forms of unpooling that it has, and weights that it can pack."""

import json
from collections import defaultdict

import numpy as np
import pytest
from artefacts import artefact, images, network, run, weights

from onnxplain.graphops import check, read_metadata
from onnxplain.graphops.errors import OptionError

# One pool whose windows overlap, one whose do not; square weights in Convs, a Gemm and a MatMul.
NET = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 4, 19, 17] x, float[4, 4, 3, 3] w1, float[4, 4, 3, 3] w2, float[64, 64] w3,
     float[64, 64] w4) => (float[N, 64] y)
{
    c1 = Conv <pads = [1, 1, 1, 1]> (x, w1)
    r1 = Relu (c1)
    p1 = MaxPool <kernel_shape = [3, 3], strides = [2, 2]> (r1)
    c2 = Conv <pads = [1, 1, 1, 1]> (p1, w2)
    p2 = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (c2)
    f = Flatten (p2)
    h = Gemm <transB = 1> (f, w3)
    r2 = Relu (h)
    y = MatMul (r2, w4)
}
"""
FORMS = {  # of the pool whose windows overlap, and of the other
    "cpu": ("scatter", "maxunpool"),
    "cuda": ("scatter", "scatter"),
    "openvino": ("scatter", "scatter"),
    "web": ("scatter", "maxunpool"),
    "tensorrt": ("portable", "portable"),
}
MISSING = {  # what the runtimes have no kernel for
    "cuda": {"MaxUnpool"},
    "openvino": {"MaxUnpool"},
    "tensorrt": {"MaxUnpool", "ScatterElements"},
}


def operators(model):
    return {node.op_type for node in model.graph.node}


@pytest.mark.parametrize("target", FORMS)
def test_auto_takes_a_form_that_the_target_has(target):
    report = check(network(NET), "y", "gradient", target=target)
    assert tuple(n.unpool for n in report.nodes if n.operator == "MaxPool") == FORMS[target]
    assert report.warnings == ()
    made = artefact(network(NET), "y", target=target)
    assert not operators(made) & MISSING.get(target, set())
    assert json.loads(read_metadata(made)["onnxplain.options"])["target"] == target


def test_tensorrt_needs_no_indices_of_the_pool():
    made = artefact(network(NET), "y", target="tensorrt")
    pools = [node for node in made.graph.node if node.op_type == "MaxPool"]
    assert [len(node.output) for node in pools] == [1, 1]


@pytest.mark.parametrize(
    ("target", "unpool", "warned"),
    [
        ("cpu", "scatter", 0),
        ("cpu", "maxunpool", 1),  # of the windows that overlap
        ("web", "portable", 0),
        ("cuda", "maxunpool", 2),
        ("openvino", "maxunpool", 2),
        ("tensorrt", "scatter", 2),
        ("tensorrt", "portable", 0),
    ],
)
def test_a_form_that_is_asked_for_is_taken(target, unpool, warned):
    report = check(network(NET), "y", "gradient", unpool=unpool, target=target)
    forms = [n.unpool for n in report.nodes if n.operator == "MaxPool"]
    assert forms == [unpool, unpool]
    assert len(report.warnings) == warned
    if target != "cpu":
        assert all(target in w and unpool in w for w in report.warnings)


@pytest.mark.parametrize("method", ["gradient", "deconvnet", "guided_backprop"])
@pytest.mark.parametrize("target", ["cuda", "openvino", "web", "tensorrt"])
def test_every_target_has_the_same_answer(target, method):
    feeds = {"x": images(2, (19, 17), channels=4), "channel": np.array([5, 1])}
    expected = run(artefact(network(NET), "y", method), **feeds)
    found = run(artefact(network(NET), "y", method, target=target), **feeds)
    assert np.abs(expected["attribution"]).max() > 0.01
    np.testing.assert_allclose(found["attribution"], expected["attribution"], atol=1e-6)
    np.testing.assert_array_equal(found["score"], expected["score"])


def test_for_openvino_no_weight_is_read_in_two_ways():
    """It packs the weight for one of them, and takes that for the other where it is square."""
    model = network(NET)
    before, after = (_ways(artefact(model, "y", target=t)) for t in ("cuda", "openvino"))
    assert {name: len(ways) for name, ways in before.items()} == dict.fromkeys(weights(model), 2)
    assert {len(ways) for ways in after.values()} == {1}
    assert len(after) == 2 * len(before)


def test_the_second_forward_pass_of_pairs_shares_its_weights_for_openvino():
    mixing = """
    <ir_version: 8, opset_import: ["": 17]>
    net (float[N, 4, 9, 7] x, float[4, 4, 3, 3] w) => (float[4, M] flat)
    <int64[2] rows = {4, -1}>
    {
        c = Conv <pads = [1, 1, 1, 1]> (x, w)
        turned = Transpose <perm = [1, 0, 2, 3]> (c)
        back = Transpose <perm = [1, 0, 2, 3]> (turned)
        r = Relu (back)
        flat = Reshape (turned, rows)
    }
    """
    made = artefact(network(mixing), "r", select="pairs", target="openvino")
    assert [n.op_type for n in made.graph.node].count("Conv") > 1, "there is no second pass"
    assert {len(ways) for ways in _ways(made).values()} == {1}
    plain = artefact(network(mixing), "r", select="pairs")
    feeds = {"x": images(2, (9, 7), channels=4), "channel": np.array([1, 3, 0])}
    feeds["image_index"] = np.array([1, 0, 1])
    found, expected = run(made, **feeds)["attribution"], run(plain, **feeds)["attribution"]
    assert np.abs(expected).max() > 0.01
    np.testing.assert_array_equal(found, expected)


def test_the_file_does_not_grow_by_the_weights():
    sizes = [artefact(network(NET), "y", target=t).ByteSize() for t in ("cuda", "openvino")]
    assert sizes[1] - sizes[0] < min(
        w.nbytes for w in weights(network(NET)).values() if w.ndim == 2
    )


def test_an_unknown_target_is_refused():
    for refused in (lambda: artefact(network(NET), "y", target="openvinno"),
                    lambda: check(network(NET), "y", target="openvinno")):  # fmt: skip
        with pytest.raises(OptionError, match="'openvinno'.*'openvino'"):
            refused()


def _ways(model):
    """Return for each float tensor made of weights alone in how many ways operators read it."""
    made_of = {i.name for i in model.graph.input}
    matrices = {name for name, value in weights(model).items() if value.ndim > 1}
    ways = defaultdict(set)
    for node in model.graph.node:
        if made_of & set(node.input):
            made_of |= set(node.output)
        elif matrices & set(node.input) and node.op_type == "Neg":
            matrices |= set(node.output)
        if node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul", "Transpose"):
            flags = sorted((a.name, a.i) for a in node.attribute if a.name in ("transA", "transB"))
            for place, name in enumerate(node.input):
                if name in matrices:
                    ways[name].add((node.op_type, place, *flags))
    return ways
