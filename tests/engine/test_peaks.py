"""Where channels are strongest."""

import numpy as np

from onnxplain.engine.peaks import peaks


def test_a_channel_has_its_maximum_at_the_first_of_equal_positions():
    values = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4) * [[[[1]], [[-1]]]]
    values[0, 1, 2, 1] = -12
    maxima, positions = peaks(values, 1)
    assert maxima.tolist() == [[11, -12]]
    assert positions.tolist() == [[[2, 3], [0, 0]]]


def test_channels_may_be_any_axis():
    values = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    maxima, positions = peaks(values, 3)
    assert maxima.tolist() == [[20, 21, 22, 23]]
    assert positions.tolist() == [[[1, 2]] * 4]


def test_a_layer_without_positions_has_none():
    maxima, positions = peaks(np.array([[5.0, 7.0]], np.float32), 1)
    assert maxima.tolist() == [[5, 7]]
    assert positions.shape == (1, 2, 0)
