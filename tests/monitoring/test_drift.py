"""The test of drift: equal to that of calibrated detectors, one window in a while, silent on sound that does not change."""

import numpy as np
import pytest

from skasd.decisions._exchangeability import _log_capital, _online_p_values, betting_yields
from skasd.monitoring import _drift
from skasd.monitoring._drift import DriftTest, thinned
from skasd.monitoring._episodes import HeardWindow

KNOWN = np.random.default_rng(0).normal(size=144)


def heard(test, scores, interval=600.0):
    windows = [HeardWindow(interval * k, interval * k + 10, score) for k, score in enumerate(scores.tolist())]
    return [alarm for alarm in map(test.hear, windows) if alarm is not None]


def test_it_is_the_test_of_calibrated_detectors_a_step_at_a_time():
    scores, test = np.random.default_rng(1).normal(0.5, 1.0, 80), DriftTest(600.0, 0.01, sorted(KNOWN.tolist()))
    heard(test, scores)
    draws = np.array([np.random.default_rng(step).random() for step in range(80)])
    p_values = _online_p_values(scores, KNOWN, draws)
    assert test.log_capital == pytest.approx(_log_capital(betting_yields(p_values, "two-sided"))[-1])


@pytest.mark.parametrize("change", [1.5, -1.5])
def test_a_change_is_noticed_once(change):
    test = DriftTest(600.0, 0.01, sorted(KNOWN.tolist()))
    alarms = heard(test, np.random.default_rng(1).normal(change, 1.0, 100))
    assert len(alarms) == 1
    assert alarms[0].log_martingale >= 2
    assert test.has_alarmed


def test_false_alarms_are_rarer_than_their_level():
    generator = np.random.default_rng(0)
    alarms = [
        bool(heard(DriftTest(1.0, 0.05, sorted(generator.normal(size=36).tolist())), generator.normal(size=300), 1.0))
        for _ in range(100)
    ]
    assert np.mean(alarms) <= 0.1


def test_windows_between_are_not_looked_at():
    test = DriftTest(600.0, 0.01, [0.0])
    heard(test, np.zeros(481), interval=5.0)
    assert test.n_steps == 5


def test_the_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(_drift, "MOST_SEEN", 50)
    test = DriftTest(1.0, 0.01, [])
    heard(test, np.random.default_rng(0).normal(size=200), 1.0)
    assert len(test.seen) == 50
    assert test.n_steps == 200


def test_the_reference_is_thinned_as_the_test_is():
    start = np.arange(0, 3600, 5.0)
    assert thinned(start, start, 600.0) == [0.0, 600.0, 1200.0, 1800.0, 2400.0, 3000.0]


def test_equal_scores_are_no_drift():
    test = DriftTest(600.0, 0.01, [1.0] * 50)
    assert not heard(test, np.ones(500))
