"""One ROC curve per machine type and section."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from skasd.metrics._inputs import check_inputs, count_classes
from skasd.metrics._official_rules import check_year, official_metrics, selection
from skasd.metrics._ranking import auc_score, partial_auc_score
from skasd.metrics._units import SECTION, Unit, check_one_class, known_domains, split_units, with_both_classes

PARTIAL_AUC_NAMES = {"standardized": "pauc", "area": "pauc_area", "printed": "pauc_printed"}


def score_table(
    y_true: Any,
    score_samples: Any,
    table: pd.DataFrame | None = None,
    *,
    year: int | None = None,
    by: str | Iterable[str] = SECTION,
    max_fpr: float = 0.1,
    definition: str = "standardized",
    one_class: str = "raise",
) -> pd.DataFrame:
    """AUC and pAUC of every section, and of its domains where they are known.

    Parameters
    ----------
    y_true : array-like of shape (n_clips,)
        +1 for normal clips, -1 for anomalies.
    score_samples : array-like of shape (n_clips,)
        High = normal.
    table : DataFrame of n_clips rows or None, default=None
        Clip table; its rows belong to `y_true` by position. Without it all clips are one section.
    year : int or None, default=None
        2020 to 2026: whose definition of the domain columns to use. 2020 has none; 2021 sets the normal clips of a
        domain against its own anomalies; since 2022 they are set against all anomalies of the section. None follows
        2022 where the table knows domains.
    by : str or tuple of str, default=("machine_type", "section")
        Columns of which each distinct value gets a ROC curve of its own.
    max_fpr : float, default=0.1
        Largest false-positive rate of the pAUC, dimensionless, in (0, 1].
    definition : {"standardized", "area", "printed"}, default="standardized"
        Definition of the pAUC, see :func:`partial_auc_score`; it names the column: ``pauc``, ``pauc_area`` or
        ``pauc_printed``.
    one_class : {"raise", "skip"}, default="raise"
        What to do with a section that holds one class only: raise, or skip it and warn.

    Returns
    -------
    scores : DataFrame
        One row per section: the columns `by`, ``n_normal``, ``n_anomaly``, ``auc`` and ``pauc`` over the whole section
        and, with domains, ``auc_source`` and ``auc_target`` (in 2021 also ``pauc_source`` and ``pauc_target``). A
        column that the table lacks is None, and the AUC of a domain that a section lacks is NaN.

    Raises
    ------
    ValueError
        If a column does not exist or is not known of every clip, a section holds one class only, a `year` since 2021 is
        given and no domain is known, or labels and scores are not as :func:`auc_score` wants them.

    See Also
    --------
    summary_table : From sections to machine types.

    Notes
    -----
    The AUC over a section is the mean of its domain AUCs of 2022, weighted by the number of their normal clips.

    Examples
    --------
    >>> import pandas as pd
    >>> from skasd.metrics import score_table
    >>> table = pd.DataFrame({"machine_type": "fan", "section": ["00"] * 4 + ["02"] * 4})
    >>> score_table([1, 1, -1, -1] * 2, [4, 3, 2, 1, 4, 2, 3, 1], table)
      machine_type section  n_normal  n_anomaly   auc      pauc
    0          fan      00         2          2  1.00  1.000000
    1          fan      02         2          2  0.75  0.736842
    """
    check_one_class(one_class)
    y_true, score_samples = check_inputs(y_true, score_samples, table)
    domain = known_domains(table, len(y_true))
    domain_metrics = _domain_metrics(domain, year)
    pauc = PARTIAL_AUC_NAMES.get(definition, definition)
    rows = []
    for unit in with_both_classes(split_units(table, len(y_true), by), y_true, one_class):
        y, score = y_true[unit.rows], score_samples[unit.rows]
        row = _start_row(unit, y) | {
            "auc": auc_score(y, score),
            pauc: partial_auc_score(y, score, max_fpr=max_fpr, definition=definition),
        }
        for metric in domain_metrics:
            chosen = selection(metric, y, domain[unit.rows], year or 2022)
            name = metric.replace("pauc", pauc)
            row[name] = _value_or_nan(metric, y[chosen], score[chosen], max_fpr, definition)
        rows.append(row)
    return pd.DataFrame(rows)


def _start_row(unit: Unit, y_true: np.ndarray) -> dict[str, Any]:
    n_normal, n_anomaly = count_classes(y_true)
    return {**unit.key, "n_normal": n_normal, "n_anomaly": n_anomaly}


def _domain_metrics(domain: np.ndarray, year: int | None) -> list[str]:
    """Metrics that a table has besides those over whole sections."""
    known = bool((domain != "").any())
    if year is None:
        year = 2022 if known else 2020
    metrics = [metric for metric in official_metrics(check_year(year)) if metric not in ("auc", "pauc")]
    if metrics and not known:
        raise ValueError(
            f"year={year} asks for AUCs of domains, and the domain of no clip is known. Use year=None or 2020."
        )
    return metrics


def _value_or_nan(metric: str, y_true: np.ndarray, score_samples: np.ndarray, max_fpr: float, definition: str) -> float:
    """A metric over clips of one domain, NaN where there is none of a class."""
    if min(count_classes(y_true)) == 0:
        return np.nan
    if metric.startswith("pauc"):
        return partial_auc_score(y_true, score_samples, max_fpr=max_fpr, definition=definition)
    return auc_score(y_true, score_samples)
