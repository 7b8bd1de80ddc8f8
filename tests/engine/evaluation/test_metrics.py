"""The measures of a map, on numbers small enough to follow."""

import numpy as np
import pytest

from onnxplain.engine.evaluation import metrics


def test_strength_is_the_norm_of_several_channels_and_what_is_positive_of_one():
    three = np.array([[[3.0, -1]], [[4.0, 2]], [[0.0, -2]]])
    np.testing.assert_allclose(metrics.strength(three, 1, 2), [[5, 3]])
    one = np.array([[[3.0, -1]]])
    np.testing.assert_allclose(metrics.strength(one, 1, 2), [[3, 0]])


def test_a_constant_part_does_not_count():
    for sign in (1, -1):
        same = np.array([[[3.0, 4], [5, 7]]]) - (10 if sign < 0 else 0)
        np.testing.assert_allclose(metrics.strength(same, 2, 2), [[0, 1], [2, 4]])


def test_strength_of_another_size_is_resized():
    found = metrics.strength(np.array([[[0.0, 1.0], [0.0, 1.0]]]), 4, 4)
    assert found.shape == (4, 4)
    assert np.all(np.diff(found, axis=1) >= 0)
    assert found[0, 0] == 0
    assert found[0, 3] == 1


def test_the_strongest_pixels_come_first():
    assert metrics.ranked_pixels(np.array([[1.0, 4.0], [3.0, 2.0]])).tolist() == [1, 2, 3, 0]
    equal = metrics.ranked_pixels(np.zeros((3, 3)))
    assert sorted(equal) == list(range(9))
    assert equal.tolist() != list(range(9))


def test_pixels_are_replaced_in_their_order():
    start, end = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 9, np.uint8)
    frames = metrics.replaced(start, end, np.array([3, 0, 1, 2]), 2)
    assert frames[:, :, :, 0].tolist() == [[[0, 0], [0, 0]], [[9, 0], [0, 9]], [[9, 9], [9, 9]]]


def test_the_area_under_a_curve():
    assert metrics.area_under(np.array([1.0, 1.0, 1.0])) == 1
    assert metrics.area_under(np.array([1.0, 0.0])) == 0.5
    assert metrics.area_under(np.array([0.0, 1.0, 0.0])) == 0.5


def test_pointing_and_mass():
    mask = np.array([[True, False], [False, False]])
    assert metrics.points_inside(np.array([[3.0, 1], [0, 0]]), mask)
    assert not metrics.points_inside(np.array([[1.0, 3], [0, 0]]), mask)
    assert not metrics.points_inside(np.zeros((2, 2)), mask)
    assert metrics.mass_inside(np.array([[3.0, 1], [0, 0]]), mask) == 0.75
    assert metrics.mass_inside(np.zeros((2, 2)), mask) == 0


def test_rank_correlation():
    a = np.array([1.0, 2, 3, 4])
    assert metrics.rank_correlation(a, np.exp(a)) == pytest.approx(1)
    assert metrics.rank_correlation(a, -a) == pytest.approx(-1)
    # 1 - 6 Σd² / n(n² - 1), d = ranks 1 2 3 4 against 2 1 4 3
    assert metrics.rank_correlation(a, np.array([2.0, 1, 4, 3])) == pytest.approx(0.6)
    # ties share their mean rank: 0.5 0.5 2.5 2.5 against 0 1 2 3
    tied = metrics.rank_correlation(np.array([1.0, 1, 2, 2]), a)
    assert tied == pytest.approx(np.corrcoef([0.5, 0.5, 2.5, 2.5], [0, 1, 2, 3])[0, 1])
    assert metrics.rank_correlation(a, np.ones(4)) == 0


def test_blurred_and_grey():
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:, 16:] = (200, 100, 50)
    assert np.unique(metrics.grey(picture).reshape(-1, 3), axis=0).tolist() == [[100, 50, 25]]
    soft = metrics.blurred(picture)
    assert soft.shape == picture.shape
    assert 50 < soft[16, 15, 0] < 150
