"""Several methods side by side: a mapping of explanations, without those that refuse."""

import numpy as np
import pytest
from artefacts import network
from engine.viewed import NET, UNIT

from onnxplain.engine import Engine, SideBySide, explain
from onnxplain.graphops.errors import (
    ChannelError,
    OptionError,
    UnknownLayer,
    UnknownMethod,
    UnsupportedModel,
)

MODEL = network(NET)
# Grad-CAM has no layer with places of the picture to lie over here.
FLAT = network("""
<ir_version: 8, opset_import: ["": 17]>
flat (float[N, 3, 24, 20] x, float[1440, 4] d) => (float[N, 4] y)
{ f = Flatten (x)  y = MatMul (f, d) }
""")
PICTURE = np.random.default_rng(0).integers(0, 256, (24, 20, 3), np.uint8)


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu")


def test_a_list_of_methods_is_a_mapping(engine):
    names = ["gradient", "grad_cam", "lrp"]
    for methods in (names, tuple(names)):
        side = engine.explain(MODEL, PICTURE, method=methods, preprocess=UNIT)
        assert isinstance(side, SideBySide)
        assert (list(side), len(side), side.refused) == (names, 3, {})
        assert "lrp" in side and "deconvnet" not in side
        for name, one in side.items():
            alone = engine.explain(MODEL, PICTURE, method=name, preprocess=UNIT)
            np.testing.assert_array_equal(one.attribution, alone.attribution)
    with pytest.raises(KeyError, match="no method 'grad_cma' .nearest: 'grad_cam'"):
        side["grad_cma"]


def test_a_list_of_one_is_one_too(engine):
    side = explain(MODEL, PICTURE, None, ["gradient"], preprocess=UNIT)
    assert isinstance(side, SideBySide) and list(side) == ["gradient"]


def test_those_that_refuse_are_left_out_with_the_reason(engine):
    side = engine.explain(FLAT, PICTURE, method=["grad_cam", "gradient", "lrp"], preprocess=UNIT)
    assert list(side) == ["gradient", "lrp"]
    with pytest.raises(UnsupportedModel) as alone:
        engine.explain(FLAT, PICTURE, method="grad_cam", preprocess=UNIT)
    assert side.refused == {"grad_cam": " ".join(str(alone.value).split())}
    assert side.notes[0] == f"grad_cam is left out: {side.refused['grad_cam']}"
    with pytest.raises(KeyError, match="grad_cam is left out: "):
        side["grad_cam"]
    assert "left out: grad_cam" in repr(side)
    viewed = engine.maps(FLAT, PICTURE, ["grad_cam", "gradient"], preprocess=UNIT)
    assert viewed.refused.keys() == {"grad_cam"}


def test_an_option_that_one_refuses_leaves_it_out(engine):
    side = engine.explain(
        MODEL, PICTURE, method=["gradient", "integrated_gradients"], to="all", preprocess=UNIT
    )
    assert list(side) == ["gradient"]
    assert "one input at a time" in side.refused["integrated_gradients"]


def test_where_all_refuse_there_is_an_error(engine):
    with pytest.raises(UnsupportedModel, match="^no layer that every path"):  # both say so
        engine.explain(FLAT, PICTURE, method=["grad_cam", "layer_cam"], preprocess=UNIT)
    several = ["integrated_gradients", "smoothgrad"]
    reasons = (
        "none of the methods can.*: integrated_gradients: method 'int.*; smoothgrad: method 's"
    )
    with pytest.raises(OptionError, match=reasons):
        engine.explain(MODEL, PICTURE, method=several, to="all", preprocess=UNIT)
    with pytest.raises(OptionError, match="^no preprocessing 'imagnet'"):
        engine.explain(MODEL, PICTURE, method=["gradient", "lrp"], preprocess="imagnet")


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"method": ["gradient", "grad_cma"]}, UnknownMethod, "grad_cma"),
        ({"method": ["gradient", "gradient"]}, OptionError, "'gradient' is named twice"),
        ({"method": []}, OptionError, "at least one"),
        ({"method": ["gradient", "lrp"], "steps": 3}, OptionError, "takes no steps"),
        ({"method": ["gradient", "smoothgrad"], "samples": 0}, OptionError, "samples 0"),
        ({"method": ["gradient", "lrp"], "smaples": 3}, TypeError, "smaples"),
        ({"method": ["gradient", "lrp"], "layer": "nothing"}, UnknownLayer, "nothing"),
        ({"method": ["gradient", "lrp"], "units": 9}, ChannelError, "no channel 9"),
    ],
)
def test_what_is_wrong_of_the_call_is_an_error(engine, arguments, error, says):
    steps = []
    with pytest.raises(error, match=says):
        engine.explain(
            MODEL, PICTURE, preprocess=UNIT, progress=lambda *step: steps.append(step), **arguments
        )
    assert not steps, "nothing was worked on"


def test_options_go_to_those_that_take_them(engine):
    side = engine.explain(
        MODEL, PICTURE, method=["gradient", "smoothgrad"], samples=2, preprocess=UNIT
    )
    alone = engine.explain(MODEL, PICTURE, method="smoothgrad", samples=2, preprocess=UNIT)
    np.testing.assert_array_equal(side["smoothgrad"].attribution, alone.attribution)


def test_pictures_of_an_iterator_are_read_once(engine):
    side = engine.explain(
        MODEL, iter([PICTURE, PICTURE]), method=["gradient", "lrp"], preprocess=UNIT
    )
    assert [len(one.score) for one in side.values()] == [2, 2]
