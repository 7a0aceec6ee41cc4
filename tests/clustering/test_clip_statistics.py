import numpy as np
import pytest
from scipy import stats

from skasd.clustering._clip_statistics import ClipStatistics, mean_skewness

LOG_MEL = np.random.default_rng(0).gamma(1.0, 5.0, (4, 50)) - 60
QUIET = LOG_MEL.max() - LOG_MEL  # leans to the quiet side
ALL = ("std", "skewness", "kurtosis")


def statistics(log_mel, r, moments=()):
    made = ClipStatistics(r, moments)
    return made.of_machines(made.of_clip(log_mel)[None], np.array([""]))[0]


def test_moments_are_those_of_scipy():
    made = statistics(LOG_MEL, (1.0,), ALL)[4:]
    expected = [LOG_MEL.std(axis=1), stats.skew(LOG_MEL, axis=1), stats.kurtosis(LOG_MEL, axis=1)]
    np.testing.assert_allclose(made, np.concatenate(expected))


def test_rank_weighted_means_come_first():
    made = statistics(LOG_MEL, (1.0, 0.0), ("std",))
    expected = np.concatenate([LOG_MEL.mean(axis=1), LOG_MEL.max(axis=1)])
    np.testing.assert_allclose(made[:8], expected - expected.mean())
    np.testing.assert_allclose(made[8:], LOG_MEL.std(axis=1))


@pytest.mark.parametrize("r", [(1.0, 0.5), "auto"])
def test_the_level_of_a_clip_is_of_no_account(r):
    np.testing.assert_allclose(statistics(LOG_MEL + 13, r, ALL), statistics(LOG_MEL, r, ALL))


def test_a_band_that_does_not_change_has_no_moments():
    np.testing.assert_array_equal(statistics(np.full((2, 5), -100.0), (1.0,), ALL), 0)


def test_order_of_the_frames_is_of_no_account():
    order = np.random.default_rng(1).permutation(50)
    np.testing.assert_allclose(statistics(LOG_MEL[:, order], "auto", ALL), statistics(LOG_MEL, "auto", ALL))


def test_mean_skewness_is_that_of_scipy():
    assert mean_skewness(LOG_MEL) == pytest.approx(stats.skew(LOG_MEL, axis=1).mean())
    half = np.concatenate([LOG_MEL, np.zeros((4, 50))])
    assert mean_skewness(half) == pytest.approx(mean_skewness(LOG_MEL) / 2)


def test_machines_that_act_now_and_then_keep_their_loudest_frames_alone():
    made = ClipStatistics("auto", ("std",))
    rows = np.array([made.of_clip(QUIET), made.of_clip(LOG_MEL), made.of_clip(LOG_MEL + 3)])
    steady, valve, louder = made.of_machines(rows, np.array(["fan", "valve", "valve"]))
    np.testing.assert_allclose(steady, statistics(QUIET, (1.0, 0.9, 0.5), ("std",)))
    np.testing.assert_array_equal(valve[:8], 0)
    np.testing.assert_allclose(valve[8:], statistics(LOG_MEL, (0.5,), ("std",)))
    np.testing.assert_allclose(louder, valve, atol=1e-12)


def test_clips_of_a_machine_are_taken_together():
    made = ClipStatistics("auto", ())
    rows = np.array([made.of_clip(QUIET), made.of_clip(LOG_MEL), made.of_clip(LOG_MEL)])
    assert rows[0, -1] < 0 < 0.4 < rows[:, -1].mean() < rows[1, -1]
    np.testing.assert_array_equal(made.of_machines(rows, np.array(["fan"] * 3))[:, :8], 0)
    apart = made.of_machines(rows, np.array(["fan", "valve", "valve"]))
    assert (apart[0, :8] != 0).all()
    np.testing.assert_array_equal(apart[1:, :8], 0)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (((1.0,), "std"), TypeError, "moments='std' is a str"),
        (((1.0,), ("mean",)), ValueError, "moments='mean' is unknown"),
        (("best", ()), ValueError, "r='best' is unknown"),
        (((), ()), ValueError, "r is empty"),
        (((2.0,), ()), ValueError, "r=2.0 is out of range"),
    ],
)
def test_strange_settings_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        ClipStatistics(*settings).check()
