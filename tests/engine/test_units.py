"""Units and positions: what callers say, as checked numbers."""

import numpy as np
import pytest

from onnxplain.engine.units import checked_positions, choose_channels, top_count
from onnxplain.graphops.errors import ChannelError, OptionError

STRENGTH = np.array([[0.1, 3.0, 2.0, 3.0], [np.nan, -1.0, -2.0, 0.5]], np.float32)


def chosen(units, strength=None):
    return choose_channels(units, 2, 4, strength, "conv5").tolist()


def test_numbers_are_taken_for_every_image():
    assert chosen([2, 0]) == [[2, 0]] * 2
    assert chosen(3) == [[3]] * 2
    assert chosen(np.array([1, 1])) == [[1, 1]] * 2
    assert chosen("all") == [[0, 1, 2, 3]] * 2


def test_the_strongest_come_first_equal_ones_in_order_and_nan_last():
    assert chosen(None, STRENGTH) == [[1], [3]]
    assert chosen("top:4", STRENGTH) == [[1, 3, 2, 0], [3, 1, 2, 0]]


@pytest.mark.parametrize("units", [[4], [0, -1], 99])
def test_a_channel_out_of_range_is_named_with_layer_and_range(units):
    with pytest.raises(ChannelError, match=r"no channel (4|-1|99) in layer 'conv5'.*0 to 3"):
        chosen(units)


def test_more_than_all_channels_are_refused():
    with pytest.raises(ChannelError, match=r"'top:5'.*4 channels.*'conv5'"):
        chosen("top:5", STRENGTH)


@pytest.mark.parametrize("units", ["top", "top:", "top:0", "top:-1", "best:3", "3,4", ""])
def test_other_words_are_refused(units):
    with pytest.raises(OptionError, match="top:K"):
        top_count(units)


@pytest.mark.parametrize("units", [[], [1.5], ["a"]])
def test_what_is_no_channel_number_is_refused(units):
    with pytest.raises(OptionError):
        chosen(units)


def test_one_position_is_taken_for_all_units():
    assert checked_positions((1, 2), [(3, 4)] * 2, 3, "conv5").tolist() == [[[1, 2]] * 3] * 2
    each = np.arange(8).reshape(2, 2, 2) % 3
    assert checked_positions(each, [(3, 4)] * 2, 2, "conv5").tolist() == each.tolist()


@pytest.mark.parametrize("position", [(3, 0), (0, 4), (-1, 0)])
def test_a_position_outside_is_named_with_the_layer_s_size(position):
    with pytest.raises(ChannelError, match=r"'conv5'.*0 to 2, 0 to 3"):
        checked_positions(position, [(3, 4)], 1, "conv5")


@pytest.mark.parametrize("position", [(1,), (1.5, 2.0), np.zeros((2, 2), int), "corner"])
def test_a_position_of_another_form_is_refused(position):
    with pytest.raises(OptionError, match="position"):
        checked_positions(position, [(3, 4)], 1, "conv5")
