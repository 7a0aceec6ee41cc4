"""Drift: whether the windows of now are still exchangeable with those that were learnt from, one in a while."""

import math
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from skasd.decisions._exchangeability import betting_yields, start_capital, step_of_capital
from skasd.monitoring._episodes import HeardWindow, as_datetime

MOST_SEEN = 4096  # scores that later ones are ranked among
_BETS = "two-sided"


@dataclass(frozen=True)
class DriftAlarm:
    r"""A machine does not sound as it did in the learning period any more.

    Parameters
    ----------
    noticed_at : datetime
        End of the window at which the test raised the alarm, in UTC.
    log_martingale : float
        :math:`\log_{10}` of the evidence against exchangeability; 2 or more for a level of 0.01.
    level : float
        Probability of a false alarm at any time.
    """

    noticed_at: datetime
    log_martingale: float
    level: float


@dataclass
class DriftTest:
    """Test of exchangeability of single windows in time order, a step at a time.

    The test is that of :meth:`~skasd.decisions.CalibratedDetector.check_exchangeability`: a window is ranked among those of
    the learning period and those that the test saw before it. Neighbouring windows are alike, which the test would take
    for drift, so it looks at one window in a while. Scores beyond the first 4096 are ranked and not kept: an error of the
    rank below 1 % hardly pays, and what is learnt later than the first month does not hide a slow drift.

    Parameters
    ----------
    interval : float
        Time from the start of a window that is used to that of the next, in s.
    level : float
        Probability of a false alarm.
    seen : list of float
        Scores that a new one is ranked among, ascending.
    capital : list of float
        Shares of the capital that each bet has.
    log_capital : float
        Natural logarithm of the capital.
    n_steps : int
        Number of windows that were used.
    last_start : float or None
        Start of the last window that was used.
    has_alarmed : bool
        Whether there was an alarm.
    """

    interval: float
    level: float
    seen: list[float] = field(default_factory=list)
    capital: list[float] = field(default_factory=lambda: start_capital(_BETS).tolist())
    log_capital: float = 0.0
    n_steps: int = 0
    last_start: float | None = None
    has_alarmed: bool = False

    def hear(self, window: HeardWindow) -> DriftAlarm | None:
        """Take a window; there is an alarm at most once.

        Parameters
        ----------
        window : HeardWindow
            The window.
        """
        if not is_due(window.start, self.last_start, self.interval):
            return None
        self.last_start = window.start
        yields = betting_yields(np.array([self._p_value(window.score)]), _BETS)[0]
        capital, gain = step_of_capital(np.array(self.capital), yields)
        self.capital, self.log_capital = capital.tolist(), self.log_capital + gain
        if self.has_alarmed or self.log_capital < -math.log(self.level):
            return None
        self.has_alarmed = True
        return DriftAlarm(as_datetime(window.end), self.log_capital / math.log(10), self.level)

    def _p_value(self, score: float) -> float:
        below, up_to = bisect_left(self.seen, score), bisect_right(self.seen, score)
        draw = np.random.default_rng(self.n_steps).random()
        p_value = (len(self.seen) - up_to + draw * (1 + up_to - below)) / (len(self.seen) + 1)
        self.n_steps += 1
        if len(self.seen) < MOST_SEEN:
            insort(self.seen, score)
        return p_value


def is_due(start: float, last_start: float | None, interval: float) -> bool:
    """Whether the test uses a window.

    Parameters
    ----------
    start : float
        Start of the window, in s.
    last_start : float or None
        Start of the last window that was used.
    interval : float
        Least time between them.
    """
    return last_start is None or start >= last_start + interval or start < last_start - interval


def thinned(start: np.ndarray, score: np.ndarray, interval: float) -> list[float]:
    """Scores of the windows that the test uses of a learning period, ascending.

    Parameters
    ----------
    start : ndarray of shape (n_windows,)
        Start of each window, in s.
    score : ndarray of shape (n_windows,)
        Anomaly scores.
    interval : float
        Least time from the start of a window to that of the next.
    """
    used: list[float] = []
    last = None
    for one, value in zip(start.tolist(), score.tolist(), strict=True):
        if is_due(one, last, interval):
            used.append(value)
            last = one
    return sorted(used[-MOST_SEEN // 2 :])
