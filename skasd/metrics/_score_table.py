"""One ROC curve per machine type and section."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from skasd.metrics._inputs import check_inputs, count_classes
from skasd.metrics._official_rules import check_year, official_metrics, selection
from skasd.metrics._ranking import auc_score, check_partial, partial_auc_score
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
    """AUC and pAUC of every section, and of its domains if they are known.

    Parameters
    ----------
    y_true : array-like of shape (n_clips,)
        +1 for normal clips, -1 for anomalies.
    score_samples : array-like of shape (n_clips,)
        Scores, high = normal.
    table : DataFrame of n_clips rows or None, default=None
        Clip table with rows in the order of `y_true`. Without it, all clips are one section.
    year : int or None, default=None
        Year of the challenge, 2020 to 2026, which defines the domain columns. There are none in 2020; in 2021 the normal
        clips of a domain are compared with the anomalies of that domain; since 2022 they are compared with all anomalies
        of the section. None uses 2022 if the table has domains.
    by : str or tuple of str, default=("machine_type", "section")
        Columns to group the clips by. Each group has its own ROC curve.
    max_fpr : float, default=0.1
        Highest false positive rate of the pAUC, dimensionless, in (0, 1].
    definition : {"standardized", "area", "printed"}, default="standardized"
        Definition of the pAUC, see :func:`partial_auc_score`. It determines the name of the column: ``pauc``,
        ``pauc_area`` or ``pauc_printed``.
    one_class : {"raise", "skip"}, default="raise"
        Whether a section with only one class raises an error or is skipped with a warning.

    Returns
    -------
    scores : DataFrame
        One row per section, with the columns `by`, ``n_normal``, ``n_anomaly``, ``auc`` and ``pauc`` over the whole
        section and, with domains, ``auc_source`` and ``auc_target`` (in 2021 also ``pauc_source`` and ``pauc_target``).
        Columns `by` that the table lacks are None, and the AUC of a domain that a section lacks is NaN.

    Raises
    ------
    ValueError
        If a column does not exist or is not known for every clip, a section has only one class, `year` is 2021 or later
        and no domain is known, or labels and scores are not valid for :func:`auc_score`.

    See Also
    --------
    summary_table : Aggregate sections to machine types.

    Notes
    -----
    The AUC over a section is the mean of its domain AUCs as defined in 2022, weighted by their numbers of normal clips.

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
    check_partial(max_fpr, definition)
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
    """Metrics of domains, which a table has in addition to those over whole sections."""
    known = bool((domain != "").any())
    if year is None:
        year = 2022 if known else 2020
    metrics = [metric for metric in official_metrics(check_year(year)) if metric not in ("auc", "pauc")]
    if metrics and not known:
        raise ValueError(
            f"year={year} needs the AUC of each domain, but no clip has a known domain. Use year=None or year=2020."
        )
    return metrics


def _value_or_nan(metric: str, y_true: np.ndarray, score_samples: np.ndarray, max_fpr: float, definition: str) -> float:
    """A metric over the clips of one domain, or NaN if one class is absent."""
    if min(count_classes(y_true)) == 0:
        return np.nan
    if metric.startswith("pauc"):
        return partial_auc_score(y_true, score_samples, max_fpr=max_fpr, definition=definition)
    return auc_score(y_true, score_samples)
