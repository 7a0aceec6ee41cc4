"""Scores of a fitted estimator, high = normal, whatever the sign that its library gives them."""

from typing import Any

import numpy as np


def scores_of(estimator: Any, X: Any) -> Any:
    """Scores of clips by an estimator or a pipeline: high = normal.

    ``score_samples``, or else ``decision_function``, as in scikit-learn. Detectors of PyOD, whose ``decision_function`` is
    high for outliers, are recognised and turned.

    Parameters
    ----------
    estimator : estimator
        Fitted detector, pipeline or search.
    X : array, list of paths or clip table
        Clips.

    Returns
    -------
    score_samples : array-like of shape (n_clips,)
        Scores.

    Raises
    ------
    TypeError
        If the estimator gives no scores.
    """
    if _is_high_anomalous(_last_step(estimator)):
        return -np.asarray(estimator.decision_function(X), dtype=np.float64)
    for method in ("score_samples", "decision_function"):
        if hasattr(estimator, method):
            return getattr(estimator, method)(X)
    raise TypeError(
        f"{type(estimator).__name__} has neither score_samples nor decision_function; a clip scorer needs one score per "
        "clip, high = normal."
    )


def _last_step(estimator: Any) -> Any:
    """What gives the scores of a search or a pipeline."""
    if hasattr(estimator, "best_estimator_"):
        return _last_step(estimator.best_estimator_)
    return _last_step(estimator.steps[-1][1]) if hasattr(estimator, "steps") else estimator


def _is_high_anomalous(estimator: Any) -> bool:
    """Whether it is a detector of PyOD, or one of another library that has the same attributes and so the same sign."""
    if any(kind.__module__.partition(".")[0] == "pyod" for kind in type(estimator).__mro__):
        return True
    labels = getattr(estimator, "labels_", None)
    return hasattr(estimator, "decision_scores_") and labels is not None and set(np.unique(labels)) <= {0, 1}
