"""A layer's own maps, which the engine makes of one forward run, against the artefact's."""

import numpy as np
import pytest
from artefacts import artefact, run, value_of
from engine.nets import classifier, pictures, with_random_weights

from onnxplain.engine import Engine
from onnxplain.engine.pictures.inputs import prepare
from onnxplain.graphops.errors import OptionError

MODEL = classifier()
PICTURES = pictures(2)
LAST = with_random_weights("""
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, H, W] x, float[4, 3, 3, 3] w) => (float[N, H2, W2, 4] y)
{ c = Conv (x, w) r = Relu (c) y = Transpose <perm = [0, 2, 3, 1]> (r) }
""")


@pytest.fixture(scope="module", params=[2**30, 1])
def engine(request):
    """One with room for all, and one with room for a row in each run."""
    return Engine("cpu", threads=1, memory_bytes=request.param)


@pytest.mark.parametrize(
    ("model", "layer", "options"),
    [
        (MODEL, "r2", {}),
        (MODEL, "r2", {"position": "max"}),
        (MODEL, "r2", {"position": [2, 1]}),
        (MODEL, "r2", {"seed_value": "activation"}),
        (MODEL, "r2", {"position": "max", "seed_value": "activation"}),
        (MODEL, "scores", {}),
        (MODEL, "r2", {"channel_axis": 2}),
        (LAST, "y", {}),
        (LAST, "y", {"position": "max"}),
    ],
)
def test_as_the_artefact_gives_them(engine, model, layer, options):
    channels = [2, 0, 3]
    found = engine.explain(
        model, PICTURES, layer, "activation", channels, preprocess="unit", **options
    )
    place = options.get("position")
    said = {**options, "position": place if place is None or place == "max" else "given"}
    made = artefact(model, layer, "activation", select="pairs", **said)
    feeds = {"x": np.stack(prepare(model, PICTURES, "unit").rows)}
    feeds |= {"image_index": np.repeat([0, 1], 3), "channel": np.array(channels * 2)}
    if said["position"] == "given":
        feeds["position"] = np.tile(np.array(place, np.int64), (6, 1))
    expected = run(made, **feeds)
    shape = expected["attribution"].shape[1:]
    wanted = expected["attribution"].reshape(2, 3, *shape)
    np.testing.assert_allclose(found.attribution, wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.score.ravel(), expected["score"], rtol=1e-5)
    assert np.abs(found.attribution).max() > 0
    if "position" in expected:
        np.testing.assert_array_equal(found.position.reshape(6, -1), expected["position"])


@pytest.mark.parametrize(("model", "layer"), [(MODEL, "r2"), (MODEL, "scores"), (LAST, "y")])
def test_of_a_whole_layer_their_sum(engine, model, layer):
    found = engine.explain(model, PICTURES, layer, "activation", "whole", preprocess="unit")
    rows = np.stack(prepare(model, PICTURES, "unit").rows)
    expected = run(artefact(model, layer, "activation", select="whole"), x=rows)
    wanted = expected["attribution"][:, None]
    np.testing.assert_allclose(found.attribution, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.score.ravel(), expected["score"], rtol=1e-4)


def test_the_network_runs_once_for_a_picture(monkeypatch):
    """And not once for every few units."""
    from onnxplain.engine.runtime.sessions import Session

    runs = []
    real = Session.run
    monkeypatch.setattr(Session, "run", lambda *a: runs.append(1) or real(*a))
    small = Engine("cpu", threads=1, memory_bytes=1)
    found = small.explain(MODEL, PICTURES, "r2", "activation", "all", preprocess="unit")
    assert found.channels.shape[1] > 4
    assert len(runs) == len(PICTURES)


def test_a_position_that_there_is_not(engine):
    with pytest.raises(OptionError, match="no positions"):
        engine.explain(MODEL, PICTURES, "scores", "activation", position="max", preprocess="unit")


@pytest.mark.parametrize(("model", "layer"), [(MODEL, "r2"), (MODEL, None), (LAST, "y")])
def test_values_have_their_channels_first(engine, model, layer):
    found = list(engine.values(model, PICTURES, layer, "unit"))
    rows = np.stack(prepare(model, PICTURES, "unit").rows)
    expected = value_of(model, layer or "scores", x=rows)
    if model is LAST:
        expected = expected.transpose(0, 3, 1, 2)
    assert [v.shape for v in found] == [expected.shape[1:]] * len(PICTURES)
    np.testing.assert_allclose(np.stack(found), expected, rtol=1e-4, atol=1e-5)
