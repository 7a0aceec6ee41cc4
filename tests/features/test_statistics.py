import numpy as np
import pytest
from scipy import stats

from skasd.features._statistics import check_moments, clip_statistics

LOG_MEL = np.random.default_rng(0).gamma(1.0, 5.0, (4, 50)) - 60


def test_moments_are_those_of_scipy():
    made = clip_statistics(LOG_MEL, (), ("std", "skewness", "kurtosis"))
    expected = [LOG_MEL.std(axis=1), stats.skew(LOG_MEL, axis=1), stats.kurtosis(LOG_MEL, axis=1)]
    np.testing.assert_allclose(made, np.concatenate(expected))


def test_rank_weighted_means_come_first():
    made = clip_statistics(LOG_MEL, (1.0, 0.0), ("std",))
    expected = np.concatenate([LOG_MEL.mean(axis=1), LOG_MEL.max(axis=1)])
    np.testing.assert_allclose(made[:8], expected - expected.mean())
    np.testing.assert_allclose(made[8:], LOG_MEL.std(axis=1))


def test_the_level_of_a_clip_is_of_no_account():
    louder = clip_statistics(LOG_MEL + 13, (1.0, 0.5), ("std", "kurtosis"))
    np.testing.assert_allclose(louder, clip_statistics(LOG_MEL, (1.0, 0.5), ("std", "kurtosis")))


def test_a_band_that_does_not_change_has_no_moments():
    np.testing.assert_array_equal(clip_statistics(np.full((2, 5), -100.0), (), ("std", "skewness", "kurtosis")), 0)


def test_order_of_the_frames_is_of_no_account():
    order = np.random.default_rng(1).permutation(50)
    first = clip_statistics(LOG_MEL, (1.0, 0.9, 0.5), ("std", "skewness", "kurtosis"))
    np.testing.assert_allclose(
        clip_statistics(LOG_MEL[:, order], (1.0, 0.9, 0.5), ("std", "skewness", "kurtosis")), first
    )


@pytest.mark.parametrize(
    ("moments", "error", "message"),
    [("std", TypeError, "moments='std' is a str"), (("mean",), ValueError, "moments='mean' is unknown")],
)
def test_strange_moments_are_refused(moments, error, message):
    with pytest.raises(error, match=message):
        check_moments(moments)
