"""ProxyAnomalySplit and ProxyAnomalyScorer: choose parameters without a single anomaly."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_random_state

from skasd._parameters import check_integer, check_number, check_option
from skasd.metrics import aggregate_score
from skasd.model_selection._folds import folds_of_clips
from skasd.model_selection._normal_only import strata
from skasd.model_selection._proxies import KINDS, make_proxy_anomalies
from skasd.model_selection._truth import NORMAL, check_split_labels


class ProxyAnomalySplit(BaseCrossValidator):
    """Folds of normal clips alone: train on some, and test the others, of which a scorer makes anomalies up.

    Anomalies and clips of unknown truth are in no training and no test, so that a search may be given a whole data set and
    still sees no anomaly.

    Parameters
    ----------
    n_splits : int, default=3
        Number of folds, at least 2.
    random_state : int, RandomState instance or None, default=None
        Seeds the shuffle; the global generator of NumPy stays untouched, also with None.
    stratify_by : tuple of str, default=("machine_type", "section")
        Columns of the clip table that are spread evenly over folds, as for :class:`NormalOnlySplit`.

    See Also
    --------
    ProxyAnomalyScorer : Belongs to it.
    NormalOnlySplit : Where there are anomalies to choose by.

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.model_selection import ProxyAnomalySplit
    >>> y = np.array([1, 1, 1, 1, -1, -1])
    >>> [len(test) for train, test in ProxyAnomalySplit(2, random_state=0).split(np.zeros((6, 1)), y)]
    [2, 2]
    """

    def __init__(self, n_splits=3, *, random_state=None, stratify_by=("machine_type", "section")):
        self.n_splits = n_splits
        self.random_state = random_state
        self.stratify_by = stratify_by

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Number of folds.

        Parameters
        ----------
        X, y, groups : object
            Not used.

        Returns
        -------
        n_splits : int
        """
        return self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Indices of training and test clips, all normal, fold by fold.

        Parameters
        ----------
        X : array, list of paths or clip table
            Clips.
        y : array-like of shape (n_clips,) or None, default=None
            +1 normal, -1 anomaly, 0 unknown; None takes all for normal.
        groups : object
            Not used.

        Yields
        ------
        train, test : ndarray
            Sorted positions of normal clips.

        Raises
        ------
        ValueError
            If `y` holds other labels, or there are fewer normal clips than folds.
        """
        check_integer("n_splits", self.n_splits, low=2)
        y = np.full(len(X), NORMAL) if y is None else check_split_labels(X, y)
        normal = np.flatnonzero(y == NORMAL)
        if len(normal) < self.n_splits:
            raise ValueError(f"{len(normal)} normal clips for n_splits={self.n_splits}; every fold tests at least one.")
        rng = np.random.RandomState() if self.random_state is None else check_random_state(self.random_state)
        kind, _ = strata(X, self.stratify_by, len(y))
        fold = folds_of_clips(kind[normal], self.n_splits, rng)
        for k in range(self.n_splits):
            yield normal[fold != k], normal[fold == k]


class ProxyAnomalyScorer:
    """Scorer that needs no anomaly: how well a detector tells normal clips from faults made up of them.

    Parameters
    ----------
    kinds : sequence of str, default=("band_gain", "clicks", "mix", "stretch")
        Faults, see :func:`make_proxy_anomalies`; the score is the mean over them.
    metric : {"auc", "partial_auc"}, default="auc"
        What to measure, of each machine type and section, mean over them.
    severity : float, default=1.0
        Factor of the faults, dimensionless. Where all settings score near 1, make it smaller.
    sample_rate : int, default=16000
        Rate that files are read at, in Hz: that of the detector.
    channel : int or "mean", default=0
        Channel of clips that have several: that of the detector.
    random_state : int, default=0
        Seeds the faults, so that all settings of a search are tested by the same.

    See Also
    --------
    ProxyAnomalySplit : Belongs to it.

    Notes
    -----
    A made-up fault is not a true one: a setting that is best at finding clicks may be bad at finding wear. The guide tells
    how well the ranking by proxies agreed with that by true anomalies, and where it did not.

    ``"other_machine"`` is what a detector that classifies machines was trained for: it says how far the training has come,
    and little of faults.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skasd.datasets import make_machine_clips
    >>> from skasd.detectors import TWFRDetector
    >>> from skasd.model_selection import ProxyAnomalyScorer, ProxyAnomalySplit
    >>> clips = make_machine_clips("valve", n_train=12, random_state=0).data
    >>> normal = clips[clips["split"] == "train"]
    >>> search = GridSearchCV(
    ...     TWFRDetector(), {"r": [0.3, 1.0]}, scoring=ProxyAnomalyScorer(), cv=ProxyAnomalySplit(2, random_state=0)
    ... ).fit(normal)
    >>> sorted(search.best_params_)
    ['r']
    """

    def __init__(
        self,
        kinds: Sequence[str] = ("band_gain", "clicks", "mix", "stretch"),
        *,
        metric: str = "auc",
        severity: float = 1.0,
        sample_rate: int = 16000,
        channel: int | str = 0,
        random_state: int = 0,
    ) -> None:
        if isinstance(kinds, str) or not kinds:
            raise ValueError(f"kinds={kinds!r}; a sequence of one or more of {', '.join(KINDS)} is expected.")
        for kind in kinds:
            check_option("kinds", kind, KINDS)
        check_option("metric", metric, ("auc", "partial_auc"))
        check_integer("random_state", random_state, low=0)
        check_number("severity", severity, low=0, above=True)
        self.kinds, self.metric = tuple(kinds), metric
        self.options: dict[str, Any] = {
            "severity": severity,
            "sample_rate": sample_rate,
            "channel": channel,
            "random_state": random_state,
        }

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        """Mean over kinds of faults.

        Parameters
        ----------
        estimator : object
            Fitted, with ``score_samples``.
        X : array, list of paths or clip table
            Clips that it was not fitted on.
        y : array-like of shape (n_clips,) or None, default=None
            +1 for normal clips; others are left out. None takes all for normal.

        Returns
        -------
        score : float
            In [0, 1], dimensionless, high = good.
        """
        return float(np.mean(list(self.by_kind(estimator, X, y).values())))

    def by_kind(self, estimator: Any, X: Any, y: Any = None) -> dict[str, float]:
        """Score of each kind of fault.

        Parameters
        ----------
        estimator : object
            Fitted, with ``score_samples``.
        X : array, list of paths or clip table
            Clips that it was not fitted on.
        y : array-like of shape (n_clips,) or None, default=None
            +1 for normal clips; others are left out.

        Returns
        -------
        scores : dict of str to float
        """
        normal = X if y is None else _rows(X, np.flatnonzero(np.asarray(y) == NORMAL))
        of_normal = np.asarray(estimator.score_samples(normal))
        table = normal if isinstance(normal, pd.DataFrame) else None
        return {kind: self._score(estimator, normal, of_normal, table, kind) for kind in self.kinds}

    def __repr__(self) -> str:
        return f"ProxyAnomalyScorer({self.kinds!r}, metric={self.metric!r}, severity={self.options['severity']!r})"

    def _score(
        self, estimator: Any, normal: Any, of_normal: np.ndarray, table: pd.DataFrame | None, kind: str
    ) -> float:
        proxies = make_proxy_anomalies(normal, kind, **self.options)
        scores = np.concatenate([of_normal, estimator.score_samples(proxies)])
        y_true = np.repeat([1, -1], [len(of_normal), len(scores) - len(of_normal)])
        both = None if table is None else pd.concat([_identity(table), _identity(proxies)], ignore_index=True)
        return aggregate_score(y_true, scores, both, metric=self.metric, one_class="skip")


def _identity(table: pd.DataFrame) -> pd.DataFrame:
    return table[[name for name in ("machine_type", "section") if name in table.columns]]


def _rows(X: Any, rows: np.ndarray) -> Any:
    if isinstance(X, pd.DataFrame):
        return X.iloc[rows]
    return X[rows] if isinstance(X, np.ndarray) else [X[row] for row in rows]
