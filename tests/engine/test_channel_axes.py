"""The channel axis of the layer and of the explained layer: known, named, and assumed."""

import numpy as np
import pytest
from artefacts import artefact, run
from engine.nets import pictures, with_random_weights

from onnxplain.engine import Engine
from onnxplain.engine.pictures.inputs import prepare
from onnxplain.graphops.errors import OptionError

PICTURES = pictures(2)
# Channels last, as Swin has them; the heads of `split` are channels split into two axes.
MODEL = with_random_weights("""
<ir_version: 8, opset_import: ["": 17]>
last (float[N, 3, H, W] x, float[6, 3, 3, 3] w1, float[6, 4] w2, float[4, 5] w3)
    => (float[N, 5] scores)
<int64[5] heads = {0, 0, 0, 2, 3}, int64[4] whole = {0, 0, 0, 6}>
{
    c = Conv <strides = [2, 2]> (x, w1)
    t = Transpose <perm = [0, 2, 3, 1]> (c)
    split = Reshape (t, heads)
    r = Relu (split)
    first = Reshape (r, whole)
    m = MatMul (first, w2)
    second = Relu (m)
    mean = ReduceMean <axes = [1, 2], keepdims = 0> (second)
    scores = MatMul (mean, w3)
}
""")


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu", threads=1)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"channel_axis": 3},
        {"channel_axis": -1},
        {"channel_axis": 1},
        {"score_layer": "second"},
        {"score_layer": "second", "score_channel_axis": 1},
        {"score_layer": "second", "score_channel_axis": -1, "channel_axis": 2},
    ],
    ids=str,
)
def test_a_class_activation_map_is_the_artefact_s(engine, options):
    found = engine.explain(
        MODEL, PICTURES, "first", "grad_cam", [3, 2], preprocess="unit", upsample=False, **options
    )
    made = artefact(MODEL, "first", "grad_cam", select="pairs", upsample=False, **options)
    feeds = {"x": np.stack(prepare(MODEL, PICTURES, "unit").rows)}
    feeds |= {"image_index": np.array([0, 0, 1, 1]), "channel": np.array([3, 2, 3, 2])}
    expected = run(made, **feeds)
    wanted = expected["attribution"].reshape(found.attribution.shape)
    np.testing.assert_allclose(found.attribution, wanted, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.score.ravel(), expected["score"], rtol=1e-5)
    assert found.notes == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channel_axis": 4}, "channel axis 4 is not an axis of 'first', whose rank is 4"),
        ({"channel_axis": 0}, "channel axis 0 is not an axis of 'first', whose rank is 4"),
        ({"score_channel_axis": 2}, "score channel axis 2 is not an axis of 'scores', .* is 2"),
    ],
)
def test_an_axis_that_the_layer_lacks(engine, options, message):
    with pytest.raises(OptionError, match=message):
        engine.explain(MODEL, PICTURES, "first", "grad_cam", preprocess="unit", **options)


@pytest.mark.parametrize("method", ["gradient", "activation", "occlusion"])
def test_an_assumed_axis_is_noted(engine, method):
    given = {"preprocess": "unit", "units": [1]}
    (note,) = engine.explain(MODEL, PICTURES[:1], "split", method, **given).notes
    assert "'split'" in note and "axis 4 is assumed" in note and "--channel-axis" in note
    named = engine.explain(MODEL, PICTURES[:1], "split", method, channel_axis=3, **given)
    assert named.notes == ()


def test_an_assumed_axis_of_the_explained_layer_is_noted(engine):
    given = {"preprocess": "unit", "units": [1], "score_layer": "split"}
    (note,) = engine.explain(MODEL, PICTURES[:1], "c", "grad_cam", **given).notes
    assert "'split'" in note and "--score-channel-axis" in note
