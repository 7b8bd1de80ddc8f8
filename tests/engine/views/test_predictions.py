"""What a network says of pictures in probabilities, however it ends."""

import numpy as np
import pytest
from artefacts import network, value_of
from engine.viewed import NET, UNIT, pixels

from onnxplain.engine import Engine
from onnxplain.engine.views.predictions import class_probabilities

ENDS = {  # the last node of a network, and the probabilities that its scores mean
    "Softmax": ("q = Softmax (y)", lambda s: np.exp(s) / np.exp(s).sum()),
    "Sigmoid": ("q = Sigmoid (y)", lambda s: 1 / (1 + np.exp(-s))),
    "LogSoftmax": ("q = LogSoftmax (y)", lambda s: np.exp(s) / np.exp(s).sum()),
    "scores alone": ("q = Identity (y)", lambda s: np.exp(s) / np.exp(s).sum()),
    "a softmax spelled out": (
        "e1 = Exp (y) t = ReduceSum <keepdims = 1> (e1, one) q = Div (e1, t)",
        lambda s: np.exp(s) / np.exp(s).sum(),
    ),
}


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("classes", [4, 1])
def test_class_probabilities_are_the_network_s_own(engine, pictures, end, classes):
    """A second softmax after the network's, or one where it ends in sigmoids, would be wrong.

    A single number without a Sigmoid is a regression's, and no probability.
    """
    nodes, meant = ENDS[end]
    if classes == 1 and end != "Sigmoid":
        nodes, meant = ENDS["scores alone"][0], lambda s: s
    text = NET.replace("float[N, 4] y)", f"float[N, {classes}] q)")
    text = text.replace("float[6, 4] d", f"float[6, {classes}] d")
    text = text.replace(
        "y = MatMul (f, d)", f"one = Constant <value_ints = [1]> () y = MatMul (f, d) {nodes}"
    )
    model = network(text)
    shown = [pixels(path) for path in pictures]
    found = class_probabilities(engine, model, shown, UNIT)
    for row, picture in zip(found, shown, strict=True):
        x = (picture.transpose(2, 0, 1)[None] / 255).astype(np.float32)
        np.testing.assert_allclose(
            row, meant(value_of(model, "y", x=x)[0].astype(float)), rtol=1e-4
        )


def test_a_map_of_classes_has_the_probability_at_the_strongest_position(engine, pictures):
    model = network("""
    <ir_version: 8, opset_import: ["": 17]>
    net (float[N, 3, 24, 20] x, float[4, 3, 3, 3] w) => (float[N, 4, H, W] q)
    { c = Conv (x, w) q = Softmax <axis = 1> (c) }
    """)
    (found,) = class_probabilities(engine, model, [pixels(pictures[0])], UNIT)
    x = (pixels(pictures[0]).transpose(2, 0, 1)[None] / 255).astype(np.float32)
    np.testing.assert_allclose(found, value_of(model, "q", x=x)[0].max(axis=(1, 2)), rtol=1e-4)
