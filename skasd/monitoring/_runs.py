"""Runs of windows above a level, of which episodes are made, and whose largest scores the threshold is learnt from."""

from dataclasses import dataclass

import numpy as np

SET_BACK = 1.0  # s, by which the clock of a stream may be set back within a run


@dataclass(frozen=True)
class RunRule:
    """Which windows belong to one run.

    Parameters
    ----------
    low : float
        Level that the anomaly scores of a run exceed.
    longest_gap : float
        Time without such a score within a run, from the end of a window to the start of another, in s.
    least_duration : float
        Duration below which a run does not count, from the start of its first window to the end of its last, in s.
    """

    low: float
    longest_gap: float
    least_duration: float

    def continues(self, start: float, last_start: float, last_end: float) -> bool:
        """Whether a window belongs to the same run as one that was heard before it.

        Parameters
        ----------
        start : float
            Start of the window, in s.
        last_start, last_end : float
            Start and end of the last window of the run, in s.
        """
        return last_start - SET_BACK <= start <= last_end + self.longest_gap


def largest_scores(start: np.ndarray, end: np.ndarray, score: np.ndarray, rule: RunRule) -> np.ndarray:
    """Largest score (n_runs,) of each run that counts.

    Parameters
    ----------
    start, end : ndarray of shape (n_windows,)
        Start and end of each window, in s, in the order in which they were heard.
    score : ndarray of shape (n_windows,)
        Anomaly score of each window.
    rule : RunRule
        Which windows belong to one run.
    """
    above = np.flatnonzero(score > rule.low)
    if not len(above):
        return np.empty(0)
    start, end, score = start[above], end[above], score[above]
    is_first = np.r_[True, (start[1:] > end[:-1] + rule.longest_gap) | (start[1:] < start[:-1] - SET_BACK)]
    first = np.flatnonzero(is_first)
    last = np.r_[first[1:], len(start)] - 1
    largest = np.maximum.reduceat(score, first)
    return largest[end[last] - start[first] >= rule.least_duration]
