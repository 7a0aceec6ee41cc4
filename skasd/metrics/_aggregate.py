"""Aggregate the values of sections to one number per machine type, and to one number over all machine types."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from skasd._parameters import check_option
from skasd.metrics._inputs import check_inputs
from skasd.metrics._means import arithmetic_mean, harmonic_mean
from skasd.metrics._official import official_mean, official_table
from skasd.metrics._official_rules import check_year, official_parts
from skasd.metrics._score_table import PARTIAL_AUC_NAMES, score_table
from skasd.metrics._units import SECTION

AGGREGATIONS = ("mean_of_sections", "official", "pooled", "worst_section")
ALL = "ALL"


def aggregate_score(
    y_true: Any,
    score_samples: Any,
    table: pd.DataFrame | None = None,
    *,
    metric: str = "auc",
    aggregation: str = "mean_of_sections",
    max_fpr: float = 0.1,
    definition: str = "standardized",
    one_class: str = "raise",
) -> float:
    """AUC or pAUC over many sections, aggregated to one number.

    Parameters
    ----------
    y_true : array-like of shape (n_clips,)
        +1 for normal clips, -1 for anomalies.
    score_samples : array-like of shape (n_clips,)
        Scores, high = normal.
    table : DataFrame of n_clips rows or None, default=None
        Clip table with rows in the order of `y_true`. Without it, or without its columns ``machine_type`` and
        ``section``, all clips are one section and all aggregations give the same value.
    metric : {"auc", "partial_auc"}, default="auc"
        Metric to compute.
    aggregation : {"mean_of_sections", "official", "pooled", "worst_section"}, default="mean_of_sections"
        - ``"mean_of_sections"``: one ROC curve per machine type and section, arithmetic mean over all of them;
        - ``"official"``: as published for 2020, the mean over the sections of each machine type, then the mean over
          machine types; equal to the first if all machine types have the same number of sections;
        - ``"pooled"``: one ROC curve over all sections of each machine type, mean over machine types;
        - ``"worst_section"``: the lowest value among the sections of each machine type, mean over machine types.
    max_fpr : float, default=0.1
        Highest false positive rate of the pAUC, dimensionless, in (0, 1].
    definition : {"standardized", "area", "printed"}, default="standardized"
        Definition of the pAUC, see :func:`partial_auc_score`.
    one_class : {"raise", "skip"}, default="raise"
        Whether a section (pooled: a machine type) with only one class raises an error or is skipped with a warning.

    Returns
    -------
    score : float
        Aggregated metric, dimensionless, in [0, 1].

    Raises
    ------
    ValueError
        Under the same conditions as :func:`score_table`.

    See Also
    --------
    summary_table : Compare the aggregations side by side.
    make_clip_scorer : Make a scorer for model selection from an aggregation.

    Examples
    --------
    Two sections that are each ranked perfectly, but on different scales:

    >>> import pandas as pd
    >>> from skasd.metrics import aggregate_score
    >>> table = pd.DataFrame({"machine_type": "fan", "section": ["00", "00", "02", "02"]})
    >>> y_true, score_samples = [1, -1, 1, -1], [-10.0, -11.0, -1.0, -2.0]
    >>> aggregate_score(y_true, score_samples, table)
    1.0
    >>> aggregate_score(y_true, score_samples, table, aggregation="pooled")
    0.75
    """
    check_option("metric", metric, ("auc", "partial_auc"))
    check_option("aggregation", aggregation, AGGREGATIONS)
    by = ("machine_type",) if aggregation == "pooled" else SECTION
    scores = score_table(
        y_true, score_samples, table, year=2020, by=by, max_fpr=max_fpr, definition=definition, one_class=one_class
    )
    column = "auc" if metric == "auc" else PARTIAL_AUC_NAMES[definition]
    if aggregation == "mean_of_sections":
        return arithmetic_mean(scores[column])
    per_type = scores.groupby("machine_type", dropna=False)[column]
    return arithmetic_mean(per_type.min() if aggregation == "worst_section" else per_type.mean())


def summary_table(
    y_true: Any,
    score_samples: Any,
    table: pd.DataFrame | None = None,
    *,
    year: int,
    max_fpr: float = 0.1,
    expected: Mapping[str, Iterable[str]] | None = None,
    one_class: str = "raise",
) -> pd.DataFrame:
    """Official, pooled and worst-section metrics side by side, per machine type and over all machine types.

    Parameters
    ----------
    y_true : array-like of shape (n_clips,)
        +1 for normal clips, -1 for anomalies.
    score_samples : array-like of shape (n_clips,)
        Scores, high = normal.
    table : DataFrame of n_clips rows or None, default=None
        Clip table with rows in the order of `y_true`.
    year : int
        Year of the challenge, 2020 to 2026, whose rules apply to the official columns. The mean over machine types is
        arithmetic in 2020 and harmonic since 2021. Use 2020 for your own data without domains.
    max_fpr : float, default=0.1
        Highest false positive rate of the standardised pAUC, dimensionless, in (0, 1].
    expected : mapping of str to iterable of str or None, default=None
        Sections that the table must hold, by machine type, see :func:`official_table`.
    one_class : {"raise", "skip"}, default="raise"
        Whether a section that lacks a class for one of the year's metrics raises an error or is left out of all columns.

    Returns
    -------
    summary : DataFrame
        One row per machine type, and a last row whose ``machine_type`` is ``"ALL"``. ``score_official`` is the official
        score of the row. For each of ``auc`` and ``pauc`` there are three columns:

        - ``*_official``: mean over the values of this metric in :func:`official_table`;
        - ``*_pooled``: one ROC curve over all clips of the machine type;
        - ``*_worst_section``: lowest value among the sections, with one ROC curve over both domains of each section.

        In the last row, pooled and worst section are means over machine types; clips of different machine types never
        share a ROC curve.

    Raises
    ------
    ValueError
        Under the same conditions as :func:`official_table`.

    See Also
    --------
    score_table : Metrics of every section.

    Examples
    --------
    >>> import pandas as pd
    >>> from skasd.metrics import summary_table
    >>> table = pd.DataFrame({"machine_type": "fan", "section": ["00", "00", "02", "02"]})
    >>> summary = summary_table([1, -1, 1, -1], [-10.0, -11.0, -1.0, -2.0], table, year=2020)
    >>> summary[["machine_type", "auc_official", "auc_pooled", "auc_worst_section"]]
      machine_type  auc_official  auc_pooled  auc_worst_section
    0          fan           1.0        0.75                1.0
    1          ALL           1.0        0.75                1.0
    """
    year = check_year(year)
    y_true, score_samples = check_inputs(y_true, score_samples, table)
    kept = official_parts(y_true, table, year=year, expected=expected, one_class=one_class)
    rows = np.sort(np.concatenate([unit.rows for unit, _ in kept]))
    y_true, score_samples, table = y_true[rows], score_samples[rows], None if table is None else table.iloc[rows]
    parts = official_table(y_true, score_samples, table, year=year, max_fpr=max_fpr)
    summary = _type_rows(parts, year)
    pooled = score_table(y_true, score_samples, table, year=2020, by="machine_type", max_fpr=max_fpr)
    sections = score_table(y_true, score_samples, table, year=2020, max_fpr=max_fpr)
    worst = sections.groupby("machine_type", dropna=False, sort=False)
    for metric in ("auc", "pauc"):
        summary[f"{metric}_pooled"] = pooled[metric].to_numpy()
        summary[f"{metric}_worst_section"] = worst[metric].min().to_numpy()
    for count in ("n_normal", "n_anomaly"):
        summary[count] = pooled[count].to_numpy()
    return _with_all(summary, parts, year)[_COLUMNS]


_COLUMNS = ["machine_type", "n_sections", "n_normal", "n_anomaly", "score_official"] + [
    f"{metric}_{aggregation}" for metric in ("auc", "pauc") for aggregation in ("official", "pooled", "worst_section")
]


def _type_rows(parts: pd.DataFrame, year: int) -> pd.DataFrame:
    """Official columns, one row per machine type in the order of `parts`."""
    rows = [
        {"machine_type": machine_type, "n_sections": len(group[["section"]].drop_duplicates())} | _official(group, year)
        for machine_type, group in parts.groupby("machine_type", dropna=False, sort=False)
    ]
    return pd.DataFrame(rows)


def _official(parts: pd.DataFrame, year: int) -> dict[str, float]:
    metric = parts["metric"].str.partition("_")[0]
    per_metric = {f"{name}_official": parts["value"][metric == name] for name in ("auc", "pauc")}
    return {name: _mean(values, year) for name, values in per_metric.items()} | {
        "score_official": official_mean(parts, year=year)
    }


def _with_all(summary: pd.DataFrame, parts: pd.DataFrame, year: int) -> pd.DataFrame:
    """Append the row over all machine types to the rows of the machine types."""
    last: dict[str, Any] = {
        column: _mean(summary[column], year) for column in _COLUMNS if column.startswith(("auc", "pauc"))
    }
    last |= {column: summary[column].sum() for column in ("n_sections", "n_normal", "n_anomaly")}
    if year == 2020:  # the mean of the rows above
        last["score_official"] = official_mean(parts, year=year)
    else:  # the mean over the values of all machine types
        last |= _official(parts, year)
    summary["machine_type"] = summary["machine_type"].astype(object)
    return pd.concat([summary, pd.DataFrame([{"machine_type": ALL} | last])], ignore_index=True)


def _mean(values: pd.Series, year: int) -> float:
    return arithmetic_mean(values) if year == 2020 else harmonic_mean(values)
