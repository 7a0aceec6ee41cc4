"""Precision, recall and F1 at the decisions, as the challenge prints them beside its score."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from skasd.metrics._inputs import ANOMALY, NORMAL, check_table, check_truth, count_classes
from skasd.metrics._means import EPS
from skasd.metrics._units import split_units


class DecisionScores(NamedTuple):
    """Precision, recall and F1 of decisions, with the anomaly as the positive class.

    Attributes
    ----------
    precision, recall, f1 : float
        In [0, 1], dimensionless.
    """

    precision: float
    recall: float
    f1: float


def decision_scores(y_true: Any, y_pred: Any) -> DecisionScores:
    """Precision, recall and F1 at decisions, with the anomaly as the positive class.

    Parameters
    ----------
    y_true : array-like of shape (n_clips,)
        +1 for normal clips, -1 for anomalies.
    y_pred : array-like of shape (n_clips,)
        What ``predict`` of a detector gave: +1 or -1.

    Returns
    -------
    scores : DecisionScores
        Named tuple ``(precision, recall, f1)``, dimensionless. Denominators are floored at 2.2e-16 as in the official
        programs: without a decision for an anomaly the precision is 0, without an anomaly the recall is 0.

    Raises
    ------
    ValueError
        If a label is neither +1 nor -1 or the lengths differ.

    Examples
    --------
    >>> from skasd.metrics import decision_scores
    >>> decision_scores([1, 1, -1, -1], [1, -1, -1, 1])
    DecisionScores(precision=0.5, recall=0.5, f1=0.5)
    """
    y_true, y_pred = _check_decisions(y_true, y_pred)
    n_hits = int(np.count_nonzero((y_true == ANOMALY) & (y_pred == ANOMALY)))
    precision = n_hits / max(float(np.count_nonzero(y_pred == ANOMALY)), EPS)
    recall = n_hits / max(float(np.count_nonzero(y_true == ANOMALY)), EPS)
    return DecisionScores(precision, recall, 2 * precision * recall / max(precision + recall, EPS))


def decision_table(
    y_true: Any,
    y_pred: Any,
    table: pd.DataFrame | None = None,
    *,
    by: str | Iterable[str] = ("machine_type", "section", "domain"),
) -> pd.DataFrame:
    """Precision, recall and F1 per machine type, section and domain.

    Each row counts the clips of its own domain only, normal and anomalous, in every year; in this the domain columns
    differ from the AUC of a domain since 2022.

    Parameters
    ----------
    y_true : array-like of shape (n_clips,)
        +1 for normal clips, -1 for anomalies.
    y_pred : array-like of shape (n_clips,)
        +1 or -1.
    table : DataFrame of n_clips rows or None, default=None
        Clip table; its rows belong to `y_true` by position.
    by : str or tuple of str, default=("machine_type", "section", "domain")
        Columns of which each distinct value gets a row. One that the table lacks, or knows of no clip, is None.

    Returns
    -------
    scores : DataFrame
        The columns `by`, ``n_normal``, ``n_anomaly``, ``n_false_alarms``, ``n_missed``, ``precision``, ``recall``,
        ``f1``.

    Raises
    ------
    ValueError
        If a column does not exist or is not known of every clip, a label is neither +1 nor -1, or the lengths differ.

    See Also
    --------
    decision_scores : The same over all clips.

    Examples
    --------
    >>> import pandas as pd
    >>> from skasd.metrics import decision_table
    >>> table = pd.DataFrame({"section": ["00", "00", "01", "01"]})
    >>> scores = decision_table([1, -1, 1, -1], [1, -1, -1, -1], table, by="section")
    >>> scores[["section", "n_false_alarms", "n_missed", "precision", "recall"]]
      section  n_false_alarms  n_missed  precision  recall
    0      00               0         0        1.0     1.0
    1      01               1         0        0.5     1.0
    """
    y_true, y_pred = _check_decisions(y_true, y_pred)
    check_table(table, len(y_true))
    rows = []
    for unit in split_units(table, len(y_true), by):
        y, decision = y_true[unit.rows], y_pred[unit.rows]
        n_normal, n_anomaly = count_classes(y)
        counts = {
            "n_normal": n_normal,
            "n_anomaly": n_anomaly,
            "n_false_alarms": int(np.count_nonzero((y == NORMAL) & (decision == ANOMALY))),
            "n_missed": int(np.count_nonzero((y == ANOMALY) & (decision == NORMAL))),
        }
        rows.append(unit.key | counts | decision_scores(y, decision)._asdict())
    return pd.DataFrame(rows)


def _check_decisions(y_true: Any, y_pred: Any) -> tuple[np.ndarray, np.ndarray]:
    y_true, y_pred = check_truth(y_true), check_truth(y_pred, "y_pred")
    if len(y_true) != len(y_pred):
        raise ValueError(
            f"y_true has {len(y_true)} clips and y_pred has {len(y_pred)}; one decision per clip is expected."
        )
    return y_true, y_pred
