"""The official score of DCASE Task 2 for each year, and the metrics it is computed from."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from skasd.metrics._inputs import check_inputs, count_classes
from skasd.metrics._means import arithmetic_mean, harmonic_mean
from skasd.metrics._official_rules import check_year, official_metrics, official_parts
from skasd.metrics._ranking import auc_score, check_partial, partial_auc_score


def official_table(
    y_true: Any,
    score_samples: Any,
    table: pd.DataFrame | None = None,
    *,
    year: int,
    max_fpr: float = 0.1,
    expected: Mapping[str, Iterable[str]] | None = None,
    one_class: str = "raise",
) -> pd.DataFrame:
    """Metrics that enter the official score of a year, with the number of clips behind each.

    Parameters
    ----------
    y_true : array-like of shape (n_clips,)
        +1 for normal clips, -1 for anomalies.
    score_samples : array-like of shape (n_clips,)
        Scores, high = normal.
    table : DataFrame of n_clips rows or None, default=None
        Clip table with rows in the order of `y_true`. The columns ``machine_type``, ``section`` and, since 2021,
        ``domain`` are used.
    year : int
        Year of the challenge, 2020 to 2026, whose rules apply, see :func:`official_score`.
    max_fpr : float, default=0.1
        Highest false positive rate of the pAUC, dimensionless, in (0, 1].
    expected : mapping of str to iterable of str or None, default=None
        Sections by machine type, for example ``{"fan": ["00", "02"]}``. If given, the table must hold exactly these.
    one_class : {"raise", "skip"}, default="raise"
        Whether a section that lacks a class, or the normal clips of a domain, raises an error or is left out with a
        warning.

    Returns
    -------
    parts : DataFrame
        One row per metric, with the columns ``machine_type, section, metric, value, n_normal, n_anomaly``. The metric is
        ``auc`` or ``pauc`` (standardised), followed by ``_source`` or ``_target`` if it is defined for a domain.

    Raises
    ------
    ValueError
        If the domain of a clip is needed but unknown, a section is missing or lacks a class, or labels and scores are
        not valid for :func:`auc_score`.

    See Also
    --------
    official_score : Official score computed from these metrics.
    official_mean : Mean of these metrics that gives the official score.

    Examples
    --------
    >>> import pandas as pd
    >>> from skasd.metrics import official_table
    >>> table = pd.DataFrame({"machine_type": "fan", "section": "03", "domain": ["source", "target"] * 3})
    >>> official_table([1, 1, 1, 1, -1, -1], [6, 5, 4, 1, 3, 2], table, year=2022).drop(columns="machine_type")
      section      metric     value  n_normal  n_anomaly
    0      03  auc_source  1.000000         2          2
    1      03  auc_target  0.500000         2          2
    2      03        pauc  0.473684         4          2
    """
    check_partial(max_fpr)
    y_true, score_samples = check_inputs(y_true, score_samples, table)
    rows = []
    for unit, parts in official_parts(y_true, table, year=year, expected=expected, one_class=one_class):
        for part in parts:
            y, score = y_true[part.rows], score_samples[part.rows]
            value = partial_auc_score(y, score, max_fpr=max_fpr) if "pauc" in part.metric else auc_score(y, score)
            rows.append((*unit.key.values(), part.metric, value, *count_classes(y)))
    return pd.DataFrame(rows, columns=["machine_type", "section", "metric", "value", "n_normal", "n_anomaly"])


def official_score(
    y_true: Any,
    score_samples: Any,
    table: pd.DataFrame | None = None,
    *,
    year: int,
    max_fpr: float = 0.1,
    expected: Mapping[str, Iterable[str]] | None = None,
    one_class: str = "raise",
) -> float:
    r"""Official score of DCASE Task 2.

    Parameters
    ----------
    y_true : array-like of shape (n_clips,)
        +1 for normal clips, -1 for anomalies.
    score_samples : array-like of shape (n_clips,)
        Scores, high = normal.
    table : DataFrame of n_clips rows or None, default=None
        Clip table with rows in the order of `y_true`. Without the columns ``machine_type`` and ``section`` all clips
        are one section; since 2021 the column ``domain`` is required.
    year : int
        Year of the challenge, 2020 to 2026, whose rules apply.
    max_fpr : float, default=0.1
        Highest false positive rate of the pAUC, dimensionless, in (0, 1].
    expected : mapping of str to iterable of str or None, default=None
        Sections by machine type. If given, the table must hold exactly these; otherwise missing sections go unnoticed.
    one_class : {"raise", "skip"}, default="raise"
        Whether a section that lacks a class, or the normal clips of a domain, raises an error or is left out with a
        warning. A mean over the remaining sections is not the official score.

    Returns
    -------
    score : float
        Official score, dimensionless, in [0, 1], high = good.

    Raises
    ------
    ValueError
        Under the same conditions as :func:`official_table`.

    See Also
    --------
    official_table : Metrics that the score is computed from.
    summary_table : Compare it with the pooled ROC curve and the worst section.

    Notes
    -----
    ==========  ============================================================  ==========================================
    year        metrics of each section                                       score
    ==========  ============================================================  ==========================================
    2020        AUC and pAUC over the section                                 none: systems were ranked by their average
                                                                              rank. Here: the mean over machine types of
                                                                              the mean over sections of AUC and pAUC
    2021        AUC and pAUC of each domain: its normal clips against its     harmonic mean of all metrics,
                anomalies                                                     :math:`\Omega`
    2022-2026   AUC of each domain: its normal clips against all anomalies    harmonic mean of all metrics,
                of the section; pAUC over the section                         :math:`\Omega`
    ==========  ============================================================  ==========================================

    The harmonic mean has the floor of the official programs, see :func:`harmonic_mean`. The pAUC is the standardised one.

    Examples
    --------
    >>> import pandas as pd
    >>> from skasd.metrics import official_score
    >>> table = pd.DataFrame({"machine_type": "fan", "section": "03", "domain": ["source", "target"] * 3})
    >>> y_true, score_samples = [1, 1, 1, 1, -1, -1], [6, 5, 4, 1, 3, 2]
    >>> round(official_score(y_true, score_samples, table, year=2022), 4)
    0.587
    >>> official_score(y_true, score_samples, table, year=2021)
    0.6545454545454545
    """
    parts = official_table(
        y_true, score_samples, table, year=year, max_fpr=max_fpr, expected=expected, one_class=one_class
    )
    return official_mean(parts, year=year)


def official_mean(parts: pd.DataFrame, *, year: int) -> float:
    """Compute the official score from its metrics, for example from a printed table.

    Parameters
    ----------
    parts : DataFrame
        Table with the columns ``machine_type``, ``section``, ``metric`` and ``value``, as returned by
        :func:`official_table`. Rows with other metrics are not allowed.
    year : int
        Year of the challenge, 2020 to 2026, whose rules apply.

    Returns
    -------
    score : float
        Official score, dimensionless, in [0, 1].

    Raises
    ------
    ValueError
        If a section lacks a metric, has one twice or has one that does not enter the score of that year.

    Examples
    --------
    >>> import pandas as pd
    >>> from skasd.metrics import official_mean
    >>> parts = pd.DataFrame({"machine_type": "fan", "section": ["00", "00", "02", "02"],
    ...                       "metric": ["auc", "pauc"] * 2, "value": [0.75, 0.5, 1.0, 0.75]})
    >>> official_mean(parts, year=2020)
    0.75
    """
    wanted = sorted(official_metrics(check_year(year)))
    for section, metrics in parts.groupby(["machine_type", "section"], dropna=False)["metric"]:
        if sorted(metrics) != wanted:
            raise ValueError(
                f"Section {section} has the metrics {', '.join(sorted(metrics))}; the score of {year} needs "
                f"{', '.join(wanted)}, each exactly once."
            )
    if year != 2020:
        return harmonic_mean(parts["value"])
    return arithmetic_mean(
        [arithmetic_mean(values) for _, values in parts.groupby("machine_type", dropna=False)["value"]]
    )
