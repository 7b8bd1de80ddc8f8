"""What the views draw: colours, captions and places."""

from dataclasses import replace

import numpy as np
import pytest
from engine.viewed import UNIT, pixels
from onnxplain.engine.drawing.attribution import legend

from onnxplain.engine import (
    METHODS,
    Engine,
    Preprocess,
    SideBySide,
)
from onnxplain.engine.drawing.colormaps import diverging, reconstruction
from onnxplain.graphops.errors import OptionError

TITLE = 45  # pixels from a page's top that hold its title


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu")


def test_every_drawing_has_the_picture_s_colours(engine, model, pictures):
    """Of a network that takes blue first, in all the views as in an explanation's own drawing."""
    how = Preprocess(color="BGR", scale=1 / 255)
    alone = engine.explain(model, pictures[0], "s", units=[1], preprocess=how)
    values = alone.attribution[0, 0].transpose(1, 2, 0)[:, :, ::-1]
    expected = reconstruction(values)
    np.testing.assert_array_equal(alone.drawn(0, 0), expected)
    training = engine.training([model], pictures[0], "s", units=[1], preprocess=how)
    np.testing.assert_array_equal(training.explanations[0].drawn(0, 0), expected)
    top = engine.top(model, pictures[:1], "s", [1], preprocess=how)
    both = engine.maps(model, pictures[0], ["deconvnet", "lrp"], "s", [1], preprocess=how)
    for view in (alone, training, both, top):
        page = np.asarray(view.draw())
        shown = expected
        if view is top:
            rows, columns = (slice(*view.rows[0][0].box[i::2]) for i in range(2))
            shown = reconstruction(values[rows, columns])
        assert is_on(page, shown), type(view).__name__


def is_on(page, picture):
    """Tell whether a picture is on a page, enlarged in whole steps."""
    for factor in range(1, 13):
        big = picture.repeat(factor, axis=0).repeat(factor, axis=1)
        height, width = big.shape[:2]
        corners = np.argwhere((page == big[0, 0]).all(axis=2))
        for top, left in corners:
            part = page[top : top + height, left : left + width]
            if part.shape == big.shape and (part == big).all():
                return True
    return False


def test_the_maps_of_relevance_are_signed(engine, model, pictures):
    """Red and blue by the sum over colours; what is carried back as a picture stays one."""
    for method in ("lrp", "integrated_gradients", "input_x_gradient", "occlusion"):
        found = engine.explain(model, pictures[0], method=method, preprocess=UNIT)
        expected = diverging(found.attribution[0, 0].astype(float).sum(axis=0))
        np.testing.assert_array_equal(found.drawn(0, 0), expected)
        notes = legend(found.attribution[0, 0], found.drawn_as, False)
        assert "negative" in [word for note in notes for word in note.ends]


def test_made_pictures_are_drawn_as_pictures(engine, model, pictures):
    """With the preprocessing undone, without an overlay, and beside no picture they are not of."""
    how = Preprocess(color="BGR", scale=1 / 255, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    found = engine.explain(
        model, pictures[0], "s", "activation_maximisation", [1], iterations=3, preprocess=how
    )
    assert found.pictures == ()
    values = found.attribution[0, 0]
    expected = (values * np.reshape(how.std, (3, 1, 1)) + np.reshape(how.mean, (3, 1, 1))) * 255
    expected = np.clip(np.rint(expected.transpose(1, 2, 0)[:, :, ::-1]), 0, 255)
    np.testing.assert_allclose(found.drawn(0, 0).astype(float), expected, atol=1)
    begun = engine.explain(
        model, pictures[0], "s", "activation_maximisation", [1], iterations=1, start="picture",
        preprocess=how,
    )  # fmt: skip
    assert len(begun.pictures) == 1
    assert np.abs(begun.drawn(0, 0).astype(int) - pixels(pictures[0])).mean() < 40


@pytest.mark.parametrize("name", ["gradient", "deconvnet", "activation_maximisation"])
def test_a_method_of_one_s_own_is_drawn_as_it_declares(engine, model, pictures, name):
    """Alone and beside another, whatever its name: the pages differ in their titles only."""
    mine = replace(METHODS[name], name="mine")
    own = {"iterations": 2} if name == "activation_maximisation" else {}
    known, found = (
        engine.explain(model, pictures[0], "s", method, [1, 2], preprocess=UNIT, **own)
        for method in (name, mine)
    )
    assert found.drawn_as == METHODS[name].drawn
    np.testing.assert_array_equal(found.drawn(0, 1), known.drawn(0, 1))
    pages = [np.asarray(one.draw()) for one in (found, known)]
    assert np.flatnonzero((pages[0] != pages[1]).any(axis=(1, 2))).max() < TITLE
    both = [SideBySide((one, known)) for one in (found, known)]
    texts = [[note.text for note in view.legend()] for view in both]
    assert texts[0] == texts[1]
    panels = [view.panel(view.explanations[0], 0, 1).pictures for view in both]
    assert len(panels[0]) == len(panels[1])
    assert found.arrays().keys() == known.arrays().keys()


def test_a_result_with_its_method_s_name_alone_is_drawn_as_that_declares(engine, model, pictures):
    found = engine.explain(model, pictures[0], "s", "deconvnet", [1], preprocess=UNIT)
    drawn = [replace(found, method=m, drawn_as="").drawn_as for m in ("deconvnet", "lrp", "mine")]
    assert drawn == ["reconstruction", "map", "map"]


def test_panels_of_other_units_say_so(engine, model, pictures):
    found = engine.maps(model, pictures[0], ["gradient", "grad_cam"], "s", [3], preprocess=UNIT)
    first, cam = found.explanations
    assert (first.layer, cam.layer) == ("s", "y")
    assert found.panel(first, 0, 0).captions == ("gradient",)
    assert found.panel(cam, 0, 0).captions[0] == "grad_cam of 3"
    assert "grad_cam explains units of y" in [note.text for note in found.legend()]


def test_a_signal_of_activity_has_the_unit_s_own_strength(engine, model, pictures):
    plain = engine.explain(model, pictures[0], method="gradient", units=[2], preprocess=UNIT)
    squared = engine.explain(model, pictures[0], method="lrp", units=[2], preprocess=UNIT)
    assert plain.strength_name == "score"
    assert squared.strength_name == "activity"
    np.testing.assert_allclose(squared.strength, np.abs(plain.strength), rtol=1e-5)


def test_what_cannot_be_drawn_shows_nothing_in_a_notebook(engine, model, pictures):
    vector = engine.explain(model, pictures[0], to="f", method="gradient", preprocess=UNIT)
    assert vector._repr_png_() is None
    with pytest.raises(OptionError, match="not a picture"):
        vector.png()
