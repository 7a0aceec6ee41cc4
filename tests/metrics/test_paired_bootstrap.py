import numpy as np
import pandas as pd
import pytest

from skasd.metrics import auc_score, paired_bootstrap


@pytest.fixture
def scores():
    y_true = np.repeat([1, -1], 60)
    rng = np.random.default_rng(0)
    return y_true, rng.normal(1.0 * y_true), rng.normal(0.3 * y_true)


def test_difference_is_that_of_the_metric(scores):
    y_true, one, other = scores
    result = paired_bootstrap(auc_score, y_true, one, other, n_resamples=50, random_state=0)
    assert result.difference == pytest.approx(auc_score(y_true, one) - auc_score(y_true, other), abs=1e-12)
    assert result.low < result.difference < result.high


def test_a_detector_does_not_differ_from_itself(scores):
    y_true, one, _ = scores
    assert paired_bootstrap(auc_score, y_true, one, one, n_resamples=20, random_state=0) == (0.0, 0.0, 0.0, 1.0)


def test_sides_change_places(scores):
    y_true, one, other = scores
    there = paired_bootstrap(auc_score, y_true, one, other, n_resamples=50, random_state=0)
    back = paired_bootstrap(auc_score, y_true, other, one, n_resamples=50, random_state=0)
    assert back.difference == -there.difference
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))
    assert back.p_value == there.p_value


def test_a_clear_difference_has_the_smallest_p_value(scores):
    y_true, *_ = scores
    result = paired_bootstrap(auc_score, y_true, y_true, -y_true, n_resamples=99, random_state=0)
    assert result == (1.0, 1.0, 1.0, 0.02)


def test_interval_of_independent_scores_covers_zero_about_as_often_as_it_says():
    """Two detectors that are equally good, forty times: 0 is outside of a 90 % interval four times, give or take."""
    y_true, outside = np.repeat([1, -1], 40), 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        one, other = rng.normal(y_true), rng.normal(y_true)
        result = paired_bootstrap(auc_score, y_true, one, other, n_resamples=100, level=0.9, random_state=0)
        outside += not result.low <= 0 <= result.high
    assert 0 < outside < 12


def test_pairing_narrows_the_interval_of_like_scores(scores):
    y_true, one, _ = scores
    like = one + np.random.default_rng(1).normal(0, 0.1, len(one))
    apart = np.random.default_rng(2).permutation(np.flatnonzero(y_true == 1))
    shuffled = like.copy()
    shuffled[y_true == 1] = like[apart]
    options = {"n_resamples": 200, "random_state": 0}
    paired = paired_bootstrap(auc_score, y_true, one, like, **options)
    broken = paired_bootstrap(auc_score, y_true, one, shuffled, **options)
    assert paired.high - paired.low < 0.7 * (broken.high - broken.low)


def test_several_seeds_are_averaged(scores):
    y_true, one, other = scores
    both = paired_bootstrap(auc_score, y_true, np.stack([one, other]), other, n_resamples=20, random_state=0)
    alone = paired_bootstrap(auc_score, y_true, one, other, n_resamples=20, random_state=0)
    assert both.difference == pytest.approx(alone.difference / 2)


def test_table_reaches_the_metric_and_keeps_the_strata(scores):
    y_true, one, other = scores
    table = pd.DataFrame({"machine_type": "fan", "section": np.tile(["00", "01"], 60)})
    sizes = set()

    def metric(y_true, score_samples, table):
        sizes.add(tuple(table["section"].value_counts().sort_index()))
        return auc_score(y_true, score_samples)

    paired_bootstrap(metric, y_true, one, other, table, n_resamples=10, random_state=0)
    assert sizes == {(60, 60)}


@pytest.mark.parametrize(
    ("options", "message"),
    [({"n_resamples": 1}, "n_resamples"), ({"level": 1.0}, "level"), ({"level": 0.0}, "level")],
)
def test_wrong_options_are_named(scores, options, message):
    with pytest.raises(ValueError, match=message):
        paired_bootstrap(auc_score, *scores, **options)


def test_scores_of_other_shapes_are_refused(scores):
    y_true, one, _ = scores
    with pytest.raises(ValueError, match="other_score_samples has shape"):
        paired_bootstrap(auc_score, y_true, one, np.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match="120"):
        paired_bootstrap(auc_score, y_true, one, one[:5])
