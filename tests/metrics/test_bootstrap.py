from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skasd.metrics import (
    aggregate_score,
    auc_score,
    bootstrap_interval,
    official_score,
    partial_auc_score,
)

N_CLIPS = 40


def blobs(distance, seed, n=N_CLIPS):
    y_true = np.repeat([1, -1], n)
    return y_true, np.random.default_rng(seed).normal(y_true * distance / 2)


@given(st.floats(1, 2), st.integers(0, 1000), st.sampled_from([auc_score, partial_auc_score]))
@settings(max_examples=20, deadline=None, derandomize=True)  # a percentile interval may miss its estimate, if rarely
def test_interval_holds_the_estimate(distance, seed, metric):
    y_true, score_samples = blobs(distance, seed)
    interval = bootstrap_interval(metric, y_true, score_samples, n_resamples=200, random_state=seed)
    assert interval.estimate == metric(y_true, score_samples)
    assert interval.low < interval.estimate < interval.high


def test_interval_of_most_test_sets_holds_the_true_auc():
    true_auc = 0.7602  # of two unit normal distributions one apart: Phi(1 / sqrt 2)
    intervals = [bootstrap_interval(auc_score, *blobs(1, seed), n_resamples=200, random_state=0) for seed in range(60)]
    n_held = sum(interval.low <= true_auc <= interval.high for interval in intervals)
    assert 50 <= n_held < 60


def test_standard_error_agrees_with_that_over_fresh_test_sets():
    fresh = np.std([auc_score(*blobs(1, seed)) for seed in range(400)])
    errors = [bootstrap_interval(auc_score, *blobs(1, seed), n_resamples=300, random_state=0)[3] for seed in range(10)]
    assert np.mean(errors) == pytest.approx(fresh, rel=0.15)


def test_same_seed_same_interval_other_seed_another():
    clips = blobs(1, 0)
    first, again, other = (bootstrap_interval(auc_score, *clips, n_resamples=50, random_state=k) for k in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.parametrize("random_state", [None, 0])
def test_global_generator_is_untouched(random_state):
    before = np.random.get_state()[1].copy(), np.random.get_state()[2]  # noqa: NPY002
    bootstrap_interval(auc_score, *blobs(1, 0), n_resamples=10, random_state=random_state)
    after = np.random.get_state()[1], np.random.get_state()[2]  # noqa: NPY002
    np.testing.assert_array_equal(before[0], after[0])
    assert before[1] == after[1]


def test_every_resample_has_the_counts_of_the_test_set(scored_clips):
    table, y_true, score_samples = scored_clips
    counts = []

    def metric(y, s, t):
        counts.append(t.assign(y=y).groupby(["machine_type", "section", "domain", "y"]).size().tolist())
        return auc_score(y, s)

    bootstrap_interval(metric, y_true, score_samples, table, n_resamples=20, random_state=0)
    assert len(counts) == 21
    assert all(count == [6] * 16 for count in counts)


def test_clips_are_drawn_with_replacement_and_stay_with_their_row(scored_clips):
    table, y_true, score_samples = scored_clips
    table = table.assign(row=np.arange(len(table)))
    distinct = []

    def metric(y, s, t):
        np.testing.assert_array_equal(s, score_samples[t["row"]])
        distinct.append(t["row"].nunique())
        return 0.0

    bootstrap_interval(metric, y_true, score_samples, table, n_resamples=20, random_state=0)
    assert max(distinct[:-1]) < len(table)
    assert distinct[-1] == len(table)


def test_rows_of_unknown_domain_are_drawn_too(scored_clips):
    table, y_true, score_samples = scored_clips
    table = table.assign(domain=table["domain"].where(table["section"] == "00"))
    sizes = []

    def metric(y, s, t):
        sizes.append(len(t))
        return 0.0

    bootstrap_interval(metric, y_true, score_samples, table, n_resamples=3, random_state=0)
    assert sizes == [len(table)] * 4


@pytest.mark.parametrize(
    "metric", [partial(official_score, year=2023), partial(aggregate_score, metric="partial_auc", aggregation="pooled")]
)
def test_aggregates_have_intervals(scored_clips, metric):
    table, y_true, score_samples = scored_clips
    interval = bootstrap_interval(metric, y_true, score_samples, table, n_resamples=30, random_state=0)
    assert interval.estimate == metric(y_true, score_samples, table)
    assert 0 < interval.low < interval.high < 1


def test_interval_leaves_equal_shares_of_the_resamples_outside():
    values = iter(range(1, 102))  # one hundred resamples, then the clips as they are
    interval = bootstrap_interval(lambda *_: next(values), *blobs(1, 0), n_resamples=100, level=0.8, random_state=0)
    assert interval == pytest.approx((101, 10.9, 90.1, np.std(range(100), ddof=1)))


def test_wider_level_wider_interval():
    clips = blobs(1, 0)
    narrow, wide = (
        bootstrap_interval(auc_score, *clips, n_resamples=200, level=p, random_state=0) for p in (0.5, 0.99)
    )
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize("level", [0, 1, 1.5])
def test_level_outside_its_range_is_refused(level):
    with pytest.raises(ValueError, match="level="):
        bootstrap_interval(auc_score, *blobs(1, 0), level=level)


def test_single_resample_is_refused():
    with pytest.raises(ValueError, match="n_resamples=1"):
        bootstrap_interval(auc_score, *blobs(1, 0), n_resamples=1)
