"""The figures of occlusion and sliding windows, read back from their artists and their pixels."""

import numpy as np
import pytest
from engine.painted import texts_of
from engine.viewed import UNIT, pixels
from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image

from onnxplain.engine import Engine, Preprocess
from onnxplain.graphops.errors import OptionError

CROPPED = Preprocess(crop="center", scale=1 / 255)


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu")


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A picture of 48 x 80 pixels, of which a network of 24 x 20 sees the columns 20 to 60."""
    path = tmp_path_factory.mktemp("wide") / "wide.png"
    rng = np.random.default_rng(3)
    Image.fromarray(rng.integers(0, 256, (48, 80, 3), np.uint8)).save(path)
    return path


def panels_and_bars(figure):
    """Return the axes of panels, and those of colour bars, which are low and wide."""
    shapes = [(ax, ax.get_window_extent()) for ax in figure.axes]
    return (
        [ax for ax, box in shapes if box.height > 0.1 * box.width],
        [ax for ax, box in shapes if box.height <= 0.1 * box.width],
    )


def expected_map(values, starts, window, size):
    """Return, pixel by pixel, the value of the square whose visible part has the nearest centre."""
    found = np.full(size, np.nan)
    for row in range(size[0]):
        for column in range(size[1]):
            nearest = []
            for at, axis in ((row, 0), (column, 1)):
                gap = np.diff(starts[axis]).max()
                centres = [(s + min(s + window, size[axis])) / 2 for s in starts[axis]]
                far = [abs(at + 0.5 - centre) for centre in centres]
                if min(far) <= min(window, gap) / 2:
                    nearest.append(int(np.argmin(far)))
            if len(nearest) == 2:
                found[row, column] = values[tuple(nearest)]
    return found


@pytest.mark.parametrize(("window", "stride"), [(6, 6), (4, 10)])
def test_each_value_lies_where_the_square_covered(engine, model, pictures, window, stride):
    """With gaps between the squares, nothing is drawn in the gaps."""
    found = engine.occlusion(
        model, pictures[0], "s", 2, window=window, stride=stride, preprocess=UNIT
    )
    maps = panels_and_bars(found.figure(at="network"))[0][1:]
    for ax, values in zip(maps, (found.probability, found.strength), strict=True):
        below, above = ax.get_images()
        assert below.get_extent() == [0, 20, 24, 0]
        assert above.get_extent() == [0, 20, 24, 0]
        expected = expected_map(values, (found.rows, found.columns), window, (24, 20))
        shown = np.ma.filled(np.ma.asarray(above.get_array()).astype(float), np.nan)
        np.testing.assert_allclose(shown, expected, rtol=1e-6)
    assert np.isnan(expected).any() == (stride > window)


def test_the_colours_on_the_canvas(engine, model, pictures):
    """A named map by its own order, the default darkest at the strongest loss, and most opaque."""
    found = engine.occlusion(model, pictures[0], "s", 2, window=6, stride=6, preprocess=UNIT)
    low, high = found.strength.min(), max(found.strength.max(), found.untouched[1])
    pale = 0.6 * (pixels(pictures[0]) @ (0.299, 0.587, 0.114)) + 0.4 * 255
    for cmap, opacity in ((None, 0.8), ("viridis", 0.4)):
        figure = found.figure(at="network", dpi=200, cmap=cmap, alpha=opacity)
        figure.canvas.draw()
        canvas = np.asarray(figure.canvas.buffer_rgba())[:, :, :3].astype(float)
        ax = panels_and_bars(figure)[0][2]
        colours = {}
        for i, r in enumerate((3, 9, 15, 21)):
            for j, c in enumerate((3, 9, 15)):
                x, y = ax.transData.transform((c + 0.5, r + 0.5))
                colour = canvas[len(canvas) - 1 - round(y), round(x)]
                loss = (high - found.strength[i, j]) / (high - low)
                alpha = opacity * (1 + loss) / 2
                heat = (colour - (1 - alpha) * pale[r, c]) / alpha
                colours[loss] = heat
                if cmap:
                    expected = 255 * np.array(colormaps[cmap](1 - loss)[:3])
                    np.testing.assert_allclose(heat, expected, atol=4 / alpha)
        if cmap is None:
            brightness = [colours[loss].sum() for loss in sorted(colours)]
            assert np.diff(brightness).max() < 10  # darker and darker, but for rounding
            assert brightness[0] - brightness[-1] > 300


def test_maps_lie_over_the_part_of_the_photograph_that_the_network_sees(engine, model, wide):
    found = engine.occlusion(model, wide, window=6, stride=6, preprocess=CROPPED)
    figure = found.figure(dpi=300)
    (picture, *maps), _ = panels_and_bars(figure)
    np.testing.assert_array_equal(
        picture.get_images()[0].get_array()[:, 20:60], pixels(wide)[:, 20:60]
    )
    for ax in maps:
        below, above = ax.get_images()
        assert below.get_extent() == [0, 80, 48, 0]
        assert above.get_extent() == pytest.approx([20, 60, 48, 0])
        assert (ax.get_xlim(), ax.get_ylim()) == ((0, 80), (48, 0))
        box = ax.get_window_extent()
        assert box.height / box.width == pytest.approx(48 / 80, rel=1e-3)
    (picture, *_), _ = panels_and_bars(found.figure(at="network"))
    np.testing.assert_array_equal(picture.get_images()[0].get_array(), found.picture)


def test_colour_bars_have_numbers_and_mark_the_uncovered_value(engine, model, pictures):
    found = engine.occlusion(model, pictures[0], "s", 2, window=6, preprocess=UNIT)
    figure = found.figure()
    figure.canvas.draw()
    maps, bars = panels_and_bars(figure)
    assert len(bars) == 2
    values = (found.probability, found.strength)
    for ax, bar, one, whole in zip(maps[1:], bars, values, found.untouched, strict=True):
        (low, high) = ax.get_images()[1].get_clim()
        assert (low, high) == pytest.approx((one.min(), max(one.max(), whole)))
        ((mark,),) = [line.get_xdata() for line in bar.get_lines()]
        assert mark == whole
        ticks = {t.get_text(): t.get_position()[0] for t in bar.get_xticklabels()}
        assert len(ticks) >= 2
        for text, place in ticks.items():
            assert low <= place <= high
            assert float(text.replace("−", "-")) == pytest.approx(place, rel=0.01)


def test_titles_say_the_class_and_its_probability(engine, model, pictures):
    labels = ["ant", "bee, worker bee", "cow", "dog"]
    found = engine.occlusion(
        model, pictures[0], "s", 2, class_index=1, window=6, preprocess=UNIT, labels=labels
    )
    shown = texts_of(found.figure())
    chance = f"{found.untouched[0]:.3g}"
    assert f"Covered piece by piece · bee, worker bee, probability {chance}" in shown
    assert any("channel 2 of s, uncovered" in text for text in shown)
    assert "Channel 2 of s: the sum of its values" in shown
    assert not any("Covered piece" in text for text in texts_of(found.figure(title=False)))
    scored = engine.occlusion(model, pictures[0], window=6, preprocess=UNIT, labels=labels)
    assert any(f"score of {labels[scored.channel]}" in text for text in texts_of(scored.figure()))


def test_one_panel_in_axes_of_one_s_own(engine, model, pictures):
    found = engine.occlusion(model, pictures[0], "s", 2, window=6, preprocess=UNIT)
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert found.plot(left) is left
    assert found.plot(right, "strength", title=False) is right
    assert [len(ax.get_images()) for ax in (left, right)] == [2, 2]
    assert np.nanmax(right.get_images()[1].get_array()) == pytest.approx(found.strength.max())
    assert "probability" in left.get_title()
    assert right.get_title() == ""
    with pytest.raises(OptionError, match="no panel 'heat'.*picture, probability, strength"):
        found.plot(left, "heat")


def test_rows_of_as_many_columns_as_asked_for(engine, model, pictures):
    found = engine.occlusion(model, pictures[0], window=6, preprocess=UNIT)
    tops = [
        {round(ax.get_window_extent().y1) for ax in panels_and_bars(found.figure(columns=n))[0]}
        for n in (1, 3)
    ]
    assert [len(one) for one in tops] == [3, 1]


def test_the_strongest_window_is_outlined(engine, model, wide):
    found = engine.slide(model, wide, preprocess=UNIT, labels=["ant", "bee", "cow", "dog"])
    figure = found.figure()
    (picture, heat), (bar,) = panels_and_bars(figure)
    (outline,) = picture.patches
    row, column = np.unravel_index(found.scores.argmax(), found.scores.shape)
    corner = column * found.stride[1], row * found.stride[0]
    assert outline.get_xy() == pytest.approx(corner)
    assert (outline.get_height(), outline.get_width()) == (24, 20)
    values = heat.get_images()[1].get_array()
    centre = round(corner[1] + 12 - 0.5), round(corner[0] + 10 - 0.5)
    assert values[centre] == pytest.approx(found.scores.max())
    assert np.isnan(np.ma.filled(values, np.nan)[0, 0])  # no window is centred in the corner
    assert heat.get_images()[1].get_clim() == pytest.approx(
        (found.scores.min(), found.scores.max())
    )
    assert len(bar.get_xticklabels()) >= 2
    assert any(found.label in text and "Sliding window" in text for text in texts_of(figure))
    ax = Figure().add_subplot()
    assert len(found.plot(ax).get_images()) == 2
    assert found.plot(Figure().add_subplot(), "strongest_window").patches


def test_a_window_on_a_photograph_that_was_resized(engine, model, wide):
    """The network's input is half as large as the photograph, and the outline twice its size."""
    found = engine.slide(model, wide, preprocess=Preprocess(size=(24, 40), scale=1 / 255))
    (picture, _), _ = panels_and_bars(found.figure())
    (outline,) = picture.patches
    row, column = np.unravel_index(found.scores.argmax(), found.scores.shape)
    assert outline.get_xy() == pytest.approx(
        (2 * column * found.stride[1], 2 * row * found.stride[0])
    )
    assert (outline.get_height(), outline.get_width()) == (48, 40)
    (smaller, _), _ = panels_and_bars(found.figure(at="network"))
    assert smaller.patches[0].get_height() == 24


def test_scores_that_are_not_finite_are_not_drawn(engine, model, wide):
    found = engine.slide(model, wide, preprocess=UNIT)
    found.scores[0, 0] = np.nan
    found.png()
    found.scores[:] = np.nan
    found.png()
