"""Episodes: hysteresis, least duration and merged gaps, on sequences made by hand and by chance."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skasd.monitoring._episodes import EpisodeRule, HeardWindow
from skasd.monitoring._runs import RunRule, largest_scores

LOW, THRESHOLD = 1.0, 2.0


def windows(scores, *, length=10.0, hop=5.0, start=0.0):
    return [HeardWindow(start + hop * k, start + hop * k + length, float(score)) for k, score in enumerate(scores)]


def episodes_of(heard, *, longest_gap=0.0, least_duration=0.0):
    """Episodes that have ended, and the one that has not, of windows in order."""
    rule = EpisodeRule(RunRule(LOW, longest_gap, least_duration), THRESHOLD)
    run, found = None, []
    for window in heard:
        run, ended = rule.hear(run, window)
        found += [] if ended is None else [ended]
    lasting = rule.episode(run, has_ended=False)
    return found + ([] if lasting is None else [lasting])


def at(seconds):
    return datetime.fromtimestamp(seconds, UTC)


def test_an_episode_starts_above_the_threshold_and_ends_below_the_lower_level():
    (episode,) = episodes_of(windows([0, 1.5, 3, 1.5, 1.5, 0, 0, 0]))
    assert (episode.started_at, episode.ended_at) == (at(10), at(30))
    assert (episode.n_windows, episode.largest_score, episode.threshold) == (3, 3.0, THRESHOLD)


def test_scores_between_the_levels_are_no_episode():
    assert episodes_of(windows([0, 1.9, 2.0, 1.5, 0])) == []


def test_an_episode_lasts_until_a_gap_is_over():
    (episode,) = episodes_of(windows([3, 0, 0]))
    assert episode.ended_at is None
    assert episodes_of(windows([3, 0, 0, 0]))[0].ended_at == at(10)


@pytest.mark.parametrize(("longest_gap", "n_episodes"), [(0.0, 2), (9.9, 2), (10.0, 1)])
def test_short_gaps_are_merged(longest_gap, n_episodes):
    found = episodes_of(windows([3, 0, 0, 0, 4, 0, 0, 0, 0, 0]), longest_gap=longest_gap)
    assert len(found) == n_episodes
    assert sum(episode.n_windows for episode in found) == (5 if n_episodes == 1 else 2)


def test_a_gap_between_recordings_ends_an_episode():
    found = episodes_of(windows([3, 3]) + windows([3, 3], start=1000.0))
    assert [episode.ended_at for episode in found] == [at(15), None]


def test_a_recording_from_before_ends_an_episode():
    found = episodes_of(windows([3, 3], start=1000.0) + windows([3, 3]))
    assert [episode.started_at for episode in found] == [at(1000), at(0)]


@pytest.mark.parametrize(("least_duration", "n_episodes"), [(20.0, 1), (20.1, 0)])
def test_short_episodes_do_not_count(least_duration, n_episodes):
    assert len(episodes_of(windows([1.5, 3, 1.5, 0, 0, 0]), least_duration=least_duration)) == n_episodes


def test_the_window_with_the_largest_score_is_named():
    heard = [HeardWindow(5.0 * k, 5.0 * k + 10, score, f"{k}.wav", k) for k, score in enumerate([3.0, 5.0, 4.0])]
    (episode,) = episodes_of(heard)
    assert (episode.clip, episode.window_number, episode.largest_score) == ("1.wav", 1, 5.0)


scores = st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]), max_size=60)


@given(scores, st.sampled_from([0.0, 5.0, 12.0, 30.0]), st.sampled_from([0.0, 15.0, 25.0]))
@settings(max_examples=200, deadline=None)
def test_episodes_are_the_runs_whose_largest_score_exceeds_the_threshold(scores, longest_gap, least_duration):
    heard = windows(scores)
    found = episodes_of(heard, longest_gap=longest_gap, least_duration=least_duration)
    start, end = (np.array([getattr(window, name) for window in heard]) for name in ("start", "end"))
    largest = largest_scores(start, end, np.array(scores), RunRule(LOW, longest_gap, least_duration))
    assert [episode.largest_score for episode in found] == largest[largest > THRESHOLD].tolist()


@given(scores)
@settings(max_examples=100, deadline=None)
def test_episodes_neither_overlap_nor_come_out_of_order(scores):
    found = episodes_of(windows(scores), longest_gap=7.0)
    ends = [episode.ended_at for episode in found[:-1]]
    assert all(end < later.started_at for end, later in zip(ends, found[1:], strict=True))
