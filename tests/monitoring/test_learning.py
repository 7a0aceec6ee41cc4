"""Learning: how much sound there is, what is refused, and memory that stays bounded."""

from datetime import UTC, datetime

import numpy as np
import pytest

from skasd.monitoring import _learning
from skasd.monitoring._episodes import HeardWindow
from skasd.monitoring._learning import LearningSound, TooLittleSoundError, learnt
from skasd.monitoring._settings import Settings

AT = datetime(2026, 3, 1, tzinfo=UTC)
DEFAULTS = {
    "window": None,
    "hop": None,
    "machine": None,
    "learning_hours": 24.0,
    "end_share": 0.02,
    "least_duration": 0.0,
    "longest_gap": 30.0,
    "drift_level": 0.01,
    "drift_interval": 600.0,
}


def settings(rate=1.0, **changes):
    return Settings(false_episodes_per_day=rate, **{**DEFAULTS, **changes})


def sound_of(scores, *, hop=5.0, length=10.0):
    sound = LearningSound()
    for number, score in enumerate(np.asarray(scores).tolist()):
        sound.add(HeardWindow(hop * number, hop * number + length, score))
    return sound


def day(seed, days=1.0):
    return np.random.default_rng(seed).normal(size=round(17280 * days))


def test_overlapping_windows_count_once():
    assert sound_of(np.zeros(719)).seconds == pytest.approx(3600)


def test_a_pause_is_no_sound():
    sound = LearningSound()
    for start in (0.0, 5.0, 1000.0, 20.0):
        sound.add(HeardWindow(start, start + 10, 0.0))
    assert sound.seconds == 35.0


def test_the_number_asked_for_is_expected_and_inside_its_interval():
    learning = learnt(sound_of(day(0)), settings(), AT, None)
    assert learning.episodes_per_day == pytest.approx(1.0)
    assert learning.lowest_per_day < 1.0 < learning.highest_per_day
    assert learning.details["lower_level"] < learning.threshold


def test_fewer_false_episodes_take_a_higher_threshold():
    sound = sound_of(day(0, 4.0))
    thresholds = [learnt(sound, settings(rate), AT, None).threshold for rate in (0.1, 1.0, 10.0)]
    assert thresholds == sorted(thresholds, reverse=True)


def test_too_few_runs_are_refused_with_the_hours_that_they_take():
    slow = np.repeat(day(0, 0.01), 100)  # a score that stays the same for eight minutes
    with pytest.raises(TooLittleSoundError, match=r"24 hours have \d+\. Give about") as caught:
        learnt(sound_of(slow), settings(), AT, None)
    assert caught.value.hours > 24
    many = np.repeat(day(0, 0.01 * caught.value.hours / 24 * 1.5), 100)
    assert learnt(sound_of(many), settings(), AT, None).threshold > 0


def test_shorter_runs_do_not_count_if_episodes_must_last():
    sound = sound_of(day(0, 4.0))
    all_runs, long_runs = (
        learnt(sound, settings(least_duration=least), AT, None).details["n_runs"] for least in (0.0, 15.0)
    )
    assert long_runs < all_runs / 2


def test_a_learning_period_that_never_ends_does_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(_learning, "MOST_WINDOWS", 100)
    sound = sound_of(np.arange(1000.0))
    assert len(sound.start) == len(sound.end) == len(sound.score) <= 100
    assert sound.score[-1] == 999.0
    assert sound.seconds == pytest.approx(5 * len(sound.score) + 5)
