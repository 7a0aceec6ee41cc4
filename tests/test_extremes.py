"""The largest score of several windows, on the scale of one window."""

import numpy as np
import pytest
from scipy import stats

from skasd._extremes import as_of_one_window

NORMAL = np.sort(np.random.default_rng(0).gamma(2, size=200))
SCORES = np.concatenate([np.linspace(-1, 20, 2001), np.geomspace(21, 1e9, 50)])


def of(share, score=SCORES, normal=NORMAL):
    return as_of_one_window(score, np.full(len(score), float(share)), normal)


def test_one_window_keeps_its_score():
    np.testing.assert_array_equal(of(1), SCORES)


@pytest.mark.parametrize("share", [1.2, 2, 7, 1000])
def test_a_larger_score_stays_larger_and_no_score_grows(share):
    assert (np.diff(of(share)) >= 0).all()
    assert (of(share) <= SCORES + 1e-9).all()


@pytest.mark.parametrize("share", [1.2, 2, 7, 1000])
def test_the_parts_of_the_distribution_meet(share):
    score, normal = np.linspace(-1, 20, 200001), stats.gamma.ppf(np.linspace(0.01, 0.99, 99), 2)
    assert np.abs(np.diff(of(share, score, normal))).max() < 0.01


def test_level_of_a_score_is_raised_to_the_number_of_windows():
    normal = np.linspace(0, 1, 101)
    np.testing.assert_allclose(of(2, np.array([0.3, 0.5, 0.8]), normal), [0.09, 0.25, 0.64])


def test_large_scores_are_lowered_by_the_logarithm_of_the_number_of_windows():
    normal = np.sort(np.random.default_rng(0).exponential(3.0, size=100000))
    np.testing.assert_allclose(of(7, np.array([40.0, 1e6]), normal), np.array([40.0, 1e6]) - 3 * np.log(7), atol=0.1)


def test_scores_below_all_normal_ones_are_kept():
    np.testing.assert_array_equal(of(7, np.array([-3.0, NORMAL[0]])), [-3.0, NORMAL[0]])


def test_normal_scores_that_are_all_alike_have_no_scale():
    np.testing.assert_array_equal(of(7, normal=np.ones(5)), SCORES)


@pytest.mark.parametrize("n_windows", [2, 7, 30])
def test_as_many_false_alarms_as_for_one_window(n_windows):
    rng, rates = np.random.default_rng(1), []
    for _ in range(200):
        normal = np.sort(rng.gamma(2, size=100))
        largest = rng.gamma(2, size=(100, n_windows)).max(axis=1)
        rates.append((of(n_windows, largest, normal) > np.quantile(normal, 0.9)).mean())
    assert 0.07 < np.mean(rates) < 0.15
