"""Precision, recall and F1 of decisions, which the challenge reports next to its score."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from skasd.metrics._inputs import ANOMALY, NORMAL, check_table, check_truth, count_classes
from skasd.metrics._means import EPS
from skasd.metrics._units import split_units


class DecisionScores(NamedTuple):
    """Precision, recall and F1 of decisions, with the anomaly as the positive class.

    Parameters
    ----------
    precision, recall, f1 : float
        Values in [0, 1], dimensionless.
    """

    precision: float
    recall: float
    f1: float


def decision_scores(y_true: Any, y_pred: Any) -> DecisionScores:
    """Compute precision, recall and F1 of decisions, with the anomaly as the positive class.

    Parameters
    ----------
    y_true : array-like of shape (n_clips,)
        +1 for normal clips, -1 for anomalies.
    y_pred : array-like of shape (n_clips,)
        Decisions returned by ``predict`` of a detector: +1 or -1.

    Returns
    -------
    scores : DecisionScores
        Named tuple ``(precision, recall, f1)``, dimensionless. Denominators are at least 2.2e-16, as in the official
        programs: if no clip is predicted as an anomaly the precision is 0, and if there is no anomaly the recall is 0.

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

    Each row counts only the normal and anomalous clips of its own domain, in every year. This differs from the AUC of a
    domain since 2022, which uses the anomalies of both domains.

    Parameters
    ----------
    y_true : array-like of shape (n_clips,)
        +1 for normal clips, -1 for anomalies.
    y_pred : array-like of shape (n_clips,)
        Decisions, +1 or -1.
    table : DataFrame of n_clips rows or None, default=None
        Clip table with rows in the order of `y_true`.
    by : str or tuple of str, default=("machine_type", "section", "domain")
        Columns to group the clips by. A column that is absent or empty in the table is None in every row.

    Returns
    -------
    scores : DataFrame
        One row per group, with the columns `by`, ``n_normal``, ``n_anomaly``, ``n_false_alarms``, ``n_missed``,
        ``precision``, ``recall`` and ``f1``.

    Raises
    ------
    ValueError
        If a column does not exist or is not known for every clip, a label is neither +1 nor -1, or the lengths differ.

    See Also
    --------
    decision_scores : The same metrics over all clips.

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
            f"y_true has {len(y_true)} clips and y_pred has {len(y_pred)}; expected one decision per clip."
        )
    return y_true, y_pred
