"""How often runs reach a level that few of them or none have reached: a generalised Pareto tail of their largest scores."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

FEWEST = 20  # runs that a tail is learnt from
USUAL = 50
SHARE = 0.95  # probability of an interval
_SHAPES = np.linspace(-0.5, 0.8, 53)  # xi, and
_SCALES = np.geomspace(0.2, 5.0, 81)  # sigma in mean excesses: where the posterior is computed
_SPREAD = 0.3  # of the prior of xi
_NEAR_ZERO = 1e-9  # xi of an exponential tail
_LEAST_WEIGHT = 1e-8
_TINY = 1e-300
_LEAST_LOG_RATE = -20.0  # per day, where an interval may begin
_STEPS = 50  # of a bisection


@dataclass(frozen=True)
class Tail:
    r"""Posterior distribution of the rate of runs above each level.

    The largest scores of runs come as a Poisson process, and their excesses y over a level u have a generalised Pareto
    distribution (S. Coles, "An Introduction to Statistical Modeling of Extreme Values", Springer, 2001, Eq. 4.2, and for
    runs in place of single values Section 5.3), so that the rate of runs above x is

    .. math:: \lambda(x) = \zeta \left( 1 + \xi \frac{x - u}{\sigma} \right)^{-1 / \xi}.

    What n excesses say of :math:`\zeta, \sigma, \xi` is a posterior distribution on a grid, with the prior
    :math:`\zeta^{-1/2}\, \sigma^{-1}\, N(\xi; 0, 0.3^2)`: scores with a heavier tail than that, or with an upper bound, need
    more than a few dozens of runs to be told. Unlike a fit by maximum likelihood it always exists, and the mean of
    :math:`\lambda(x)` allows for what is not known.

    Parameters
    ----------
    level : float
        u.
    n : int
        Number of excesses.
    days : float
        Length of the sound, in days of 24 hours.
    weight, scale, shape : ndarray of shape (n_points,)
        Posterior probability, :math:`\sigma` and :math:`\xi` of each point of the grid.
    """

    level: float
    n: int
    days: float
    weight: np.ndarray
    scale: np.ndarray
    shape: np.ndarray

    @classmethod
    def of(cls, largest: np.ndarray, low: float, days: float, rate: float) -> Self:
        """Tail of the largest scores of runs.

        Parameters
        ----------
        largest : ndarray of shape (n_runs,)
            Largest score of each run; at least one.
        low : float
            Level that all of them exceed.
        days : float
            Length of the sound that they were heard in, in days.
        rate : float
            Rate per day that is of interest. The largest 50 runs are used, or twice as many as have this rate.
        """
        n = max(USUAL, round(2 * rate * days))
        largest = np.sort(largest)[::-1]
        level = float(largest[n]) if n < len(largest) and largest[n] < largest[0] else low
        excess = largest[:n][largest[:n] > level] - level
        scale = _SCALES * excess.mean()
        shape = np.where(np.abs(_SHAPES) < _NEAR_ZERO, _NEAR_ZERO, _SHAPES)
        log_posterior = np.stack([_log_likelihood(excess, scale, one) - one**2 / (2 * _SPREAD**2) for one in shape])
        weight = np.exp(log_posterior - log_posterior.max())  # the grid of sigma is logarithmic, as its prior
        is_used = weight > _LEAST_WEIGHT
        shapes, scales = (part[is_used] for part in np.meshgrid(shape, scale, indexing="ij"))
        return cls(level, len(excess), days, weight[is_used] / weight[is_used].sum(), scales, shapes)

    def rate(self, score: float) -> float:
        """Expected number of runs per day that exceed a score: the mean of the posterior distribution.

        Parameters
        ----------
        score : float
            Anomaly score, at least `level`.
        """
        return self.n / self.days * float(self.weight @ self._exceeding(score))

    def interval(self, score: float) -> tuple[float, float]:
        """Interval that holds the rate of runs per day above a score with a probability of 95 %.

        Parameters
        ----------
        score : float
            Anomaly score, at least `level`.
        """
        from scipy.special import gammainc  # imported when needed, as it takes long

        share = np.maximum(self._exceeding(score), _TINY)

        def below(log_rate: float) -> float:
            return float(self.weight @ gammainc(self.n + 0.5, np.exp(log_rate) * self.days / share))

        highest = np.log(4 * (self.n + 10) / self.days)
        lowest_of, highest_of = (1 - SHARE) / 2, (1 + SHARE) / 2
        ends = (
            _crossing(lambda x: below(x) > lowest_of, _LEAST_LOG_RATE, highest),
            _crossing(lambda x: below(x) > highest_of, _LEAST_LOG_RATE, highest),
        )
        return float(np.exp(ends[0])), float(np.exp(ends[1]))

    def threshold(self, rate: float) -> float:
        """Score that runs are expected to exceed with a rate; `level` if they exceed even that more rarely.

        Parameters
        ----------
        rate : float
            Number of runs per day.
        """
        if self.rate(self.level) <= rate:
            return self.level
        step = float(self.scale.max())
        while self.rate(self.level + step) > rate:
            step *= 2
        return self.level + _crossing(lambda x: self.rate(self.level + x) < rate, 0.0, step)

    def _exceeding(self, score: float) -> np.ndarray:
        """Probability (n_points,) that an excess is larger, by the parameters of each point of the grid."""
        part = np.maximum(self.shape * (score - self.level) / self.scale, -1)
        with np.errstate(divide="ignore"):  # at the upper bound of the distribution
            return np.exp(-np.log1p(part) / self.shape)


def _log_likelihood(excess: np.ndarray, scale: np.ndarray, shape: float) -> np.ndarray:
    """Logarithm (n_scales,) of the density of the excesses, Eq. (4.10) of Coles; -inf where one of them is impossible."""
    part = shape * excess / scale[:, None]
    logs = np.log1p(np.where(part > -1, part, 0)).sum(axis=1)
    return np.where((part > -1).all(axis=1), -len(excess) * np.log(scale) - (1 + 1 / shape) * logs, -np.inf)


def _crossing(is_beyond: Callable[[float], bool], low: float, high: float) -> float:
    """Where a function of one number becomes true, by bisection."""
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_beyond(middle) else (middle, high)
    return high
