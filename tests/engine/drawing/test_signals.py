"""Drawings of signals, volumes and pictures of many channels, by what is painted."""

import numpy as np
import pytest
from engine.painted import painted

from onnxplain.engine.drawing import input_legend, is_signal, picture_of, signal_panel, volume_panel
from onnxplain.graphops.errors import OptionError

RED, BLUE, WHITE = (103, 0, 31), (5, 48, 97), (247, 247, 247)
RNG = np.random.default_rng(0)


def signal(values, attribution):
    return painted(signal_panel((), values, lambda: attribution), 640, 400)


def test_a_curve_lies_over_the_colours_of_its_own_attribution():
    values = np.stack([np.linspace(0, 1, 64), np.linspace(1, 0, 64)])
    attribution = np.zeros((2, 64))
    attribution[0, :32], attribution[1, 32:] = 1, -1
    drawn, of = signal(values, attribution)
    upper, lower = drawn[:198], drawn[202:]
    assert tuple(upper[30, 160]) == RED  # above the rising curve
    assert tuple(upper[-20, 480]) == WHITE
    assert tuple(lower[30, 480]) == BLUE
    assert (upper[:, 340:630].sum(axis=2).min(axis=0) < 500).all()  # the curve is everywhere
    begins, ends = (np.argmin(upper[:, x].sum(axis=1)) for x in (8, 630))
    assert begins > 150 > 50 > ends  # it rises
    assert of.get_clim() == (-1, 1)


def test_an_attribution_of_one_channel_colours_all_and_few_channels_are_drawn():
    values, attribution = RNG.random((20, 50)), np.zeros((1, 25))
    attribution[0, 5] = 1
    drawn, _ = signal(values, attribution)
    reds = np.flatnonzero((drawn == RED).all(axis=2).any(axis=0))
    assert reds.mean() == pytest.approx(640 * 5.5 / 25, abs=8)
    assert "12 strongest of 20" in input_legend(attribution, values)[0]


def test_the_strongest_channels_are_drawn_and_numbered(tmp_path):
    from matplotlib.figure import Figure

    from onnxplain.engine.drawing import Style

    attribution = np.zeros((20, 30))
    attribution[4:16] = 1.0
    ax = Figure().add_subplot()
    signal_panel((), RNG.random((20, 30)), lambda: attribution).paint(ax, Style())
    assert [text.get_text() for text in ax.get_yticklabels()] == [str(n) for n in range(4, 16)]
    assert all(tick == int(tick) for tick in ax.get_xticks())


def test_a_signal_without_channels_is_one_curve():
    values, attribution = np.linspace(0, 1, 64), np.linspace(-1, 1, 64)
    alone, _ = signal(values, attribution)
    np.testing.assert_array_equal(alone, signal(values[None], attribution[None])[0])
    assert input_legend(attribution, values)[0].startswith("Curves")
    assert not is_signal(attribution[:4], values)  # of another vector


def test_of_a_long_signal_every_peak_is_drawn():
    attribution = np.zeros((1, 100_000))
    attribution[0, 77_777] = -1
    drawn, _ = painted(signal_panel((), np.zeros((1, 100_000)), lambda: attribution), 1024, 100)
    blues = np.flatnonzero((drawn == BLUE).all(axis=2).any(axis=0))
    assert blues.size
    assert blues.mean() == pytest.approx(1024 * 0.77777, abs=2)


@pytest.mark.parametrize("values", [np.zeros((2, 1)), np.full((2, 40), np.nan), np.ones((2, 3))])
def test_any_signal_can_be_drawn(values):
    assert signal(values, np.zeros(values.shape))[0].shape == (400, 640, 3)


def test_slices_include_the_strongest():
    volume, attribution = np.zeros((1, 30, 6, 4)), np.zeros((2, 30, 6, 4))
    volume[0, 17], attribution[0, 17] = 1, 1
    panel = volume_panel((), lambda: attribution, attribution.shape, volume)
    width = 800
    height = round(width * panel.aspect)
    drawn, _ = painted(panel, width, height)
    columns = (drawn[3 * height // 4] == RED).all(axis=1)
    assert 0.05 < columns.mean() < 0.2  # one slice of eight
    assert (drawn[height // 4][columns] == 255).all()  # the same slice of the volume, white
    alone = volume_panel((), lambda: attribution, attribution.shape)
    assert alone.aspect == pytest.approx(panel.aspect / 2, rel=0.05)


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
    assert "mean of 6 channels" in input_legend(values, values)[0]
