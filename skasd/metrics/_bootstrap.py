"""Bootstrap intervals: how much a metric would vary with other test clips."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from skasd._parameters import check_integer, check_number, naming
from skasd._random import local_random_state
from skasd.metrics._inputs import check_inputs


class BootstrapInterval(NamedTuple):
    """Bootstrap interval of a metric.

    Parameters
    ----------
    estimate : float
        Metric over all clips, without resampling.
    low, high : float
        Ends of the interval.
    standard_error : float
        Standard deviation of the metric over the resamples.
    """

    estimate: float
    low: float
    high: float
    standard_error: float


def bootstrap_interval(
    metric: Callable[..., float],
    y_true: Any,
    score_samples: Any,
    table: pd.DataFrame | None = None,
    *,
    n_resamples: int = 1000,
    level: float = 0.95,
    random_state: Any = None,
) -> BootstrapInterval:
    """Percentile bootstrap interval of a metric, stratified by section, domain and class.

    Clips are drawn with replacement within each machine type, section, domain and class, so that every resample has the
    same counts as the test set and no section loses a class. The interval covers the choice of test clips, but not the
    variation between training seeds.

    Parameters
    ----------
    metric : callable
        Metric, called as ``metric(y_true, score_samples)``, or as ``metric(y_true, score_samples, table)`` if a table is
        given; returns a float. Fix its options with `functools.partial`.
    y_true : array-like of shape (n_clips,)
        +1 for normal clips, -1 for anomalies.
    score_samples : array-like of shape (n_clips,)
        Scores, high = normal.
    table : DataFrame of n_clips rows or None, default=None
        Clip table with rows in the order of `y_true`. Without it, clips are drawn within each class.
    n_resamples : int, default=1000
        Number of resamples, at least 2.
    level : float, default=0.95
        Share of resamples inside the interval, dimensionless, in (0, 1).
    random_state : int, RandomState instance or None, default=None
        Seeds the draws. NumPy's global generator stays untouched, even with None.

    Returns
    -------
    interval : BootstrapInterval
        Named tuple ``(estimate, low, high, standard_error)`` in the unit of the metric. `estimate` is the metric over
        all clips, `standard_error` its standard deviation over the resamples.

    Raises
    ------
    ValueError
        If `level` is outside (0, 1), or if labels, scores and table do not match.

    Notes
    -----
    A resample contains ties between copies of a clip. They do not bias an AUC, in which only ties between the classes
    count. The worst section is biased downwards: its interval can lie below the estimate.

    References
    ----------
    .. [1] B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap", Chapman & Hall, 1993, chapter 13.

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.metrics import auc_score, bootstrap_interval
    >>> y_true = np.repeat([1, -1], 50)
    >>> score_samples = np.random.default_rng(0).normal(y_true)
    >>> interval = bootstrap_interval(auc_score, y_true, score_samples, random_state=0)
    >>> interval.low < interval.estimate < interval.high
    True
    """
    rng = _checked_draws(metric, n_resamples, level, random_state)
    y_true, score_samples = check_inputs(y_true, score_samples, table)
    strata = _strata(y_true, table)

    def value(rows: np.ndarray) -> float:
        tables = () if table is None else (table.iloc[rows],)
        return float(metric(y_true[rows], score_samples[rows], *tables))

    draws = [value(_resample(strata, rng)) for _ in range(n_resamples)]
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return BootstrapInterval(value(np.arange(len(y_true))), float(low), float(high), float(np.std(draws, ddof=1)))


class PairedInterval(NamedTuple):
    """Bootstrap interval of the difference of a metric between two detectors.

    Parameters
    ----------
    difference : float
        Metric of the first detector minus that of the second, over all clips.
    low, high : float
        Ends of the interval. If it contains 0, the test clips do not tell the two detectors apart.
    p_value : float
        Two-sided p-value: twice the share of resamples on the other side of 0, at least 2 / (n_resamples + 1).
    """

    difference: float
    low: float
    high: float
    p_value: float


def paired_bootstrap(
    metric: Callable[..., float],
    y_true: Any,
    score_samples: Any,
    other_score_samples: Any,
    table: pd.DataFrame | None = None,
    *,
    n_resamples: int = 1000,
    level: float = 0.95,
    random_state: Any = None,
) -> PairedInterval:
    """Bootstrap interval of the difference of a metric between two detectors on the same clips.

    Both detectors are evaluated on the same resamples, so that clips that are easy or hard for both do not add to the
    variance of the difference. Clips are drawn as in :func:`bootstrap_interval`. With several seeds, the difference is taken
    between the means over seeds.

    Parameters
    ----------
    metric : callable
        Metric, called as ``metric(y_true, score_samples)``, or as ``metric(y_true, score_samples, table)`` if a table is
        given; returns a float.
    y_true : array-like of shape (n_clips,)
        +1 for normal clips, -1 for anomalies.
    score_samples, other_score_samples : array-like of shape (n_clips,) or (n_seeds, n_clips)
        Scores of the two detectors, high = normal. The numbers of seeds may differ.
    table : DataFrame of n_clips rows or None, default=None
        Clip table with rows in the order of `y_true`. Without it, clips are drawn within each class.
    n_resamples : int, default=1000
        Number of resamples, at least 2.
    level : float, default=0.95
        Share of resamples inside the interval, dimensionless, in (0, 1).
    random_state : int, RandomState instance or None, default=None
        Seeds the draws. NumPy's global generator stays untouched, even with None.

    Returns
    -------
    interval : PairedInterval
        Named tuple ``(difference, low, high, p_value)``.

    Raises
    ------
    ValueError
        If `level` is outside (0, 1), or if labels, scores and table do not match.

    See Also
    --------
    bootstrap_interval : Bootstrap interval of the metric of one detector.

    Notes
    -----
    The interval covers the choice of test clips only. Seeds are averaged, not resampled: with as few as three seeds, report
    the spread between seeds as well.

    References
    ----------
    .. [1] B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap", Chapman & Hall, 1993, chapters 13 and 16.

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.metrics import auc_score, paired_bootstrap
    >>> y_true = np.repeat([1, -1], 50)
    >>> rng = np.random.default_rng(0)
    >>> good, poor = rng.normal(2 * y_true), rng.normal(0.2 * y_true)
    >>> result = paired_bootstrap(auc_score, y_true, good, poor, random_state=0)
    >>> result.low > 0
    True
    """
    rng = _checked_draws(metric, n_resamples, level, random_state)
    sides = []
    for name, scores in (("score_samples", score_samples), ("other_score_samples", other_score_samples)):
        with naming(name):
            scores = np.atleast_2d(np.asarray(scores, dtype=np.float64))
        if scores.ndim != 2:
            raise ValueError(f"{name} has shape {scores.shape}; expected (n_clips,) or (n_seeds, n_clips).")
        with naming(name):
            sides.append([check_inputs(y_true, score, table)[1] for score in scores])
    y_true, _ = check_inputs(y_true, sides[0][0], table)

    def difference(rows: np.ndarray) -> float:
        tables = () if table is None else (table.iloc[rows],)
        one, other = (np.mean([metric(y_true[rows], score[rows], *tables) for score in side]) for side in sides)
        return float(one - other)

    strata = _strata(y_true, table)
    draws = np.array([difference(_resample(strata, rng)) for _ in range(n_resamples)])
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    n_beyond = min(np.count_nonzero(draws <= 0), np.count_nonzero(draws >= 0))
    p_value = min(1.0, 2 * (n_beyond + 1) / (n_resamples + 1))
    return PairedInterval(difference(np.arange(len(y_true))), float(low), float(high), float(p_value))


def _checked_draws(metric: Any, n_resamples: int, level: float, random_state: Any) -> np.random.RandomState:
    if not callable(metric):
        raise TypeError(f"metric={metric!r} is a {type(metric).__name__}; a function such as auc_score is expected.")
    check_integer("n_resamples", n_resamples, low=2)
    check_number("level", level, low=0, high=1, above=True)
    if level == 1:
        raise ValueError("level=1 gives no bootstrap interval; expected a share below 1, such as 0.95.")
    return local_random_state(random_state)


def _strata(y_true: np.ndarray, table: pd.DataFrame | None) -> list[np.ndarray]:
    """Row positions of each machine type, section, domain and class; missing cells form a group of their own."""
    names = [] if table is None else [name for name in ("machine_type", "section", "domain") if name in table.columns]
    frame = pd.DataFrame({name: table[name].to_numpy() for name in names} if table is not None else {}).assign(y=y_true)
    code = frame.groupby(list(frame.columns), dropna=False, observed=True).ngroup().to_numpy()
    return [np.flatnonzero(code == value) for value in np.unique(code)]


def _resample(strata: list[np.ndarray], rng: np.random.RandomState) -> np.ndarray:
    return np.concatenate([rows[rng.randint(len(rows), size=len(rows))] for rows in strata])
