"""P-values: their definition, the promise they make, and the thresholds that follow from them."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, t

from skasd.decisions._calibration import Calibration, fewest_recordings, provisional_threshold, tie_draws


def p_value_by_hand(a, score, recording):
    numbers = np.unique(recording)
    of_recordings = [np.mean(score[recording == number] >= a) for number in numbers]
    return (1 + sum(of_recordings)) / (len(numbers) + 1)


@pytest.mark.parametrize("sizes", [[1] * 12, [1, 3, 2, 5], [4, 4]], ids=str)
def test_p_values_are_those_of_the_formula(sizes):
    rng = np.random.default_rng(0)
    recording = np.repeat(np.arange(len(sizes)), sizes)
    score = rng.standard_normal(len(recording))
    calibration = Calibration.of(score, recording)
    assert calibration.n_recordings == len(sizes)
    new = rng.standard_normal(50)
    expected = [p_value_by_hand(a, score, recording) for a in new]
    np.testing.assert_allclose(calibration.p_values(new), expected, rtol=1e-12)


def test_joining_several_is_joining_one_after_the_other():
    rng = np.random.default_rng(0)
    parts = [Calibration.of(rng.integers(0, 9, n).astype(float), rng.integers(0, 4, n)) for n in (0, 5, 1, 12)]
    together, in_turn = (
        parts[1].joined(parts[0], *parts[2:]),
        parts[1].joined(parts[0]).joined(parts[2]).joined(parts[3]),
    )
    for name in ("score", "weight", "recording"):
        np.testing.assert_array_equal(getattr(together, name), getattr(in_turn, name))
    assert together.n_recordings == sum(part.n_recordings for part in parts)


def test_copies_of_a_clip_count_once():
    once = Calibration.of(np.array([1.0, 2.0, 3.0]), np.array([0, 1, 2]))
    thrice = Calibration.of(np.array([1.0, 2.0, 2.0, 2.0, 3.0]), np.array([0, 1, 1, 1, 2]))
    np.testing.assert_array_equal(once.score, thrice.score)
    np.testing.assert_array_equal(once.weight, thrice.weight)


@pytest.mark.parametrize("n", [1, 7, 19, 30])
def test_an_exchangeable_clip_has_a_small_p_value_as_often_as_is_promised(n):
    score = np.random.default_rng(n).standard_normal(n + 1)  # each of n + 1 clips is equally likely to be the new one
    p = [Calibration.of(np.delete(score, new), np.arange(n)).p_values(score[[new]])[0] for new in range(n + 1)]
    for alpha in (0.01, 0.05, 0.1, 0.34, 0.5):
        assert np.sum(np.array(p) <= alpha + 1e-12) == np.floor(alpha * (n + 1) + 1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_a_window_of_a_new_recording_keeps_the_promise_too(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 6, size=15)
    windows = [rng.standard_normal() + 0.1 * rng.standard_normal(size) for size in sizes]  # alike within a recording
    p = []
    for new, own in enumerate(
        windows
    ):  # each recording is equally likely to be the new one, and then each of its windows
        others = [scores for number, scores in enumerate(windows) if number != new]
        recording = np.repeat(np.arange(len(others)), [len(scores) for scores in others])
        p.append(Calibration.of(np.concatenate(others), recording).p_values(own))
    for alpha in (0.07, 0.1, 0.2, 0.5):
        assert np.mean([(values <= alpha).mean() for values in p]) <= alpha + 1e-12


def test_ties_are_conservative_or_drawn():
    calibration = Calibration.of(np.repeat([0.0, 1.0, 2.0], 10), np.arange(30))
    np.testing.assert_allclose(calibration.p_values(np.array([1.0])), 21 / 31)
    draws = np.array([0.0, 0.25, 0.75])
    np.testing.assert_allclose(calibration.p_values(np.ones(3), draws), (10 + draws * 11) / 31)


@pytest.mark.parametrize("n", [3, 40])
def test_with_drawn_ties_p_values_of_exchangeable_clips_are_uniform(n):
    rng = np.random.default_rng(n)
    p = []
    for _ in range(1500):
        score = rng.integers(0, 6, size=n + 1).astype(float)  # many ties
        p += Calibration.of(score[:n], np.arange(n)).p_values(score[n:], rng.random(1)).tolist()
    assert kstest(p, "uniform").pvalue > 0.01


def test_a_clip_gets_the_same_draw_whatever_the_order():
    score = np.random.default_rng(0).standard_normal(20)
    draws = tie_draws(score, 3)
    order = np.random.default_rng(1).permutation(20)
    np.testing.assert_array_equal(tie_draws(score[order], 3), draws[order])
    assert kstest(tie_draws(np.arange(2000.0), 0), "uniform").pvalue > 0.01
    assert not (tie_draws(score, 4) == draws).any()


FLOATS = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda value: round(value, 3))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(FLOATS, st.integers(0, 30)), min_size=1, max_size=60),
    st.lists(FLOATS, min_size=1, max_size=20),
    st.sampled_from([0.01, 0.05, 0.1, 1 / 3, 0.5]),
)
def test_a_score_beyond_the_threshold_is_one_with_a_small_p_value(known, new, alpha):
    score, recording = map(np.array, zip(*known, strict=True))
    calibration = Calibration.of(score.astype(float), recording)
    if calibration.n_recordings < fewest_recordings(alpha):
        with pytest.raises(ValueError, match=rf"takes at least {fewest_recordings(alpha)} calibration clips"):
            calibration.threshold(alpha)
        return
    new = np.r_[np.array(new, dtype=float), calibration.score]
    p_value = calibration.p_values(new)
    clear = np.abs(p_value - alpha) > 1e-9  # sums of fractions such as 1/3 may differ in their last digit
    np.testing.assert_array_equal((new > calibration.threshold(alpha))[clear], (p_value <= alpha)[clear])


def test_joined_calibrations_are_that_of_all_clips():
    rng = np.random.default_rng(0)
    score, recording = rng.standard_normal(30), np.arange(30) // 2
    parts = [Calibration.of(score[rows], recording[rows]) for rows in (slice(10), slice(10, None))]
    whole, joined = Calibration.of(score, recording), parts[0].joined(parts[1])
    np.testing.assert_array_equal(joined.score, whole.score)
    np.testing.assert_array_equal(joined.weight, whole.weight)


@pytest.mark.parametrize(("alpha", "n"), [(0.5, 1), (0.1, 9), (0.05, 19), (0.01, 99), (0.3, 3)])
def test_fewest_calibration_clips(alpha, n):
    assert fewest_recordings(alpha) == n
    assert 1 / (n + 1) <= alpha + 1e-12 < 1 / n


def test_provisional_threshold_is_a_robust_z_score():
    score = np.array([1.0, 2.0, 3.0, 4.0, 50.0])
    expected = 3 + 1.4826 * 1.0 * t.ppf(0.95, 0.37 * 4) * np.sqrt(1 + np.pi / 10)
    assert provisional_threshold(score, 0.05) == pytest.approx(expected)
    for n in (5, 8, 14):
        normal = np.random.default_rng(n).standard_normal((1500, n + 1))
        alarms = [row[-1] > provisional_threshold(row[:-1], 0.05) for row in normal]
        assert 0.02 < np.mean(alarms) < 0.065
    assert 2.0 < provisional_threshold(np.full(5, 2.0), 0.05) < 2.001


@pytest.mark.parametrize(("score", "sizes"), list(product([0.0, -5.0, 1e12], [(1, 1, 1, 1), (2, 2)])))
def test_a_clip_with_the_score_of_a_calibration_clip_counts_it_whatever_the_rounding(score, sizes):
    recording = np.repeat(np.arange(len(sizes)), sizes)
    calibration = Calibration.of(np.full(4, score), recording)
    np.testing.assert_allclose(calibration.p_values(np.array([score * (1 + 1e-9)])), 1.0)
