"""The colours of attributions: known values, limits, sizes."""

import numpy as np
import pytest

from onnxplain.engine.drawing.colormaps import (
    channels_last,
    heat_colours,
    is_picture,
    limit_of,
    pale,
    reconstruction,
    shrunk,
    signed_colours,
    signed_map,
    strength,
)

RNG = np.random.default_rng(0)


def test_zero_is_white_red_is_positive_blue_is_negative():
    blue, white, red = signed_colours(None)([0.0, 0.5, 1.0])[:, :3]
    assert white.min() > 0.96
    assert red[0] > 2 * red[2]
    assert blue[2] > 2 * blue[0]


def test_a_reconstruction_is_linear_about_mid_grey():
    drawn = reconstruction(np.array([[[0.0, 2.0, -2.0], [1.0, -5.0, 9.0]]]), 2.0)
    assert drawn.tolist() == [[[128, 255, 0], [191, 0, 255]]]


def test_a_few_extreme_values_do_not_set_the_limit():
    values = np.ones((100, 100))
    values[0, 0] = -1e6
    assert limit_of(values) == 1.0


@pytest.mark.parametrize("count", [1, 2, 5, 401, 20_000, 123_457])
def test_the_limit_is_the_percentile_of_all_values(count):
    values = RNG.standard_normal(count).astype(np.float32)
    for one in (values, np.sort(values), np.sort(values)[::-1], np.ones(count, np.float32)):
        assert limit_of(one) == pytest.approx(np.percentile(np.abs(one), 99.5), rel=1e-5)


def test_a_sparse_map_is_scaled_by_its_largest_value():
    values = np.zeros((100, 100))
    values[3, 4] = -2.5
    assert limit_of(values) == 2.5
    assert limit_of(np.zeros((4, 4))) == 0.0


def test_nan_and_infinity_are_zero():
    values = np.array([[1.0, np.nan], [np.inf, -np.inf]])
    assert channels_last(values)[:, :, 0].tolist() == [[1, 0], [0, 0]]


@pytest.mark.parametrize(
    ("shape", "last", "picture"),
    [
        ((3, 4, 5), (4, 5, 3), True),
        ((4, 5, 3), (4, 5, 3), True),
        ((1, 4, 5), (4, 5, 1), False),
        ((7, 4, 5), (4, 5, 7), False),
        ((4, 5), (4, 5, 1), False),
    ],
)
def test_the_channel_axis_is_found(shape, last, picture):
    values = RNG.standard_normal(shape).astype(np.float32)
    assert channels_last(values).shape == last
    assert is_picture(values) == picture
    assert signed_map(values).shape == last[:2]
    assert signed_map(values).sum() == pytest.approx(values.sum(), rel=1e-4, abs=1e-4)


def test_heat_runs_from_transparent_to_dark_at_the_opacity():
    table = heat_colours(None, 0.6)(np.linspace(0, 1, 20))
    assert table[0, 3] == 0
    assert table[-1, 3] == pytest.approx(0.6)
    assert (np.diff(table[:, 3]) > 0).all()
    assert (np.diff(table[:, :3].sum(axis=1)) < 0).all()
    even = heat_colours(None, 0.6, even=True)([0.0, 1.0])
    assert even[:, 3] == pytest.approx([0.3, 0.6])


def test_of_a_map_that_is_brightest_in_its_middle_heat_is_the_upper_half():
    seismic = signed_colours("seismic")
    np.testing.assert_allclose(
        heat_colours("seismic", 1.0)([0.0, 1.0])[:, :3], seismic([0.5, 1.0])[:, :3], atol=0.02
    )
    viridis = signed_colours("viridis")
    np.testing.assert_allclose(
        heat_colours("viridis", 1.0)([0.0, 1.0])[:, :3], viridis([0.0, 1.0])[:, :3], atol=0.02
    )


def test_strength_has_no_sign_and_lies_where_the_attribution_is():
    attribution = np.zeros((3, 240, 240))
    attribution[:, 40:90, 30:80] = -2.0
    found = strength(attribution)
    assert found.shape == (240, 240)
    assert found[65, 55] == pytest.approx(2 * 3**0.5, rel=0.01)
    assert found[180, 180] == 0
    small = strength(RNG.standard_normal((8, 5, 7)))
    assert max(small.shape) >= 224
    assert small.shape[1] / small.shape[0] == pytest.approx(7 / 5, rel=0.01)
    assert max(strength(np.ones((1500, 1000))).shape) <= 512


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_shrinking_averages_and_never_enlarges(dtype, channels):
    values = np.zeros((40, 60, *channels), dtype)
    values[::2] = 100
    small = shrunk(values, 10, 15)
    assert small.shape == (10, 15, *channels)
    np.testing.assert_allclose(small, 50, atol=1)
    np.testing.assert_array_equal(shrunk(values, 100, 100), values)


def test_a_pale_picture_is_grey_and_bright():
    picture = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    drawn = pale(picture).astype(float)
    assert np.ptp(drawn, axis=2).max() == 0
    assert drawn.min() >= 100
    expected = 0.6 * (picture @ (0.299, 0.587, 0.114)) + 0.4 * 255
    np.testing.assert_allclose(drawn[:, :, 0], expected, atol=1.1)
