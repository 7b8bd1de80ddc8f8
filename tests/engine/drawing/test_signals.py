"""Drawings of signals, volumes and pictures of many channels, by what single pixels show."""

import numpy as np
import pytest

from onnxplain.engine.drawing.signals import (
    drawn_signal,
    drawn_volume,
    input_legend,
    is_signal,
    picture_of,
)
from onnxplain.graphops.errors import OptionError

RED, BLUE = (103, 0, 31), (5, 48, 97)


def test_a_curve_lies_over_the_colours_of_its_own_attribution():
    signal = np.stack([np.linspace(0, 1, 64), np.linspace(1, 0, 64)])
    attribution = np.zeros((2, 64))
    attribution[0, :32], attribution[1, 32:] = 1, -1
    drawn = drawn_signal(signal, attribution)
    height, width = drawn.shape[:2]
    upper, lower = drawn[: height // 2], drawn[height // 2 :]
    assert tuple(upper[10, width // 4]) == RED  # above the rising curve
    assert upper[-4, 3 * width // 4].min() > 240  # white below it
    assert tuple(lower[10, 3 * width // 4]) == BLUE
    dark = (upper.sum(axis=2) < 90).sum(axis=0)
    assert dark[20:].min() >= 1  # the curve is everywhere
    bottom = np.argmax(upper[:, 5].sum(axis=1) < 90)
    assert bottom > height // 3  # it begins at its least value


def test_an_attribution_of_one_channel_colours_all_and_few_channels_are_drawn():
    signal, attribution = np.random.default_rng(0).random((20, 50)), np.zeros((1, 25))
    attribution[0, 5] = 1
    drawn = drawn_signal(signal, attribution)
    reds = (drawn == RED).all(axis=2).sum(axis=0)
    assert reds.argmax() == pytest.approx(drawn.shape[1] * 5.5 / 25, abs=drawn.shape[1] / 25)
    assert "12 strongest of 20" in input_legend(attribution, signal)[0].text


def test_a_signal_without_channels_is_one_curve():
    signal, attribution = np.linspace(0, 1, 64), np.linspace(-1, 1, 64)
    drawn = drawn_signal(signal, attribution)
    np.testing.assert_array_equal(drawn, drawn_signal(signal[None], attribution[None]))
    assert input_legend(attribution, signal)[0].text.startswith("Curves")
    assert not is_signal(attribution[:4], signal)  # of another vector


@pytest.mark.parametrize("channels", [1, 12])
def test_numbers_can_be_read_over_any_colour(channels):
    signal = np.zeros((channels, 50))
    signal[:, 25] = 1
    corners = [
        drawn_signal(signal, np.ones((channels, 50)))[:6, :2],
        drawn_volume(np.ones((1, 4, 8, 8)))[:6, :2],
    ]
    assert all((corner == 255).all() for corner in corners)


@pytest.mark.parametrize("signal", [np.zeros((2, 1)), np.full((2, 40), np.nan), np.ones((2, 3))])
def test_any_signal_can_be_drawn(signal):
    assert drawn_signal(signal, np.zeros(signal.shape)).ndim == 3


def test_slices_include_the_strongest():
    volume, attribution = np.zeros((1, 30, 6, 4)), np.zeros((2, 30, 6, 4))
    volume[0, 17], attribution[0, 17] = 1, 1
    drawn = drawn_volume(attribution, volume)
    height = drawn.shape[0] // 2
    columns = (drawn[height + 20] == RED).all(axis=1)
    assert 0.05 < columns.mean() < 0.2  # one slice of eight
    assert (drawn[20][columns] == 255).all()  # the same slice of the volume, white
    alone = drawn_volume(attribution)
    assert alone.shape[0] == pytest.approx(height, abs=3)


def test_bands_or_the_mean():
    values = np.zeros((6, 3, 4))
    values[4], values[1] = 1, 0.5
    assert picture_of(values, (4, 1, 0))[0, 0].tolist() == [255, 128, 0]
    assert picture_of(values, (4,))[0, 0].tolist() == [128] * 3  # all the same: grey
    values[4, 0, 0] = 7
    assert picture_of(values)[0, 0].tolist() == [255] * 3
    assert picture_of(values)[1, 1].tolist() == [0] * 3
    for bands in ((6,), (0, 1), (-1, 0, 1)):
        with pytest.raises(OptionError, match="channels 0 to 5"):
            picture_of(values, bands)
    assert "mean of 6 channels" in input_legend(values, values)[0].text
