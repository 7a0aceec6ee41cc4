"""Decisions: what is decided about clips, with scores, thresholds and p-values."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Decisions:
    """Decisions about clips.

    Parameters
    ----------
    anomaly_score, threshold : ndarray of shape (n_clips,), float64
        A clip is an anomaly if its score exceeds its threshold.
    p_value : ndarray of shape (n_clips,), float64
        NaN where there is none.
    is_provisional : ndarray of shape (n_clips,), bool
        Whether the decision is provisional.
    """

    anomaly_score: np.ndarray
    threshold: np.ndarray
    p_value: np.ndarray
    is_provisional: np.ndarray

    @property
    def is_anomaly(self) -> np.ndarray:
        """Decision about each clip (n_clips,)."""
        return self.anomaly_score > self.threshold


def without_p_values(anomaly_score: np.ndarray, threshold: float) -> Decisions:
    """Decisions by one threshold.

    Parameters
    ----------
    anomaly_score : ndarray of shape (n_clips,)
        Anomaly scores.
    threshold : float
        Largest score of a normal clip.
    """
    n_clips = len(anomaly_score)
    return Decisions(
        anomaly_score, np.full(n_clips, threshold), np.full(n_clips, np.nan), np.zeros(n_clips, dtype=bool)
    )
