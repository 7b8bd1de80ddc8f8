"""Where each image has one unit, the graph gathers nothing, and the numbers are the same."""

import numpy as np
import pytest
from engine.nets import with_random_weights

from onnxplain.engine import Engine
from onnxplain.engine.methods import single_graph
from onnxplain.engine.runtime import plans

NET = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 24, 24] x, float[16, 3, 3, 3] w1, float[16] b1, float[32, 16, 3, 3] w2,
     float[32, 5] w3)
    => (float[N, 5] scores)
{
    c1 = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)
    r1 = Relu (c1)
    p1 = MaxPool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (r1)
    c2 = Conv <pads = [1, 1, 1, 1]> (p1, w2)
    r2 = Relu (c2)
    g = GlobalAveragePool (r2)
    f = Flatten (g)
    scores = MatMul (f, w3)
}
"""
MODEL = with_random_weights(NET)
X = np.random.default_rng(3).standard_normal((3, 3, 24, 24)).astype(np.float32)
REGION = np.zeros((24, 24), np.uint8)
REGION[4:15, 6:20] = 255


@pytest.fixture
def rewritten(monkeypatch):
    """The graphs that the engine runs for backward passes."""
    graphs, rewrite = [], plans.rewrite

    def recorded(*given):
        graphs.append(rewrite(*given))
        return graphs[-1]

    monkeypatch.setattr(plans, "rewrite", recorded)
    return graphs


def gathers(artefact):
    """Count the copies of tensors, one per unit: Gather, or GatherND of the layer."""
    return sum("image_index" in node.input for node in artefact.graph.node)


@pytest.mark.parametrize(
    ("layer", "method", "choices"),
    [
        (None, "gradient", {}),
        ("r2", "deconvnet", {}),
        ("c2", "guided_backprop", {"position": (3, 4)}),
        ("r2", "gradient", {"position": "all", "seed_value": "activation"}),
        ("c2", "gradient", {"region": REGION}),
        ("r2", "grad_cam", {"score_layer": "scores"}),
    ],
)
@pytest.mark.parametrize("memory", [2**30, 1])
def test_one_unit_per_image_is_the_same_as_among_several(
    monkeypatch, rewritten, layer, method, choices, memory
):
    monkeypatch.setattr(single_graph, "find_crops", lambda run: None)  # whole pictures
    engine = Engine("cpu", threads=1, memory_bytes=memory)
    both = engine.explain(MODEL, X, layer, method, [4, 1], **choices)
    alone = [engine.explain(MODEL, X, layer, method, [unit], **choices) for unit in (4, 1)]
    assert [bool(gathers(artefact)) for artefact in rewritten] == [True, False]
    for unit, one in enumerate(alone):
        expected = both.attribution[:, unit]
        assert np.abs(expected).max() > 0
        scale = np.abs(expected).max()
        np.testing.assert_allclose(one.attribution[:, 0], expected, rtol=1e-4, atol=1e-6 * scale)
        np.testing.assert_allclose(one.score[:, 0], both.score[:, unit], rtol=1e-5)
        if both.position is not None:
            np.testing.assert_array_equal(one.position[:, 0], both.position[:, unit])


def test_a_default_explanation_gathers_no_activations(rewritten):
    engine = Engine("cpu", threads=1)
    engine.explain(MODEL, X)
    engine.explain(MODEL, X, method="smoothgrad", units=[0], samples=2)
    assert [gathers(artefact) for artefact in rewritten] == [0, 0]
