"""Drawing attributions: colours at known values, sizes, determinism."""

import numpy as np
import pytest

from onnxplain.engine.drawing.colormaps import (
    diverging,
    enlarged,
    heat,
    heat_grid,
    is_picture,
    overlay,
    reconstruction,
    signed_map,
)

RNG = np.random.default_rng(0)


def test_zero_is_white_red_is_positive_blue_is_negative():
    red, white, blue = diverging(np.array([[1.0, 0.0, -1.0]]))[0].astype(int)
    assert white.tolist() == [247, 247, 247]
    assert red[0] > 2 * red[2]
    assert blue[2] > 2 * blue[0]


def test_a_zero_map_is_neutral_everywhere():
    assert (diverging(np.zeros((4, 5))) == 247).all()
    assert np.ptp(reconstruction(np.zeros((4, 5, 3)))) == 0
    assert reconstruction(np.zeros((2, 2, 3)))[0, 0].tolist() == [128, 128, 128]
    picture = RNG.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    untouched = overlay(np.zeros((1, 4, 5)), picture)
    assert (untouched == untouched[:, :, :1]).all(), "a picture without heat is grey"


def test_a_reconstruction_is_linear_about_mid_grey():
    values = np.zeros((10, 10, 3))
    values[0, 0], values[0, 1], values[0, 2] = 2.0, -2.0, 1.0
    drawn = reconstruction(values)
    # 6 of 300 values are 2 in magnitude, so that the 99.5th percentile is 2.
    assert drawn[0, 0].tolist() == [255, 255, 255]
    assert drawn[0, 1].tolist() == [0, 0, 0]
    assert drawn[0, 2].tolist() == [191, 191, 191]


def test_a_few_extreme_values_do_not_dim_the_rest():
    values = np.ones((100, 100))
    values[0, 0] = 1e6
    np.testing.assert_array_equal(diverging(values)[1, 1], diverging(np.ones((1, 1)))[0, 0])


def test_a_sparse_map_is_still_drawn():
    values = np.zeros((100, 100))
    values[3, 4] = -1.0
    drawn = diverging(values)
    assert drawn[3, 4].tolist() == diverging(-np.ones((1, 1)))[0, 0].tolist()
    assert drawn[0, 0].tolist() == [247, 247, 247]


def test_nan_and_infinity_are_drawn_as_zero():
    values = np.array([[np.nan, np.inf, -np.inf, 1.0]])
    assert diverging(values)[0, :3].tolist() == [[247, 247, 247]] * 3


@pytest.mark.parametrize("shape", [(3, 6, 4), (6, 4, 3), (1, 6, 4), (6, 4, 1), (6, 4), (7, 6, 4)])
def test_every_layout_is_drawn_at_its_height_and_width(shape):
    attribution = RNG.standard_normal(shape)
    drawn = diverging(signed_map(attribution))
    assert drawn.shape == (6, 4, 3)
    assert drawn.dtype == np.uint8
    assert is_picture(attribution) == (3 in shape)
    if is_picture(attribution):
        assert reconstruction(attribution).shape == (6, 4, 3)


def test_channels_first_and_last_are_drawn_alike():
    attribution = RNG.standard_normal((3, 6, 4))
    for draw in (reconstruction, signed_map):
        np.testing.assert_array_equal(draw(attribution), draw(attribution.transpose(1, 2, 0)))


def test_values_are_laid_around_their_places():
    """Two by two places, each of which reaches two pixels around; the rest stays pale."""
    picture = np.full((12, 12, 3), 100, np.uint8)
    values = np.array([[0.0, 1.0], [0.5, np.nan]])
    drawn = heat_grid(values, 0.0, 1.0, picture, [(3, 8), (3.0, 8.0)], 2.0).astype(int)
    grey = drawn[0, 0]
    assert np.ptp(grey) == 0
    for row, column, value in ((3, 3, 0.0), (2, 8, 1.0), (8, 3, 0.5), (9, 9, 0.0)):
        expected = 0.25 * grey + 0.75 * heat(np.array([value]))[0]
        np.testing.assert_allclose(drawn[row, column], expected, atol=1)
    outside = [0, 5, 10, 11]  # whose middles are further than 2 from 3 and from 8
    assert (drawn[outside] == grey).all()
    assert (drawn[:, outside] == grey).all()


def test_an_overlay_is_hot_where_the_attribution_is_strong():
    attribution = np.zeros((3, 40, 40))
    attribution[:, 5:15, 5:15] = -1.0
    drawn = overlay(attribution, np.full((40, 40, 3), 90, np.uint8)).astype(int)
    redness = drawn[:, :, 0] - drawn[:, :, 2]
    assert redness[10, 10] > 100
    assert redness[30, 30] == 0


def test_an_overlay_takes_the_picture_s_size():
    picture = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert overlay(RNG.standard_normal((8, 5, 7)), picture).shape == (20, 30, 3)


def test_heat_runs_from_light_to_dark():
    brightness = heat(np.linspace(0, 1, 20)).astype(int).sum(axis=1)
    assert (np.diff(brightness) < 0).all()


@pytest.mark.parametrize(
    ("shape", "side", "size"),
    [
        ((64, 64, 3), 192, (192, 192)),  # sizes are width, height
        ((64, 48, 3), 150, (96, 128)),
        ((28, 28, 3), 224, (224, 224)),
        ((448, 224, 3), 224, (112, 224)),
        ((1, 1000, 3), 200, (200, 1)),
    ],
)
def test_pictures_are_enlarged_in_whole_steps_and_reduced_to_fit(shape, side, size):
    assert enlarged(np.zeros(shape, np.uint8), side).size == size
