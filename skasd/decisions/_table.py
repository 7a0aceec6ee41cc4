"""decision_table: score, p-value and decision of each clip, in one pass."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skasd.base import BaseDetector
from skasd.clips._usable import UsablePart, skips
from skasd.decisions._calibrated import CalibratedDetector
from skasd.decisions._decisions import Decisions, without_p_values
from skasd.decisions._scored import of_groups, ranked, scored
from skasd.detectors._held_out_fits import anomaly_score


def decided(detector: Any, X: Any) -> Decisions:
    """Score clips and decide about them.

    Parameters
    ----------
    detector : detector or Pipeline
        Fitted detector, calibrated or not, or a pipeline that ends in one.
    X : array, list of paths or clip table
        Clips.
    """
    if hasattr(detector, "best_estimator_"):
        return decided(detector.best_estimator_, X)
    if isinstance(detector, FrozenEstimator):
        return decided(detector.estimator, X)
    if hasattr(detector, "steps"):
        *first, (_, last) = detector.steps
        for _, step in first:
            X = X if step in (None, "passthrough") else step.transform(X)
        return decided(last, X)
    if not isinstance(detector, CalibratedDetector):
        return without_p_values(anomaly_score(detector, X), -float(detector.offset_))
    check_is_fitted(detector)
    known = scored(detector, X)
    threshold = -of_groups(detector.offsets_, known.group)
    is_provisional = of_groups(detector.is_provisional_, known.group).astype(bool)
    return Decisions(known.score, threshold, ranked(detector, known), is_provisional)


def decision_table(detector: Any, X: Any, *, on_error: str = "raise") -> pd.DataFrame:
    """Score clips, decide about them, and put it all into one table.

    Parameters
    ----------
    detector : detector or Pipeline
        Fitted detector, such as :class:`CalibratedDetector`, or a pipeline that ends in one.
    X : array, list of paths or clip table
        Clips.
    on_error : {"raise", "skip"}, default="raise"
        What happens to clips that cannot be read, or hold NaN or nothing: an error that lists them, or a warning. With
        "skip", they are ``"unscored"`` in the table. See :ref:`clips_skip`.

    Returns
    -------
    table : DataFrame of shape (n_clips, 5)
        `anomaly_score`, high for anomalous clips; `threshold` on it; `p_value`, NaN where there is none; `decision`,
        ``"normal"``, ``"anomaly"`` or ``"unscored"``; and `is_provisional`, whether the decision is provisional. The index
        is that of a clip table, or counts the clips.

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
    if skips(on_error):
        return _table_of_usable(detector, X)
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


def _table_of_usable(detector: Any, X: Any) -> pd.DataFrame:
    """Table of all clips, of which those that cannot be used are unscored."""
    if not isinstance(detector, BaseDetector):
        raise TypeError(
            f"on_error='skip' takes a detector of skasd, and this is a {type(detector).__name__}; leave out the clips that "
            "skasd.clips.unusable_clips lists."
        )
    usable = UsablePart.of(detector, X, reset=False)
    table = decision_table(detector, usable.X).astype({"decision": object})
    missing = {"decision": "unscored", "is_provisional": False}
    columns = {name: usable.spread(table[name].to_numpy(), missing.get(name, np.nan)) for name in table.columns}
    return pd.DataFrame(columns, index=X.index if isinstance(X, pd.DataFrame) else None)
