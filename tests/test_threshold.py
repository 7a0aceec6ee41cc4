import warnings

import numpy as np
import pytest
from scipy import stats

from skasd._threshold import alarm_threshold, warn_of_few_clips


def gamma_scores(shape=2.0, scale=3.0, n=1000):
    """Quantiles of a gamma distribution, evenly spaced."""
    return stats.gamma.ppf((np.arange(n) + 0.5) / n, shape, scale=scale)


def test_values_of_the_specification():
    assert stats.gamma.ppf(0.9, 2, scale=3) == pytest.approx(11.669161)
    assert alarm_threshold(gamma_scores(), 0.1, "gamma") == pytest.approx(11.68, abs=0.1)
    assert alarm_threshold(gamma_scores(), 0.1, "quantile") == pytest.approx(11.67, abs=0.05)


def test_exponential_scores():
    assert alarm_threshold(gamma_scores(1, 1), 0.1, "gamma") == pytest.approx(2.302585, abs=0.05)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_a_quantile_lets_that_share_above(share):
    score = np.random.default_rng(0).standard_normal(1000)
    assert (score > alarm_threshold(score, share, "quantile")).mean() == pytest.approx(share, abs=2e-3)


@pytest.mark.parametrize("share", [0.05, 0.1])
def test_gamma_of_few_scores_is_nearer_to_new_ones_than_their_quantile(share):
    rng, errors = np.random.default_rng(0), {"gamma": [], "quantile": []}
    truth = stats.gamma.ppf(1 - share, 2, scale=3)
    for _ in range(30):
        score = rng.gamma(2, 3, 60)
        for rule, found in errors.items():
            found.append(abs(alarm_threshold(score, share, rule) - truth))
    assert np.mean(errors["gamma"]) < np.mean(errors["quantile"])


@pytest.mark.parametrize(("factor", "shift"), [(1e-9, 0), (1e6, 0), (1, -1e4), (1, 1e4)])
def test_gamma_follows_the_unit_of_the_scores(factor, shift):
    score = np.random.default_rng(0).gamma(2, 3, 200)
    expected = factor * alarm_threshold(score, 0.1, "gamma") + shift
    assert alarm_threshold(factor * score + shift, 0.1, "gamma") == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "score",
    [np.zeros(50), np.arange(50.0) % 7, np.array([1.0, 2.0, 3.0]), -np.random.default_rng(0).gamma(1, 1, 500)],
    ids=["constant", "discrete", "three", "leaning to the left"],
)
def test_what_is_no_gamma_takes_the_quantile_and_says_so(score):
    with pytest.warns(UserWarning, match="No gamma distribution fits"):
        made = alarm_threshold(score, 0.1, "gamma")
    assert made == alarm_threshold(score, 0.1, "quantile")


@pytest.mark.parametrize(
    ("n_scores", "share", "rank"),
    [(9, 0.1, 9), (10, 0.1, 10), (19, 0.1, 18), (99, 0.01, 99), (39, 0.05, 38), (5, 0.5, 3)],
)
def test_the_rank_is_that_of_a_conformal_predictor(n_scores, share, rank):
    assert alarm_threshold(np.random.default_rng(0).permutation(n_scores) + 1.0, share, "quantile") == pytest.approx(
        rank, rel=1e-5
    )


@pytest.mark.parametrize(("n_scores", "share"), [(9, 0.1), (14, 0.1), (30, 0.05), (50, 0.1)])
def test_no_more_false_alarms_are_expected_than_asked_for(n_scores, share):
    rng = np.random.default_rng(0)
    beyond = [stats.norm.sf(alarm_threshold(rng.standard_normal(n_scores), share, "quantile")) for _ in range(2000)]
    assert share - 1 / (n_scores + 1) <= np.mean(beyond) <= share * 1.05


def test_fewer_scores_than_the_share_takes_give_the_largest():
    assert alarm_threshold(np.arange(8.0), 0.1, "quantile") == pytest.approx(7.0, rel=1e-5)


def test_rounding_does_not_decide_about_the_clip_that_sets_the_threshold():
    score = np.random.default_rng(0).standard_normal(20)
    assert (
        (score * (1 + 1e-7) > alarm_threshold(score, 0.1, "quantile")) == (np.argsort(np.argsort(score)) > 18)
    ).all()


@pytest.mark.parametrize(
    ("fewest", "n_scores", "share", "is_learnt", "message"),
    [
        (("fan/00", 10), 10, 0.1, False, "fit was given 10 of fan/00, .* give at least 30 of each machine"),
        (("", 40), 40, 0.01, False, "1 % takes at least 99 normal clips .* there were 40, so about 1 in 41"),
        (("", 40), 18, 0.05, False, "5 % takes at least 19 normal clips"),
        (("", 40), 40, 0.1, True, "none could be held out"),
        (("", 8), 8, 0.1, False, "fit was given 8, .* Also, a false alarm rate of 10 % takes at least 9"),
    ],
)
def test_too_few_clips_are_told_of_in_one_warning(fewest, n_scores, share, is_learnt, message):
    with pytest.warns(UserWarning, match=f"Few normal clips: .*{message}") as caught:
        warn_of_few_clips(fewest, n_scores, share, "quantile", is_learnt=is_learnt, stacklevel=1)
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("fewest", "n_scores", "share", "rule"),
    [(("", 11), 9, 0.1, "quantile"), (("", 99), 99, 0.01, "quantile"), (("", 40), 40, 0.01, "gamma")],
)
def test_enough_clips_are_not_warned_of(fewest, n_scores, share, rule):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_few_clips(fewest, n_scores, share, rule, is_learnt=False, stacklevel=1)
