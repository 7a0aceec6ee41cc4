"""decision_table: score, p-value and decision of each clip, in one pass."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from skasd.decisions._calibrated import CalibratedDetector
from skasd.decisions._scored import of_groups, ranked, scored


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


def decided(detector: Any, X: Any) -> Decisions:
    """Score clips and decide about them.

    Parameters
    ----------
    detector : detector or Pipeline
        Fitted detector, calibrated or not, or a pipeline that ends in one.
    X : array, list of paths or clip table
        Clips.
    """
    if hasattr(detector, "steps"):
        *first, (_, last) = detector.steps
        for _, step in first:
            X = X if step in (None, "passthrough") else step.transform(X)
        return decided(last, X)
    if not isinstance(detector, CalibratedDetector):
        decision = np.asarray(detector.decision_function(X), dtype=np.float64)
        n_clips, threshold = len(decision), -float(detector.offset_)
        is_provisional = np.zeros(n_clips, dtype=bool)
        return Decisions(threshold - decision, np.full(n_clips, threshold), np.full(n_clips, np.nan), is_provisional)
    check_is_fitted(detector)
    known = scored(detector, X)
    offset, is_provisional = (
        of_groups(values, known.group) for values in (detector.offsets_, detector.is_provisional_)
    )
    return Decisions(known.score, -offset, ranked(detector, known), is_provisional.astype(bool))


def decision_table(detector: Any, X: Any) -> pd.DataFrame:
    """Score clips, decide about them, and put it all into one table.

    Parameters
    ----------
    detector : detector or Pipeline
        Fitted detector, such as :class:`CalibratedDetector`, or a pipeline that ends in one.
    X : array, list of paths or clip table
        Clips.

    Returns
    -------
    table : DataFrame of shape (n_clips, 5)
        `anomaly_score`, high for anomalous clips; `threshold` on it; `p_value`, NaN where there is none; `decision`,
        ``"normal"`` or ``"anomaly"``; and `is_provisional`, whether the decision is provisional. The index is that of a clip
        table, or counts the clips.

    Examples
    --------
    >>> from skasd.datasets import make_machine_clips
    >>> from skasd.decisions import CalibratedDetector, decision_table
    >>> from skasd.detectors import TWFRDetector
    >>> clips = make_machine_clips("fan", duration=1.0, random_state=0).data
    >>> train, new = clips[clips["split"] == "train"], clips[clips["split"] == "test"]
    >>> table = decision_table(CalibratedDetector(TWFRDetector()).fit(train), new)
    >>> list(table.columns)
    ['anomaly_score', 'threshold', 'p_value', 'decision', 'is_provisional']
    """
    known = decided(detector, X)
    return pd.DataFrame(
        {
            "anomaly_score": known.anomaly_score,
            "threshold": known.threshold,
            "p_value": known.p_value,
            "decision": np.where(known.is_anomaly, "anomaly", "normal"),
            "is_provisional": known.is_provisional,
        },
        index=X.index if isinstance(X, pd.DataFrame) else None,
    )
