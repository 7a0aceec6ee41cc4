"""The test of exchangeability: its martingale by hand, its level, and changes that it finds."""

import numpy as np
import pytest
from scipy.stats import kstest

from skasd.decisions._calibration import Calibration
from skasd.decisions._exchangeability import _log_capital, betting_yields, exchangeability_of


def run(score, known, group=None, recording=None, level=0.01, seed=0, alternative="greater"):
    group = np.full(len(score), "") if group is None else group
    recording = np.arange(len(score)) if recording is None else recording
    calibrations = {name: Calibration.of(known, np.arange(len(known))) for name in np.unique(group)}
    return exchangeability_of(np.asarray(score, dtype=float), group, recording, calibrations, level, seed, alternative)


@pytest.mark.parametrize("alternative", ["greater", "two-sided"])
def test_the_martingale_is_that_of_its_bets_by_hand(alternative):
    p = np.array([0.1, 0.9, 0.02])
    functions = [lambda p: 1.0, lambda p: 0.5 / np.sqrt(p), lambda p: 0.5 / np.sqrt(1 - p)]
    functions = functions[:2] if alternative == "greater" else functions
    capital, expected = [1 / len(functions)] * len(functions), []
    for value in p:
        total = sum(capital)
        capital = [0.99 * part + 0.01 * total / len(functions) for part in capital]
        capital = [part * function(value) for part, function in zip(capital, functions, strict=True)]
        expected.append(np.log(sum(capital)))
    np.testing.assert_allclose(_log_capital(betting_yields(p, alternative)), expected, rtol=1e-12)


@pytest.mark.parametrize("alternative", ["greater", "two-sided"])
def test_a_bet_is_fair(alternative):
    p = (np.arange(200000) + 0.5) / 200000
    np.testing.assert_allclose(betting_yields(p, alternative).mean(axis=0), 1.0, rtol=2e-3)


def test_p_values_rank_a_clip_among_all_clips_before_it():
    result = run([5.0, 6.0, 0.5], np.array([1.0, 2.0, 3.0]))
    draws = np.random.default_rng(0).random(3)
    np.testing.assert_allclose(result.p_value, [draws[0] / 4, draws[1] / 5, (5 + draws[2]) / 6])


def test_p_values_of_many_clips_are_those_of_one_clip_after_the_other():
    score, known = np.random.default_rng(0).integers(0, 50, size=(2, 1100)).astype(float)
    result, draws = run(score, known[:40]), np.random.default_rng(0).random(1100)
    for position in (0, 1, 511, 512, 513, 1099):
        before = np.r_[known[:40], score[:position]]
        above, equal = (before > score[position]).sum(), (before == score[position]).sum()
        expected = (above + draws[position] * (1 + equal)) / (len(before) + 1)
        np.testing.assert_allclose(result.p_value[position], expected, rtol=1e-12)


def test_p_values_of_exchangeable_clips_are_uniform():
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 20, size=(40, 80)).astype(float)
    p = np.concatenate([run(row[30:], row[:30], seed=seed).p_value for seed, row in enumerate(scores)])
    assert kstest(p, "uniform").pvalue > 0.01


@pytest.mark.parametrize("alternative", ["greater", "two-sided"])
def test_exchangeable_clips_raise_an_alarm_no_more_often_than_the_level(alternative):
    rng, how = np.random.default_rng(2), {"level": 0.1, "alternative": alternative}
    alarms = [run(rng.standard_normal(120), rng.standard_normal(40), seed=n, **how).alarm for n in range(200)]
    n_alarms = sum(alarm is not None for alarm in alarms)
    assert n_alarms <= 0.1 * 200 + 2 * np.sqrt(200 * 0.1 * 0.9)
    assert n_alarms > 0  # a test that never fires says nothing


@pytest.mark.parametrize(("shift", "alternative"), [(1.5, "greater"), (1.5, "two-sided"), (-1.5, "two-sided")])
def test_a_shift_is_found_within_fifty_clips(shift, alternative):
    rng = np.random.default_rng(3)
    for seed in range(20):
        before, after = rng.standard_normal(60), rng.standard_normal(60) + shift
        alarm = run(np.r_[before, after], rng.standard_normal(100), seed=seed, alternative=alternative).alarm
        assert 60 <= alarm < 110


def test_groups_have_martingales_of_their_own():
    rng = np.random.default_rng(4)
    score, group = rng.standard_normal(120), np.tile(["fan", "pump"], 60)
    score[group == "pump"] += np.where(np.arange(60) >= 20, 3.0, 0.0)
    both = run(score, rng.standard_normal(50), group)
    assert not both.holds
    assert both.alarm >= 40
    fan = group == "fan"
    steady = run(score[fan], rng.standard_normal(50), group[fan])
    assert steady.holds
    table = both.frame()
    assert list(table.columns) == ["group", "p_value", "log_martingale"]
    assert len(table) == 120


def test_one_clip_of_each_recording_is_drawn():
    used = [
        ~np.isnan(run([5.0, 5.0, 5.0, 0.0], np.arange(10.0), recording=np.array([0, 0, 1, 1]), seed=seed).p_value)
        for seed in range(20)
    ]
    assert {tuple(one.tolist()) for one in used} == {
        (first, not first, third, not third) for first in (True, False) for third in (True, False)
    }


def test_windows_that_differ_by_their_place_in_a_recording_raise_no_alarm():
    rng, alarms = np.random.default_rng(5), 0
    place = np.tile([2.0, 0.0, 0.0], 60)  # the first window is louder, as of a machine that starts
    for seed in range(10):
        known, new = rng.standard_normal(180) + place, rng.standard_normal(180) + place
        recording = np.repeat(np.arange(60), 3)
        calibrations = {"": Calibration.of(known, recording)}
        alarms += not exchangeability_of(new, np.full(180, ""), recording, calibrations, 0.01, seed).holds
    assert alarms <= 1
