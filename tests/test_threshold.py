import numpy as np
import pytest
from scipy import stats

from skasd._threshold import alarm_threshold


def gamma_scores(shape=2.0, scale=3.0, n=1000):
    """Quantiles of a gamma distribution, evenly spaced."""
    return stats.gamma.ppf((np.arange(n) + 0.5) / n, shape, scale=scale)


def test_values_of_the_specification():
    assert stats.gamma.ppf(0.9, 2, scale=3) == pytest.approx(11.669161)
    assert alarm_threshold(gamma_scores(), 0.1, "gamma") == pytest.approx(11.68, abs=0.1)
    assert alarm_threshold(gamma_scores(), 0.1, "quantile") == pytest.approx(11.654, abs=1e-3)


def test_exponential_scores():
    assert alarm_threshold(gamma_scores(1, 1), 0.1, "gamma") == pytest.approx(2.302585, abs=0.05)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_a_quantile_lets_that_share_above(share):
    score = np.random.default_rng(0).standard_normal(1000)
    assert (score > alarm_threshold(score, share, "quantile")).mean() == pytest.approx(share, abs=1e-3)


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
    assert made == np.quantile(score, 0.9)
