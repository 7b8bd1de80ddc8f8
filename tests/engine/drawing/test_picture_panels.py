"""Pictures, maps and heat by the pixels that are painted."""

import numpy as np
import pytest
from engine.painted import painted

from onnxplain.engine import Preprocess
from onnxplain.engine.drawing import (
    Frame,
    Style,
    attribution_panel,
    grid_panel,
    heat_panel,
    kind_of,
    picture_panel,
)

RNG = np.random.default_rng(0)
RED, BLUE, WHITE = (103, 0, 31), (5, 48, 97), (247, 247, 247)


def photograph(height=40, width=80):
    return RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)


def mapped(values, frame, kind="map", how=None):
    return attribution_panel(("m",), lambda: values, kind, how, frame)


def test_a_signed_map_is_white_at_zero_and_red_above():
    values = np.zeros((1, 4, 6), np.float32)
    values[0, 0, 0], values[0, 3, 5] = 2.0, -2.0
    drawn, of = painted(mapped(values, Frame.whole((4, 6))), 60, 40)
    assert tuple(drawn[5, 5]) == RED
    assert tuple(drawn[35, 55]) == BLUE
    assert tuple(drawn[20, 30]) == WHITE
    assert of.get_clim() == (-2.0, 2.0)


def test_a_map_of_zeros_is_white_and_has_no_scale():
    drawn, of = painted(mapped(np.zeros((1, 4, 6), np.float32), Frame.whole((4, 6))), 60, 40)
    assert (drawn == 247).all()
    assert of is None
    grey, of = painted(
        mapped(np.zeros((3, 4, 6), np.float32), Frame.whole((4, 6)), "reconstruction"), 60, 40
    )
    assert (grey == 128).all()
    assert of is None


@pytest.mark.parametrize("pixels", [20, 90, 400])
def test_the_scale_of_an_attribution_does_not_depend_on_its_drawn_size(pixels):
    values = RNG.standard_normal((3, 100, 100)).astype(np.float32)
    frame = Frame.whole((100, 100))
    for kind, full in (("map", values.sum(axis=0)), ("reconstruction", values)):
        _, of = painted(mapped(values, frame, kind), pixels, pixels)
        limit = np.percentile(np.abs(full), 99.5)
        assert of.get_clim() == pytest.approx((-limit, limit), rel=1e-5)
    picture = Frame.whole((100, 100), photograph(100, 100))
    _, of = painted(heat_panel((), lambda: values, picture), pixels, pixels)
    _, other = painted(heat_panel((), lambda: values, picture), 64, 64)
    assert of.get_clim() == other.get_clim()


def test_a_map_covers_what_the_network_sees_of_a_photograph():
    """As broad as high in the middle of a photograph twice as broad."""
    picture = photograph()
    frame = Frame.whole(picture.shape[:2], picture, (0.0, 20.0, 40.0, 60.0))
    values = np.ones((1, 4, 4), np.float32)
    values[:, :, 2:] = -1
    drawn, _ = painted(mapped(values, frame), 160, 80)
    assert {tuple(p) for p in drawn[40, 42:78]} == {RED}
    assert {tuple(p) for p in drawn[40, 82:118]} == {BLUE}
    for outside in (drawn[:, :38], drawn[:, 122:]):
        assert (outside == outside[0, 0]).all()
        assert outside.min() > 225


def test_a_picture_is_dimmed_where_the_network_does_not_look():
    picture = photograph()
    frame = Frame.whole(picture.shape[:2], picture, (0.0, 20.0, 40.0, 60.0))
    drawn, _ = painted(picture_panel(("p",), frame), 80, 40)
    np.testing.assert_array_equal(drawn[:, 20:60], picture[:, 20:60])
    for part in (slice(0, 20), slice(60, 80)):
        assert np.ptp(drawn[:, part], axis=2).max() == 0, "grey"
        assert drawn[:, part].min() > 170
    whole, _ = painted(picture_panel(("p",), Frame.whole(picture.shape[:2], picture)), 80, 40)
    np.testing.assert_array_equal(whole, picture)


def test_a_frame_of_a_border_that_the_network_adds():
    """The network's input is larger than the picture: its map is cut to the picture."""
    picture = photograph(40, 40)
    frame = Frame.whole((40, 40), picture, (-20.0, -20.0, 60.0, 60.0))
    values = np.zeros((1, 8, 8), np.float32)
    values[0, 2, 2] = 1.0
    drawn, _ = painted(mapped(values, frame), 40, 40)
    assert tuple(drawn[5, 5]) == RED
    assert tuple(drawn[15, 15]) == WHITE
    np.testing.assert_array_equal(painted(picture_panel((), frame), 40, 40)[0], picture)


def test_a_part_of_a_frame_is_enlarged():
    picture = photograph(40, 40)
    frame = Frame.whole((40, 40), picture).cropped((10.0, 20.0, 20.0, 30.0))
    assert frame.aspect == 1
    drawn, _ = painted(picture_panel((), frame), 80, 80)
    np.testing.assert_array_equal(drawn[4::8, 4::8], picture[10:20, 20:30])
    values = np.zeros((1, 40, 40), np.float32)
    values[0, 12, 25] = 1.0
    mapping, _ = painted(mapped(values, frame), 80, 80)
    reds = np.argwhere((mapping == RED).all(axis=2))
    assert reds.min(axis=0).tolist() == [16, 40]
    assert reds.max(axis=0).tolist() == [23, 47]


def test_marks_outline_places():
    picture = np.zeros((40, 40, 3), np.uint8)
    panel = picture_panel((), Frame.whole((40, 40), picture), "", [(10.0, 5.0, 30.0, 25.0)])
    drawn, _ = painted(panel, 160, 160)
    red = drawn[:, :, 0] > 150
    assert red[40, 60] and red[120, 60] and red[80, 20] and red[80, 100]
    assert not red[80, 60]
    assert not red[30, 60]


def test_a_reconstruction_has_the_network_s_colours():
    values = np.zeros((3, 4, 6), np.float32)
    values[0] = 1.0
    frame = Frame.whole((4, 6))
    for order, colour in (("RGB", (255, 128, 128)), ("BGR", (128, 128, 255))):
        how = Preprocess(color=order)
        assert kind_of(values, "reconstruction", how) == "reconstruction"
        drawn, of = painted(mapped(values, frame, "reconstruction", how), 60, 40)
        assert {tuple(p) for p in drawn.reshape(-1, 3)} == {colour}
        assert of.get_clim() == (-1.0, 1.0)


def test_a_made_picture_is_drawn_with_its_preprocessing_undone():
    how = Preprocess(color="BGR", scale=1 / 255, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    values = RNG.standard_normal((3, 4, 6)).astype(np.float32)
    assert kind_of(values, "picture", how) == "picture"
    drawn, of = painted(mapped(values, Frame.whole((4, 6)), "picture", how), 6, 4)
    std, mean = (np.reshape(v, (3, 1, 1)) for v in (how.std, how.mean))
    expected = np.clip(np.rint(255 * (values * std + mean)).transpose(1, 2, 0)[:, :, ::-1], 0, 255)
    np.testing.assert_allclose(drawn, expected, atol=1)
    assert of is None


@pytest.mark.parametrize(
    ("shape", "drawn_as", "kind"),
    [
        ((3, 4, 4), "map", "map"),
        ((3, 4, 4), "reconstruction", "reconstruction"),
        ((1, 4, 4), "reconstruction", "map"),
        ((4, 4), "reconstruction", "map"),
    ],
)
def test_only_three_channels_make_a_reconstruction(shape, drawn_as, kind):
    assert kind_of(np.zeros(shape), drawn_as, None) == kind


def test_heat_lies_over_the_pale_picture():
    picture = np.full((40, 80, 3), (200, 40, 90), np.uint8)
    frame = Frame.whole((40, 80), picture, (0.0, 20.0, 40.0, 60.0))
    values = np.zeros((3, 40, 40), np.float32)
    values[:, :, :15] = -1.0
    drawn, of = painted(heat_panel((), lambda: values, frame), 160, 80)
    redness = drawn[:, :, 0] - drawn[:, :, 2]
    assert redness[40, 50:60].min() > 100
    assert np.abs(redness[:, 90:]).max() == 0
    assert np.abs(redness[:, :38]).max() == 0, "outside of what the network sees"
    assert of.get_clim() == pytest.approx((0, 3**0.5), rel=0.01)
    clear, _ = painted(heat_panel((), lambda: values, frame), 160, 80, Style(alpha=0.0))
    assert np.ptp(clear, axis=2).max() == 0
    _, nothing = painted(heat_panel((), lambda: 0 * values, frame), 160, 80)
    assert nothing is None


def test_another_colour_map():
    values = np.zeros((1, 4, 6), np.float32)
    values[0, 0, 0], values[0, 3, 5] = 2.0, -2.0
    drawn, _ = painted(mapped(values, Frame.whole((4, 6))), 60, 40, Style(cmap="gray"))
    assert drawn[5, 5].tolist() == [255] * 3
    assert drawn[35, 55].tolist() == [0] * 3
    assert drawn[20, 30].tolist() == pytest.approx([128] * 3, abs=1)


def test_a_grid_of_values_lies_around_its_centres():
    picture = np.full((12, 12, 3), 100, np.uint8)
    values = np.array([[0.0, 1.0], [0.5, 0.25]])
    frame = Frame.whole((12, 12), picture)
    arguments = (values, (0.0, 1.0), [(3, 8), (3.0, 8.0)], 2.0, (12, 12), frame)
    drawn, of = painted(grid_panel((), *arguments, bar="b"), 12, 12, Style(alpha=1.0))
    colours = {at: drawn[at] for at in ((3, 3), (2, 8), (8, 3), (9, 9))}
    expected = {(3, 3): 0.0, (2, 8): 1.0, (8, 3): 0.5, (9, 9): 0.25}
    for at, value in expected.items():
        opacity, pale = (1 + value) / 2, 0.6 * 100 + 0.4 * 255
        heat = 255 * np.array(of.cmap(value)[:3])
        expected_colour = opacity * heat + (1 - opacity) * pale
        np.testing.assert_allclose(colours[at], expected_colour, atol=2)
    assert drawn[3, 3].sum() > drawn[8, 3].sum() > drawn[2, 8].sum(), "stronger is darker"
    outside = [0, 5, 10, 11]  # whose middles are further than 2 from 3 and from 8
    assert (drawn[outside] == drawn[0, 0]).all()
    assert (drawn[:, outside] == drawn[0, 0]).all()
    turned, _ = painted(
        grid_panel((), *arguments, bar="b", low_is_strong=True), 12, 12, Style(alpha=1.0)
    )
    np.testing.assert_allclose(turned[3, 3], drawn[2, 8], atol=2)


def test_a_map_that_is_nowhere_negative_is_scaled_from_zero():
    values = np.zeros((1, 4, 6), np.float32)
    values[0, 0, 0] = 2.0
    drawn, of = painted(mapped(values, Frame.whole((4, 6))), 60, 40)
    assert of.get_clim() == pytest.approx((0.0, np.percentile(values, 99.5)))
    assert tuple(drawn[5, 5]) == RED
    assert tuple(drawn[20, 30]) == WHITE
    half, _ = painted(mapped(values, Frame.whole((4, 6))), 60, 40, Style(cmap="seismic"))
    assert half[20, 30].min() >= 253, "the middle of a map around white"
    whole, _ = painted(mapped(values, Frame.whole((4, 6))), 60, 40, Style(cmap="gray"))
    assert whole[20, 30].tolist() == [0] * 3
    assert whole[5, 5].tolist() == [255] * 3
