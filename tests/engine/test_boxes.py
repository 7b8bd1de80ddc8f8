"""The receptive fields of units, against the pixels that the gradient reaches."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from onnxplain.engine import Engine
from onnxplain.graphops.errors import ChannelError

STRIDED = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 21, 26] x, float[4, 3, 3, 5] w, float[2, 4, 2, 2] v) => (float[N, 2] y)
{
    c = Conv <pads = [1, 0, 1, 3], strides = [2, 3]> (x, w)
    d = Conv <dilations = [2, 1]> (c, v)
    m = GlobalAveragePool (d)
    y = Flatten (m)
}
"""
CHANNELS_LAST = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 21, 26, 3] x, float[4, 3, 3, 5] w) => (float[N, 10, 8, 4] y)
{
    t = Transpose <perm = [0, 3, 1, 2]> (x)
    c = Conv <strides = [2, 3]> (t, w)
    y = Transpose <perm = [0, 2, 3, 1]> (c)
}
"""
SIGNAL = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 26] x, float[4, 3, 5] w) => (float[N, 4, 22] y)
{
    y = Conv (x, w)
}
"""
TWO_INPUTS = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 26, 26] a, float[N, 3, 26, 26] x, float[4, 3, 5, 5] w, float[4, 3, 3, 3] v)
    => (float[N, 4, 22, 22] c, float[N, 4, 24, 24] y)
{
    c = Conv (a, w)
    y = Conv (x, v)
}
"""


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu")


def network(text):
    """The network with weights that are all positive, so that no two paths cancel."""
    model, generator = parser.parse_model(text), np.random.default_rng(0)
    inputs = list(model.graph.input)
    del model.graph.input[:]
    for value in inputs:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        if value.name in ("w", "v"):
            weights = generator.uniform(0.5, 1, shape).astype(np.float32)
            model.graph.initializer.append(numpy_helper.from_array(weights, value.name))
        else:
            model.graph.input.append(value)
    onnx.checker.check_model(model)
    return model


def reached(gradient):
    """The box around the pixels of [C, H, W] that are not zero."""
    rows, columns = (np.flatnonzero(gradient.any(axis=(0, axis))) for axis in (2, 1))
    return [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]


def input_values(*shape):
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    ("text", "layer", "size"),
    [(STRIDED, "c", (11, 9)), (STRIDED, "d", (9, 8)), (CHANNELS_LAST, "y", (10, 8))],
)
def test_the_box_holds_what_the_gradient_reaches(engine, text, layer, size):
    """At every position, in the padding's reach too."""
    model, last = network(text), text == CHANNELS_LAST
    x = input_values(*((1, 21, 26, 3) if last else (1, 3, 21, 26)))
    places = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), axis=-1).reshape(-1, 2)
    units = [1] * len(places)
    found = engine.explain(model, x, layer, "gradient", units, position=places[None])
    assert found.box.dtype == np.int64
    assert found.box.shape == (1, len(places), 4)
    for attribution, box in zip(found.attribution[0], found.box[0], strict=True):
        assert reached(np.moveaxis(attribution, -1, 0) if last else attribution) == box.tolist()


def test_the_strongest_position_has_its_box(engine):
    """Of each image and each unit, in one result and in the file of its arrays."""
    x = input_values(3, 3, 21, 26)
    found = engine.explain(network(STRIDED), x, "d", "gradient", [0, 1], position="max")
    for image in range(3):
        for unit in range(2):
            assert reached(found.attribution[image, unit]) == found.box[image, unit].tolist()
    np.testing.assert_array_equal(found.arrays()["box"], found.box)
    assert len(np.unique(found.box.reshape(-1, 4), axis=0)) > 3


def test_a_unit_that_sees_all_has_the_whole_picture(engine):
    x = input_values(1, 3, 21, 26)
    found = engine.explain(network(STRIDED), x, "m", "gradient", [0], position="max")
    assert found.box.tolist() == [[[0, 0, 21, 26]]]


def test_there_is_no_box_without_a_position_or_a_picture(engine):
    x = input_values(1, 3, 21, 26)
    every = engine.explain(network(STRIDED), x, "d", "gradient", [0], position="all")
    assert every.box is None
    assert "box" not in every.arrays()
    assert engine.explain(network(STRIDED), x, method="gradient").box is None
    signal = engine.explain(
        network(SIGNAL), input_values(1, 3, 26), "y", "gradient", [0], position="max"
    )
    assert signal.position is not None
    assert signal.box is None


def test_fields_of_another_input_are_not_taken(engine):
    """The fields that the network tells are those in its first picture."""
    model, x = network(TWO_INPUTS), input_values(1, 3, 26, 26)
    first = engine.explain(model, x, "c", "gradient", [0], position=(2, 3))
    assert first.box.tolist() == [[[2, 3, 7, 8]]]
    assert engine.explain(model, x, "y", "gradient", [0], position=(2, 3)).box is None
    with pytest.raises(ChannelError):
        engine.explain(model, x, "c", "gradient", [0], position=(22, 3))
