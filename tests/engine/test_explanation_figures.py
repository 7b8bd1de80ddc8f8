"""What the figures of explanations show: colours, titles, captions, places."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from engine.painted import painted, texts_of
from engine.viewed import UNIT, pixels
from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image

from onnxplain.engine import METHODS, Engine, Preprocess, SideBySide
from onnxplain.engine.drawing import Style
from onnxplain.graphops.errors import ChannelError, OptionError

STYLE = Style()
SIZE = 24, 20  # the network's pictures
ZOOM = 8


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu")


@pytest.fixture(scope="module")
def broad(tmp_path_factory):
    """A picture twice as broad as the network's input."""
    path = tmp_path_factory.mktemp("broad") / "broad cat.png"
    values = np.random.default_rng(3).integers(0, 256, (24, 40, 3), np.uint8)
    Image.fromarray(values).save(path)
    return path


def shown(panel):
    """The colour of each pixel of a panel of the network's picture."""
    height, width = SIZE
    return painted(panel, width * ZOOM, height * ZOOM)[0][ZOOM // 2 :: ZOOM, ZOOM // 2 :: ZOOM]


def test_every_drawing_has_the_picture_s_colours(engine, model, pictures):
    """Of a network that takes blue first, in all the views as in an explanation's own drawing."""
    how = Preprocess(color="BGR", scale=1 / 255)
    alone = engine.explain(model, pictures[0], "s", units="top:1", preprocess=how)
    units = alone.channels[0].tolist()
    values = alone.attribution[0, 0].transpose(1, 2, 0)[:, :, ::-1].astype(np.float64)
    limit = np.percentile(np.abs(values), 99.5)
    expected = 127.5 + 127.5 * np.clip(values / limit, -1, 1)
    assert values.any()
    training = engine.training([model], pictures[0], "s", units=units, preprocess=how)
    both = engine.maps(model, pictures[0], ["deconvnet", "lrp"], "s", units, preprocess=how)
    for view, panel in ((alone, 1), (training, 0), (both, 1)):
        drawn = shown(view.page(STYLE).panels[panel])
        np.testing.assert_allclose(drawn, expected, atol=1.1, err_msg=type(view).__name__)


def test_the_maps_of_relevance_are_signed(engine, model, pictures):
    """Red and blue by the sum over colours; what is carried back as a picture stays one."""
    for method in ("lrp", "integrated_gradients", "input_x_gradient", "occlusion"):
        found = engine.explain(model, pictures[0], method=method, preprocess=UNIT)
        summed = found.attribution[0, 0].astype(np.float64).sum(axis=0)
        scaled = np.clip(summed / np.percentile(np.abs(summed), 99.5), -1, 1)
        expected = 255 * colormaps["RdBu_r"]((1 + scaled) / 2)[:, :, :3]
        np.testing.assert_allclose(shown(found.panel(0, 0, STYLE)), expected, atol=6)
        assert any("Maps, each scaled by its own" in text for text in texts_of(found.figure()))


def test_made_pictures_are_drawn_as_pictures(engine, model, pictures):
    """With the preprocessing undone, without an overlay, and beside no picture they are not of."""
    how = Preprocess(color="BGR", scale=1 / 255, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    found = engine.explain(
        model, pictures[0], "s", "activation_maximisation", [1], iterations=3, preprocess=how
    )
    assert found.pictures == ()
    assert len(found.page(STYLE).panels) == 1
    values = found.attribution[0, 0]
    expected = (values * np.reshape(how.std, (3, 1, 1)) + np.reshape(how.mean, (3, 1, 1))) * 255
    expected = np.clip(np.rint(expected.transpose(1, 2, 0)[:, :, ::-1]), 0, 255)
    np.testing.assert_allclose(shown(found.panel(0, 0, STYLE)), expected, atol=1)
    begun = engine.explain(
        model, pictures[0], "s", "activation_maximisation", [1], iterations=1, start="picture",
        preprocess=how,
    )  # fmt: skip
    assert len(begun.page(STYLE).panels) == 2
    drawn = shown(begun.panel(0, 0, STYLE))
    assert np.abs(drawn - pixels(pictures[0])).mean() < 40


@pytest.mark.parametrize("name", ["gradient", "deconvnet", "activation_maximisation"])
def test_a_method_of_one_s_own_is_drawn_as_it_declares(engine, model, pictures, name):
    """Alone and beside another, whatever its name: the figures differ in their texts only."""
    mine = replace(METHODS[name], name="mine")
    own = {"iterations": 2} if name == "activation_maximisation" else {}
    known, found = (
        engine.explain(model, pictures[0], "s", method, [1, 2], preprocess=UNIT, **own)
        for method in (name, mine)
    )
    assert found.drawn_as == METHODS[name].drawn
    titles = [texts_of(one.figure())[0] for one in (found, known)]
    assert titles[0].startswith("mine of s")
    assert titles[0] != titles[1]
    panels = [[data for _, data in one.panel_files("png")] for one in (found, known)]
    assert panels[0] == panels[1]
    both = [SideBySide((one, known)).page(STYLE) for one in (found, known)]
    assert len(both[0].panels) == len(both[1].panels)
    assert list(both[0].legend) == list(both[1].legend)
    assert found.arrays().keys() == known.arrays().keys()


def test_a_result_with_its_method_s_name_alone_is_drawn_as_that_declares(engine, model, pictures):
    found = engine.explain(model, pictures[0], "s", "deconvnet", [1], preprocess=UNIT)
    drawn = [replace(found, method=m, drawn_as="").drawn_as for m in ("deconvnet", "lrp", "mine")]
    assert drawn == ["reconstruction", "map", "map"]


def test_titles_say_what_is_explained(engine, model, pictures):
    """The class by its label and probability, not the layer that the map lies over."""
    cam = engine.explain(
        model, pictures[0], "s", "grad_cam", [2], labels=["a", "b", "cat, feline", "d"],
        preprocess=UNIT,
    )  # fmt: skip
    title = texts_of(replace(cam, probability=np.array([[0.874]], np.float32)).figure())[0]
    assert title.endswith(" of cat, 87 %")
    negated = replace(cam, negated=True)
    assert texts_of(negated.figure())[0].endswith(" against cat")
    plain = engine.explain(model, pictures[0], "s", "deconvnet", [4], preprocess=UNIT)
    assert texts_of(plain.figure())[0].endswith(" of channel 4 of s")
    several = engine.explain(model, pictures[0], "s", "deconvnet", [4, 1], preprocess=UNIT)
    assert texts_of(several.figure())[0].endswith(" of s")
    assert any("channel 1 (" in text for text in texts_of(several.figure()))
    unlabelled = replace(plain, probability=np.array([[0.03]], np.float32))
    assert texts_of(unlabelled.figure())[0].endswith(" of class 4, 3 %")


def test_a_layer_is_named_as_it_was_asked_for(engine, model, pictures):
    """With its tensor where that has another name; a map's layer is not what is explained."""
    named = onnx.load(model)
    next(node for node in named.graph.node if "s" in node.output).name = "block"
    found = engine.explain(named, pictures[:2], "block", "deconvnet", [4, 1], preprocess=UNIT)
    assert found.layer == "s"
    assert texts_of(found.figure())[0].endswith(" of block (s)")
    one = engine.explain(named, pictures[0], "block", "deconvnet", [4], preprocess=UNIT)
    assert texts_of(one.figure())[0].endswith(" of channel 4 of block (s)")
    cam = engine.explain(named, pictures[0], "block", "grad_cam", [2], preprocess=UNIT)
    assert "block" not in texts_of(cam.figure())[0]
    top = engine.top(named, pictures[:2], "block", [1], preprocess=UNIT)
    assert top.page(STYLE).title.startswith("What excites block (s) most")


def test_without_a_title_the_captions_say_what_is_explained(engine, model, pictures):
    """Of a class its label and probability, of a layer's unit the layer; notes can go too."""
    cam = engine.explain(
        model, pictures[0], "s", "grad_cam", [2], labels=["a", "b", "cat, feline", "d"],
        preprocess=UNIT,
    )  # fmt: skip
    cam = replace(cam, probability=np.array([[0.874]], np.float32))
    for show in ("map", "overlay", "input,map,overlay"):
        texts = texts_of(cam.figure(title=False, show=show))
        assert any("Grad-CAM · cat, 87 %" in text for text in texts)
    plain = engine.explain(model, pictures[0], "s", "deconvnet", [4, 1], preprocess=UNIT)
    texts = " ".join(texts_of(plain.figure(title=False)))
    assert "DeconvNet · channel 4 of s" in texts
    assert "DeconvNet · channel 1 of s" in texts
    both = engine.maps(
        model, pictures[:2], ["gradient", "lrp"], "s", [1], preprocess=UNIT, names=["cat", "dog"]
    )
    for show in ("input,overlay", "overlay"):
        drawn = " ".join(texts_of(both.figure(title=False, show=show)))
        assert "channel 1 of s" in drawn
        assert "· dog" in drawn


def test_only_the_panels_that_are_to_be_shown(engine, model, pictures):
    """An overlay alone is captioned as its map was; where there is none, maps stand for it."""
    one = engine.explain(model, pictures[:2], "s", "gradient", [1, 3], preprocess=UNIT)
    whole = [panel.name for panel in one.page(STYLE).panels]
    for show, ends in {"overlay": ("overlay",), "input, map": ("input", "attribution")}.items():
        names = [panel.name for panel in one.page(Style(show=show)).panels]
        assert names == [name for name in whole if name.endswith(ends)]
    assert all(panel.captions for panel in one.page(Style(show="overlay")).panels)
    assert [p.name for p in one.page(Style(show="input")).panels] == [
        "picture_0_input", "picture_1_input",
    ]  # fmt: skip
    made = engine.explain(
        model, pictures[0], "s", "activation_maximisation", [1], iterations=1, preprocess=UNIT
    )
    for show in ("input", "overlay"):
        assert len(made.page(Style(show=show)).panels) == 1
    several = engine.maps(
        model, pictures[:2], ["gradient", "lrp", "deconvnet"], "s", [1], preprocess=UNIT
    )
    rows = several.page(Style(show="input,overlay")).rows
    assert [len(row) for row in rows] == [4, 4]
    assert len(several.page(Style(show="overlay")).panels) == 6


def test_a_row_of_overlays_stands_alone(engine, model, pictures):
    """At two columns' width: nothing but captions and the numbers of the bars, none cut."""
    methods = ["gradient", "lrp", "deconvnet", "integrated_gradients", "guided_backprop"]
    found = engine.maps(model, pictures[:2], methods, "s", "top:1", preprocess=UNIT)
    figure = found.figure(show="input,overlay", title=False, notes=False, width=6.9)
    figure.canvas.draw()
    assert len(figure.axes) == 2 * (1 + 2 * 5)
    words = " ".join(text.get_text() for text in figure.texts)
    assert "…" not in words
    assert not any(line in words for line in ("Overlays", "Note", "["))
    lowest = min(ax.get_window_extent().y0 for ax in figure.axes)
    assert all(text.get_window_extent().y0 > lowest for text in figure.texts)
    for text in figure.texts:
        box = text.get_window_extent()
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1


def test_inputs_have_their_files_names(engine, model, pictures):
    found = engine.explain(model, pictures[:2], "s", "deconvnet", [1], preprocess=UNIT)
    assert {"picture_0.png", "picture_1.png"} <= set(texts_of(found.figure()))
    alone = engine.explain(model, pictures[0], "s", "deconvnet", [1], preprocess=UNIT)
    assert "picture_0.png" in texts_of(alone.figure())
    array = engine.explain(model, pixels(pictures[0]), "s", "deconvnet", [1], preprocess=UNIT)
    assert "input" in texts_of(array.figure())


def test_maps_lie_over_the_photograph_at_its_own_aspect(engine, model, broad):
    """The network sees the middle half of it; `at="network"` shows that half alone."""
    how = replace(UNIT, crop="center")
    found = engine.explain(model, broad, "s", "deconvnet", "top:1", preprocess=how)
    assert found.attribution.any()
    picture, mapping, overlay = found.page(STYLE).panels
    assert {p.aspect for p in (picture, mapping, overlay)} == {24 / 40}
    drawn, _ = painted(picture, 40, 24)
    np.testing.assert_array_equal(drawn[:, 10:30], pixels(broad)[:, 10:30])
    assert np.ptp(drawn[:, :10], axis=2).max() == 0, "grey: the network does not see it"
    colours, _ = painted(mapping, 320, 192)
    seen = colours[4::8, 4::8][:, 10:30]
    assert np.ptp(colours[:, :78].reshape(-1, 3), axis=0).max() == 0
    square = found.page(Style(at="network")).panels
    assert {p.aspect for p in square} == {24 / 20}
    np.testing.assert_array_equal(shown(square[1]), seen)
    np.testing.assert_array_equal(painted(square[0], 20, 24)[0], pixels(broad)[:, 10:30])
    assert "over the photograph" in texts_of(found.figure())
    assert "over the network input" in texts_of(found.figure(at="network"))


def test_what_an_early_unit_sees_is_enlarged_and_its_place_outlined(engine, model, pictures):
    """A unit of `r` sees three pixels each way of 24."""
    found = engine.explain(
        model, pictures[0], "r", "deconvnet", [2], preprocess=UNIT, position="max"
    )
    assert found.attribution.any()
    top, left, bottom, right = found.box[0, 0].tolist()
    picture, mapping, patch = found.page(STYLE).panels
    assert mapping.note == f"y {top}–{bottom - 1}, x {left}–{right - 1}"
    assert mapping.aspect == patch.aspect == 1
    side = 6  # pixels: not quite twice what the unit sees
    drawn, _ = painted(mapping, side * 30, side * 30)
    grey = (drawn[15::30, 15::30] == 128).all(axis=2)
    whole = (found.attribution[0, 0] == 0).all(axis=0)
    starts = [
        (r, c) for r in range(25 - side) for c in range(21 - side)
        if (whole[r : r + side, c : c + side] == grey).all()
        and r <= top and bottom <= r + side and c <= left and right <= c + side
    ]  # fmt: skip
    assert starts, "the map's own pixels, with all that the unit sees"
    marked, _ = painted(picture, 400, 480)
    red = (np.abs(marked - (214, 39, 40)).max(axis=2) < 12).nonzero()
    middle = [float(axis.min() + axis.max()) / 2 / 20 for axis in red]
    assert middle == pytest.approx([(top + bottom) / 2, (left + right) / 2], abs=0.2)
    assert "what the unit sees" in texts_of(found.figure())
    everywhere = engine.explain(
        model, pictures[0], "r", "deconvnet", [2], preprocess=UNIT, position="all"
    )
    assert everywhere.page(STYLE).panels[1].aspect == 24 / 20


def test_one_panel_in_axes_of_one_s_own(engine, model, pictures):
    found = engine.explain(model, pictures[:2], "s", "deconvnet", [1, 3], preprocess=UNIT)
    figure = Figure()
    ax = figure.add_subplot()
    assert found.plot(ax, image=1, unit=1) is ax
    assert ax.get_title().endswith(" of channel 3 of s")
    found.plot(figure.add_subplot(), image=1, what="input", title=False)
    np.testing.assert_array_equal(figure.axes[1].get_images()[0].get_array(), pixels(pictures[1]))
    for arguments, error, message in (
        ({"image": 2}, ChannelError, "no picture 2: the explanation has 2"),
        ({"unit": -1}, ChannelError, "no unit -1"),
        ({"what": "map"}, OptionError, "attribution, overlay, input"),
        ({"color": "jet"}, OptionError, "no option 'color'"),
    ):
        with pytest.raises(error, match=message):
            found.plot(ax, **arguments)


def test_one_panel_of_one_of_several_methods(engine, model, pictures):
    found = engine.maps(model, pictures[0], ["gradient", "lrp"], "s", [1], preprocess=UNIT)
    ax = Figure().add_subplot()
    found.plot(ax, method="lrp", what="overlay")
    assert len(ax.get_images()) == 2
    by_name, by_number = (Figure().add_subplot() for _ in range(2))
    found.plot(by_name, method="lrp")
    found.plot(by_number, method=1)
    assert by_name.get_title() == by_number.get_title()
    for method in ("grad_cam", 2):
        with pytest.raises(OptionError, match="among these: gradient, lrp"):
            found.plot(ax, method=method)


def test_panels_of_other_units_say_so(engine, model, pictures):
    found = engine.maps(model, pictures[0], ["gradient", "grad_cam"], "s", [3], preprocess=UNIT)
    first, cam = found.explanations
    assert (first.layer, cam.layer) == ("s", "y")
    texts = texts_of(found.figure())
    assert texts[0].endswith("by 2 methods")
    assert any(text.endswith(" of 3") for text in texts)
    assert any(text.endswith(" explains units of y") for text in texts)


def test_a_signal_of_activity_has_the_unit_s_own_strength(engine, model, pictures):
    plain = engine.explain(model, pictures[0], method="gradient", units=[2], preprocess=UNIT)
    squared = engine.explain(model, pictures[0], method="lrp", units=[2], preprocess=UNIT)
    assert plain.strength_name == "score"
    assert squared.strength_name == "activity"
    np.testing.assert_allclose(squared.strength, np.abs(plain.strength), rtol=1e-5)


def test_panels_are_files_named_after_what_they_show(engine, model, pictures, tmp_path):
    found = engine.explain(model, pictures[:2], "s", "deconvnet", [1], preprocess=UNIT)
    names = [path.name for path in found.save_panels(tmp_path)]
    assert names == [
        f"picture_{n}_{what}.png" for n in range(2)
        for what in ("input", "deconvnet_1_attribution", "deconvnet_1_overlay")
    ]  # fmt: skip
    with Image.open(tmp_path / "picture_0_input.png") as image:
        assert image.height / image.width == pytest.approx(24 / 20, abs=0.01)


def test_what_cannot_be_drawn_shows_nothing_in_a_notebook(engine, model, pictures):
    vector = engine.explain(model, pictures[0], to="f", method="gradient", preprocess=UNIT)
    assert vector._repr_png_() is None
    with pytest.raises(OptionError, match="not a picture"):
        vector.png()
