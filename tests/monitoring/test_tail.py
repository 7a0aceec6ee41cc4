"""The tail of the largest scores of runs: against a known distribution, against counting, and what it says of itself."""

import numpy as np
import pytest

from skasd.monitoring._tail import Tail


def largest(generator, n, shape=0.0):
    """Excesses of a generalised Pareto distribution with the scale 1 over the level 10."""
    uniform = generator.random(n)
    return 10 + (-np.log(uniform) if shape == 0 else (uniform**-shape - 1) / shape)


@pytest.mark.parametrize("shape", [-0.2, 0.0, 0.3])
def test_the_rate_at_the_threshold_is_the_one_asked_for(shape):
    """Thirty runs a day: the mean rate over many learning periods, beyond what was heard in one."""
    generator, rates = np.random.default_rng(0), []
    for _ in range(300):
        threshold = Tail.of(largest(generator, generator.poisson(30), shape), 10.0, 1.0, 1.0).threshold(1.0)
        excess = threshold - 10
        rates.append(30 * (np.exp(-excess) if shape == 0 else max(1 + shape * excess, 0) ** (-1 / shape)))
    assert 0.7 < np.mean(rates) < 1.4


@pytest.mark.parametrize("shape", [-0.2, 0.0, 0.3])
def test_the_interval_holds_the_rate_as_often_as_it_says(shape):
    generator, hits = np.random.default_rng(1), 0
    for _ in range(80):
        tail = Tail.of(largest(generator, generator.poisson(60), shape), 10.0, 1.0, 1.0)
        score = tail.threshold(1.0)
        rate = 60 * (np.exp(10 - score) if shape == 0 else max(1 + shape * (score - 10), 0) ** (-1 / shape))
        lowest, highest = tail.interval(score)
        hits += lowest <= rate <= highest
    assert hits >= 70


def test_where_much_was_heard_the_tail_agrees_with_counting():
    scores = largest(np.random.default_rng(0), 6000)
    threshold = Tail.of(scores, 10.0, 100.0, 1.0).threshold(1.0)
    assert np.sum(scores > threshold) == pytest.approx(100, abs=15)


def test_the_exceedance_is_that_of_scipy():
    from scipy.stats import genpareto

    tail = Tail(10.0, 5, 1.0, np.array([1.0]), np.array([2.0]), np.array([0.3]))
    assert tail.rate(13.0) == pytest.approx(5 * genpareto(0.3, scale=2.0).sf(3.0))


def test_the_posterior_is_largest_where_the_likelihood_of_scipy_is():
    from scipy.stats import genpareto

    scores = largest(np.random.default_rng(0), 50)
    tail = Tail.of(scores, 10.0, 1.0, 1.0)
    best = np.argmax(tail.weight)
    log_density = [
        genpareto(shape, scale=scale).logpdf(scores - 10).sum() - shape**2 / 0.18
        for shape, scale in zip(tail.shape, tail.scale, strict=True)
    ]
    assert np.argmax(log_density) == best


def test_more_sound_makes_the_interval_narrower():
    generator, widths = np.random.default_rng(0), []
    for days in (1, 4, 16):
        tail = Tail.of(largest(generator, 40 * days), 10.0, days, 1.0)
        lowest, highest = tail.interval(tail.threshold(1.0))
        widths.append(highest - lowest)
    assert widths == sorted(widths, reverse=True)


def test_runs_that_are_rarer_than_asked_have_the_lower_level_as_threshold():
    tail = Tail.of(largest(np.random.default_rng(0), 30), 10.0, 1.0, 50.0)
    assert tail.threshold(50.0) == 10.0
    assert tail.rate(10.0) == pytest.approx(30.0)


def test_scores_on_another_scale_have_the_same_tail():
    scores = largest(np.random.default_rng(0), 40)
    threshold = Tail.of(scores, 10.0, 1.0, 1.0).threshold(1.0)
    assert Tail.of(1e6 * scores - 5, 1e7 - 5, 1.0, 1.0).threshold(1.0) == pytest.approx(1e6 * threshold - 5)


def test_largest_scores_that_are_all_alike_have_a_tail():
    tail = Tail.of(np.full(80, 11.0), 10.0, 1.0, 1.0)
    assert 11.0 < tail.threshold(1.0) < 20.0
