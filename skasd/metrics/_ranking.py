"""AUC and partial AUC of one ranking of clips. The metrics flip the sign of the scores only here."""

from typing import Any

import numpy as np

from skasd._parameters import check_number, check_option
from skasd.metrics._inputs import ANOMALY, NORMAL, check_inputs, count_classes

DEFINITIONS = ("standardized", "area", "printed")


def auc_score(y_true: Any, score_samples: Any) -> float:
    r"""Area under the ROC curve with the anomaly as the positive class.

    The AUC is the share of pairs of an anomaly and a normal clip in which the anomaly has the lower ``score_samples``; a
    tied pair counts one half:

    .. math:: \mathrm{AUC} = \frac{1}{N_- N_+} \sum_{i=1}^{N_-} \sum_{j=1}^{N_+} h(a(x^+_j) - a(x^-_i)),
              \quad h(d) = [d > 0] + \tfrac{1}{2} [d = 0],

    where :math:`a` is the anomaly score, minus ``score_samples``, :math:`x^-_i` are the normal clips and :math:`x^+_j`
    the anomalies.

    Parameters
    ----------
    y_true : array-like of shape (n_clips,)
        +1 for normal clips, -1 for anomalies.
    score_samples : array-like of shape (n_clips,)
        Scores returned by ``score_samples`` or ``decision_function`` of a detector: high = normal.

    Returns
    -------
    auc : float
        Area under the ROC curve, dimensionless, in [0, 1]: 1 for a perfect ranking, 0.5 for chance.

    Raises
    ------
    ValueError
        If one class is absent, a label is neither +1 nor -1, a score is not finite, or the lengths differ.

    See Also
    --------
    partial_auc_score : Area at low false positive rates only.
    score_table : AUC of every machine type and section.

    Notes
    -----
    The sum counts whole pairs and is divided once, so ties and large scores cost no precision. The task descriptions of
    DCASE [1]_ print :math:`h = 0` for ties; their programs and this function count 1/2.

    References
    ----------
    .. [1] Y. Koizumi et al., "Description and discussion on DCASE2020 Challenge Task2", DCASE Workshop 2020.
           arXiv:2006.05822.

    Examples
    --------
    >>> from skasd.metrics import auc_score
    >>> auc_score([1, 1, 1, -1, -1], [0.9, 0.8, 0.3, 0.3, 0.1])
    0.9166666666666666
    """
    y_true, score_samples = check_inputs(y_true, score_samples)
    n_normal, n_anomaly = _check_both_classes(y_true)
    return float(_area(*_roc_counts(y_true, score_samples), n_normal) / (n_normal * n_anomaly))


def partial_auc_score(
    y_true: Any, score_samples: Any, *, max_fpr: float = 0.1, definition: str = "standardized"
) -> float:
    r"""Area under the ROC curve up to a maximum false positive rate (pAUC).

    It measures how many anomalies are found when false alarms are rare. Let :math:`A_p` be the area under the ROC curve
    for false positive rates in :math:`[0, p]` (trapezoids through one point per distinct score, linear interpolation at
    :math:`p`). Three definitions of the pAUC are in use.

    Parameters
    ----------
    y_true : array-like of shape (n_clips,)
        +1 for normal clips, -1 for anomalies.
    score_samples : array-like of shape (n_clips,)
        Scores, high = normal.
    max_fpr : float, default=0.1
        Highest false positive rate :math:`p`, dimensionless, in (0, 1].
    definition : {"standardized", "area", "printed"}, default="standardized"
        - ``"standardized"``: the definition of McClish [1]_, :math:`\frac{1}{2} (1 + (A_p - p^2/2) / (p - p^2/2))`. The
          worst value is :math:`(1 - p) / (2 - p)`, which is 9/19 at p = 0.1; chance gives 0.5, and the best value is 1.
          The official programs of DCASE Task 2, all its published tables, and ``roc_auc_score(max_fpr=p)`` of
          scikit-learn use it.
        - ``"area"``: :math:`A_p / p`. Chance gives :math:`p / 2`, and the best value is 1.
        - ``"printed"``: the formula of the task descriptions [2]_. With :math:`k = \lfloor p N_- \rfloor`, it is the
          share of pairs of an anomaly and one of the :math:`k` most anomalous normal clips in which the anomaly is
          strictly more anomalous. It equals ``"area"`` if :math:`p N_-` is a whole number and no scores are tied.

    Returns
    -------
    pauc : float
        Partial area under the ROC curve, dimensionless.

    Raises
    ------
    ValueError
        If one class is absent, a label is neither +1 nor -1, a score is not finite, the lengths differ, `max_fpr` is
        outside (0, 1], or the printed formula is undefined because :math:`p N_- < 1`.

    See Also
    --------
    auc_score : Whole area under the ROC curve.

    Notes
    -----
    A partial area depends on which class is positive. If the scores have the wrong sign, ``1 - auc`` corrects an AUC, but
    ``1 - pauc`` does not correct a pAUC.

    References
    ----------
    .. [1] D. K. McClish, "Analyzing a portion of the ROC curve", Medical Decision Making 9 (3), 1989.
    .. [2] Y. Koizumi et al., "Description and discussion on DCASE2020 Challenge Task2", DCASE Workshop 2020.
           arXiv:2006.05822.

    Examples
    --------
    >>> from skasd.metrics import partial_auc_score
    >>> y_true = [1] * 10 + [-1] * 4
    >>> score_samples = [-1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11, -9.5, -8.5, -12]
    >>> partial_auc_score(y_true, score_samples)
    0.7368421052631579
    >>> partial_auc_score(y_true, score_samples, definition="area")
    0.5
    >>> partial_auc_score(y_true, score_samples, definition="printed")
    0.5
    """
    check_partial(max_fpr, definition)
    y_true, score_samples = check_inputs(y_true, score_samples)
    n_normal, n_anomaly = _check_both_classes(y_true)
    if definition == "printed":
        return _printed_partial_auc(y_true, score_samples, max_fpr)
    area = _area(*_roc_counts(y_true, score_samples), max_fpr * n_normal) / (n_normal * n_anomaly)
    if definition == "area":
        return float(area / max_fpr)
    chance = max_fpr**2 / 2
    return float((1 + (area - chance) / (max_fpr - chance)) / 2)


def check_partial(max_fpr: float, definition: str = "standardized") -> None:
    """Raise if a parameter of the partial AUC is out of range."""
    check_number("max_fpr", max_fpr, low=0, high=1, above=True)
    check_option("definition", definition, DEFINITIONS)


def _check_both_classes(y_true: np.ndarray) -> tuple[int, int]:
    n_normal, n_anomaly = count_classes(y_true)
    if not n_normal or not n_anomaly:
        raise ValueError(
            f"y_true holds {n_normal} normal and {n_anomaly} anomalous clips; a ROC curve needs at least one of each."
        )
    return n_normal, n_anomaly


def _anomaly_score(score_samples: np.ndarray) -> np.ndarray:
    return -score_samples


def _roc_counts(y_true: np.ndarray, score_samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False alarms and hits of shape (n_thresholds + 1,), for a decreasing threshold on the anomaly score."""
    threshold, group = np.unique(_anomaly_score(score_samples), return_inverse=True)  # ascending; ties share a group
    false_alarms, hits = (
        np.cumsum(np.bincount(group[y_true == label], minlength=len(threshold))[::-1]) for label in (NORMAL, ANOMALY)
    )
    return np.append(0, false_alarms), np.append(0, hits)


def _area(false_alarms: np.ndarray, hits: np.ndarray, stop: float) -> float:
    """Area under the curve of hits over false alarms in [0, stop], in pairs of clips."""
    inside = false_alarms <= stop
    x = np.append(false_alarms[inside], stop)
    y = np.append(hits[inside], np.interp(stop, false_alarms, hits))
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1])) / 2)


def _printed_partial_auc(y_true: np.ndarray, score_samples: np.ndarray, max_fpr: float) -> float:
    anomaly_score = _anomaly_score(score_samples)
    normal, anomaly = np.sort(anomaly_score[y_true == NORMAL]), np.sort(anomaly_score[y_true == ANOMALY])
    n_worst = int(np.floor(max_fpr * len(normal) + 1e-9))  # 0.29 * 100 is a little below 29 in binary
    if not n_worst:
        raise ValueError(
            f"The printed pAUC is undefined: floor(max_fpr * n_normal) = floor({max_fpr:g} * {len(normal)}) = 0 normal "
            "clips to compare with. Use definition='standardized', or at least "
            f"{int(np.ceil(1 / max_fpr - 1e-9))} normal clips."
        )
    above = len(anomaly) - np.searchsorted(anomaly, normal[-n_worst:], side="right")
    return float(above.sum() / (n_worst * len(anomaly)))
