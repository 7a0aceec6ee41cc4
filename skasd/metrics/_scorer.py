"""Scorers for scikit-learn's model selection, with one ROC curve per machine type and section unless told otherwise."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
import pandas as pd

from skasd._parameters import check_option, numeric_labels
from skasd._tables import as_pandas
from skasd.metrics._aggregate import AGGREGATIONS, aggregate_score
from skasd.metrics._estimator_scores import scores_of
from skasd.metrics._inputs import check_scores
from skasd.metrics._official import official_score
from skasd.metrics._official_rules import check_year
from skasd.metrics._ranking import check_partial
from skasd.metrics._units import check_one_class


@dataclass(frozen=True, repr=False)
class ClipScorer:
    """Scorer of a fitted detector: ``scorer(estimator, X, y)`` returns a float, high = good.

    :func:`make_clip_scorer` and :func:`official_scorer` make scorers. They can be pickled, so they work in parallel.

    Parameters
    ----------
    metric : callable
        Metric, called as ``metric(y_true, score_samples, table)``; it must be picklable.
    name : str
        Text that ``repr`` returns.
    """

    metric: Callable[..., float] = field(compare=False)
    name: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "__doc__", type(self).__call__.__doc__)  # documents what a scorer is called with

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        """Evaluate a fitted detector on labelled clips.

        Parameters
        ----------
        estimator : object
            Fitted detector with ``score_samples`` or, if it has none, ``decision_function``: high = normal. Detectors of
            PyOD, whose ``decision_function`` is high for outliers, are recognised.
        X : array, list of paths or DataFrame
            Clips. The columns ``machine_type``, ``section`` and ``domain`` of a DataFrame group them.
        y : array-like of shape (n_clips,)
            +1 normal, -1 anomaly. Clips with an unknown label, 0, are left out.

        Returns
        -------
        score : float
            Value of the metric, high = good.
        """
        if y is None:
            raise ValueError(
                f"{self!r} needs y: +1 for normal clips, -1 for anomalies; got y=None. Pass y to the search or to the "
                "cross-validation."
            )
        y = numeric_labels(y)
        score_samples = check_scores(scores_of(estimator, X), len(y), "y")
        known = _known_truth(y)
        X = as_pandas(X)
        table = X.iloc[known] if isinstance(X, pd.DataFrame) else None
        return self.metric(y[known], score_samples[known], table)

    def __repr__(self) -> str:
        return self.name


def make_clip_scorer(
    metric: str = "auc",
    *,
    aggregation: str = "mean_of_sections",
    max_fpr: float = 0.1,
    definition: str = "standardized",
    one_class: str = "raise",
) -> ClipScorer:
    """Make a scorer of the AUC or pAUC, aggregated over sections.

    Parameters
    ----------
    metric : {"auc", "partial_auc"}, default="auc"
        Metric to compute.
    aggregation : {"mean_of_sections", "official", "pooled", "worst_section"}, default="mean_of_sections"
        How the values of sections are aggregated, see :func:`aggregate_score`. If X is not a DataFrame with
        ``machine_type`` or ``section``, there is a single ROC curve and all aggregations give the same value.
    max_fpr : float, default=0.1
        Highest false positive rate of the pAUC, dimensionless, in (0, 1].
    definition : {"standardized", "area", "printed"}, default="standardized"
        Definition of the pAUC, see :func:`partial_auc_score`.
    one_class : {"raise", "skip"}, default="raise"
        Whether a section with only one class in a fold raises an error or is skipped with a warning.

    Returns
    -------
    scorer : ClipScorer
        Scorer to pass as ``scoring=``.

    Raises
    ------
    ValueError
        If an option is unknown.

    See Also
    --------
    official_scorer : Make a scorer of the official score of a year.

    Notes
    -----
    `GridSearchCV` and `cross_validate` turn an error in a scorer into a warning and a score of NaN, unless
    ``error_score="raise"`` is set. ``cv=3`` is `KFold`, whose folds may lack a class and train on anomalies: use
    :class:`skasd.model_selection.NormalOnlySplit`.

    Examples
    --------
    >>> from skasd.metrics import make_clip_scorer
    >>> make_clip_scorer("auc", aggregation="worst_section")
    make_clip_scorer('auc', aggregation='worst_section')
    """
    check_option("metric", metric, ("auc", "partial_auc"))
    check_option("aggregation", aggregation, AGGREGATIONS)
    check_partial(max_fpr, definition)
    check_one_class(one_class)
    options: dict[str, Any] = {
        "aggregation": aggregation,
        "max_fpr": max_fpr,
        "definition": definition,
        "one_class": one_class,
    }
    compute = partial(aggregate_score, metric=metric, **options)
    return ClipScorer(compute, _call_text(make_clip_scorer, metric, options))


def official_scorer(
    year: int,
    *,
    max_fpr: float = 0.1,
    expected: Mapping[str, Iterable[str]] | None = None,
    one_class: str = "raise",
) -> ClipScorer:
    """Make a scorer of the official score of a year.

    Parameters
    ----------
    year : int
        Year of the challenge, 2020 to 2026, see :func:`official_score`. Since 2021, X must be a clip table with domains.
    max_fpr : float, default=0.1
        Highest false positive rate of the pAUC, dimensionless, in (0, 1].
    expected : mapping of str to iterable of str or None, default=None
        Sections that every fold must hold, by machine type.
    one_class : {"raise", "skip"}, default="raise"
        Whether a section that lacks a class for one of the year's metrics raises an error or is skipped with a warning.

    Returns
    -------
    scorer : ClipScorer
        Scorer to pass as ``scoring=``.

    Raises
    ------
    ValueError
        If an option is unknown.

    See Also
    --------
    make_clip_scorer : Make a scorer of the AUC or pAUC.

    Examples
    --------
    >>> from skasd.metrics import official_scorer
    >>> official_scorer(2023)
    official_scorer(2023)
    """
    year = check_year(year)
    check_partial(max_fpr)
    check_one_class(one_class)
    options: dict[str, Any] = {"max_fpr": max_fpr, "expected": expected, "one_class": one_class}
    compute = partial(official_score, year=year, **options)
    return ClipScorer(compute, _call_text(official_scorer, year, options))


def _call_text(factory: Callable[..., ClipScorer], first: Any, options: dict[str, Any]) -> str:
    """Text of the call that makes a scorer, without options that have their default."""
    default = signature(factory).parameters
    changed = [f"{name}={value!r}" for name, value in options.items() if value != default[name].default]
    return f"{factory.__name__}({', '.join([repr(first), *changed])})"


def _known_truth(y: np.ndarray) -> np.ndarray:
    """Positions of the clips with a known label."""
    if y.dtype.kind not in "iuf" or y.ndim != 1:
        return np.arange(len(y))
    if np.any(y == 0) and not np.any(y == -1):
        raise ValueError("y holds 0 but no -1; expected +1 for normal, -1 for an anomaly and 0 for an unknown label.")
    return np.flatnonzero(y != 0)


auc_scorer = make_clip_scorer("auc")
partial_auc_scorer = make_clip_scorer("partial_auc")
