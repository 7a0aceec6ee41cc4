"""Test of exchangeability in time order: a martingale that bets against the p-values of new clips being uniform."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from skasd.decisions._calibration import Calibration

ALTERNATIVES = ("greater", "two-sided")
_POWER = 0.5  # kappa of the betting functions kappa p ** (kappa - 1)
_LEAST = 1e-12  # p-value; a draw can be 0
_AT_A_TIME = 512  # clips that are ranked among those before
_JUMP = 0.01  # share of the capital that is spread anew at each step


@dataclass(frozen=True)
class ExchangeabilityTest:
    r"""Result of :meth:`CalibratedDetector.check_exchangeability`.

    Parameters
    ----------
    log_martingale : ndarray of shape (n_clips,)
        :math:`\log_{10} M_t` after each clip: the evidence against exchangeability. If the clips are exchangeable with the
        calibration clips, :math:`P(\exists t: M_t \ge 1 / \delta) \le \delta` (Ville's inequality).
    p_value : ndarray of shape (n_clips,)
        P-value of each clip among the calibration clips and the clips before it, with ties broken at random; uniform on
        [0, 1] and independent for exchangeable clips. Of a recording of several clips, one is drawn; NaN for the others.
    group : ndarray of shape (n_clips,), str
        Group of each clip.
    level : float
        Probability :math:`\delta` of a false alarm at any time.
    """

    log_martingale: np.ndarray
    p_value: np.ndarray
    group: np.ndarray
    level: float

    @property
    def alarm(self) -> int | None:
        """Position of the clip at which the test raised an alarm, or None."""
        crossed = np.flatnonzero(self.log_martingale >= -np.log10(self.level))
        return int(crossed[0]) if len(crossed) else None

    @property
    def holds(self) -> bool:
        """Whether there was no alarm, so that nothing speaks against the calibration."""
        return self.alarm is None

    def frame(self) -> pd.DataFrame:
        """Table of the test.

        Returns
        -------
        table : DataFrame of shape (n_clips, 3)
            Columns `group`, `p_value` and `log_martingale`.
        """
        return pd.DataFrame({"group": self.group, "p_value": self.p_value, "log_martingale": self.log_martingale})


def exchangeability_of(
    score: np.ndarray,
    group: np.ndarray,
    recording: np.ndarray,
    calibrations: Mapping[str, Calibration],
    level: float,
    seed: int,
    alternative: str = "greater",
) -> ExchangeabilityTest:
    r"""Test clips in the order in which they were recorded.

    Each group has a martingale of its own, on p-values that rank a clip among the calibration clips and all clips of the
    group before it. Its capital is spread over betting functions, :math:`\kappa p^{\kappa - 1}` with :math:`\kappa = 1/2`,
    which wins where p-values are small, and 1, which keeps what it has (V. Vovk, I. Nouretdinov, A. Gammerman, "Testing
    exchangeability on-line", ICML 2003); 1 % is spread anew at each step, as in the simple jumper of Vovk et al. ("Retrain
    or not retrain: conformal test martingales for change-point detection", COPA 2021, Algorithm 1), so that a change is
    noticed however late it comes. The martingale of the test is the mean over groups, which is a martingale too.

    Parameters
    ----------
    score : ndarray of shape (n_clips,)
        Anomaly scores.
    group : ndarray of shape (n_clips,), str
        Group of each clip.
    recording : ndarray of shape (n_clips,), int
        Recording of each clip; only one clip of each is used, drawn at random.
    calibrations : mapping of str to Calibration
        Calibration of each group.
    level : float
        Probability of a false alarm.
    seed : int
        Seeds the draws that break ties.
    alternative : {"greater", "two-sided"}, default="greater"
        Which changes are bet on: scores that become greater, or that change in any way.
    """
    generator = np.random.default_rng(seed)
    draws, used = generator.random(len(score)), _one_of_each(recording, generator)
    p_value = np.full(len(score), np.nan)
    log_capital = np.zeros((len(calibrations), len(score)))
    for number, (name, calibration) in enumerate(calibrations.items()):
        rows = np.intersect1d(np.flatnonzero(group == name), used)
        known = calibration.score[_one_of_each(calibration.recording, generator)]
        p_value[rows] = _online_p_values(score[rows], known, draws[rows])
        steps = np.zeros(len(score))
        steps[rows] = np.diff(_log_capital(betting_yields(p_value[rows], alternative)), prepend=0.0)
        log_capital[number] = np.cumsum(steps)
    mean = np.logaddexp.reduce(log_capital, axis=0) - np.log(len(calibrations))
    return ExchangeabilityTest(mean / np.log(10), p_value, group, level)


def _one_of_each(recording: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Position of one clip of each recording, drawn at random, ascending."""
    order = generator.permutation(len(recording))
    _, first = np.unique(recording[order], return_index=True)
    return np.sort(order[first])


def _online_p_values(score: np.ndarray, known: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """P-value (n,) of each score among the known ones, the scores before it and itself, with ties broken by draws."""
    seen, p_values = np.sort(known), [np.empty(0)]
    for start in range(0, len(score), _AT_A_TIME):
        block, draw = score[start : start + _AT_A_TIME], draws[start : start + _AT_A_TIME]
        is_before = np.tri(len(block), k=-1, dtype=bool)  # clips of the block are compared with each other one by one
        below = np.searchsorted(seen, block, "left") + (is_before & (block < block[:, None])).sum(axis=1)
        up_to = np.searchsorted(seen, block, "right") + (is_before & (block <= block[:, None])).sum(axis=1)
        n_seen = len(seen) + np.arange(len(block))
        p_values.append((n_seen - up_to + draw * (1 + up_to - below)) / (n_seen + 1))
        added = np.sort(block)
        seen = np.insert(seen, np.searchsorted(seen, added), added)
    return np.concatenate(p_values)


def betting_yields(p_value: np.ndarray, alternative: str) -> np.ndarray:
    """What a unit of capital becomes with each betting function (n, n_bets).

    Parameters
    ----------
    p_value : ndarray of shape (n,)
        P-values.
    alternative : {"greater", "two-sided"}
        Which changes are bet on.
    """
    p_value = np.clip(p_value, _LEAST, 1 - _LEAST)
    sides = (p_value,) if alternative == "greater" else (p_value, 1 - p_value)
    return np.column_stack([np.ones(len(p_value)), *(_POWER * side ** (_POWER - 1) for side in sides)])


def start_capital(alternative: str) -> np.ndarray:
    """Shares (n_bets,) of the capital at the start.

    Parameters
    ----------
    alternative : {"greater", "two-sided"}
        Which changes are bet on.
    """
    n_bets = 2 if alternative == "greater" else 3
    return np.full(n_bets, 1 / n_bets)


def step_of_capital(capital: np.ndarray, yields: np.ndarray) -> tuple[np.ndarray, float]:
    """Shares of the capital after a step, and the natural logarithm of the factor by which it grew.

    Parameters
    ----------
    capital : ndarray of shape (n_bets,)
        Shares of the capital before the step.
    yields : ndarray of shape (n_bets,)
        What a unit becomes with each bet.
    """
    grown = ((1 - _JUMP) * capital + _JUMP / len(capital)) * yields
    return grown / grown.sum(), float(np.log(grown.sum()))


def _log_capital(bets: np.ndarray) -> np.ndarray:
    """Natural logarithm (n,) of the capital after each step, from a capital of 1, by what bets (n, n_bets) yield."""
    capital, so_far, log_total = np.full(bets.shape[1], 1 / bets.shape[1]), 0.0, np.empty(len(bets))
    for position, yields in enumerate(bets):
        capital, gain = step_of_capital(capital, yields)
        so_far += gain
        log_total[position] = so_far
    return log_total
