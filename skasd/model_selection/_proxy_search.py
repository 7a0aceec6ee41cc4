"""ProxyAnomalySplit and ProxyAnomalyScorer: hyperparameter search without anomalies."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_consistent_length

from skasd._parameters import check_integer, check_number, check_option, naming
from skasd._random import local_random_state
from skasd._tables import as_pandas
from skasd.clips import Residual
from skasd.clips._residual import check_channel
from skasd.metrics import aggregate_score
from skasd.metrics._estimator_scores import scores_of
from skasd.model_selection._folds import folds_of_clips
from skasd.model_selection._normal_only import strata
from skasd.model_selection._proxies import KINDS, LARGEST_SEVERITY, make_proxy_anomalies
from skasd.model_selection._truth import NORMAL, check_split_labels


class ProxyAnomalySplit(BaseCrossValidator):
    """Folds of normal clips only, for use with :class:`ProxyAnomalyScorer`, which makes anomalies out of the test clips.

    Anomalies and unlabelled clips are in no training or test set, so a search on a whole data set never sees an anomaly.

    Parameters
    ----------
    n_splits : int, default=3
        Number of folds, at least 2.
    random_state : int, RandomState instance or None, default=None
        Seeds the shuffle. NumPy's global generator is never used, not even with None.
    stratify_by : tuple of str, default=("machine_type", "section")
        Columns of the clip table to stratify by, as in :class:`NormalOnlySplit`.

    See Also
    --------
    ProxyAnomalyScorer : The scorer to use with this split.
    NormalOnlySplit : Cross-validation with real anomalies.

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.model_selection import ProxyAnomalySplit
    >>> y = np.array([1, 1, 1, 1, -1, -1])
    >>> [len(test) for train, test in ProxyAnomalySplit(2, random_state=0).split(np.zeros((6, 1)), y)]
    [2, 2]
    """

    def __init__(
        self, n_splits: int = 3, *, random_state: Any = None, stratify_by: Sequence[str] = ("machine_type", "section")
    ) -> None:
        self.n_splits = n_splits
        self.random_state = random_state
        self.stratify_by = stratify_by

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Number of folds.

        Parameters
        ----------
        X, y, groups : object
            Ignored; present for compatibility with scikit-learn.

        Returns
        -------
        n_splits : int
            Number of folds.
        """
        return self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate the indices of the training and test clips of each fold, all of them normal.

        Parameters
        ----------
        X : array, list of paths or clip table
            Clips.
        y : array-like of shape (n_clips,) or None, default=None
            +1 normal, -1 anomaly, 0 unknown; None treats all clips as normal.
        groups : object
            Ignored; present for compatibility with scikit-learn.

        Yields
        ------
        train, test : ndarray
            Sorted indices of normal clips.

        Raises
        ------
        ValueError
            If `y` contains other labels, or there are fewer normal clips than folds.
        """
        check_integer("n_splits", self.n_splits, low=2)
        y = np.full(len(X), NORMAL) if y is None else check_split_labels(X, y)
        normal = np.flatnonzero(y == NORMAL)
        if len(normal) < self.n_splits:
            raise ValueError(
                f"y has {len(normal)} normal clips for n_splits={self.n_splits}; every fold must test at least one. Use "
                "fewer splits."
            )
        rng = local_random_state(self.random_state)
        kind, _ = strata(X, self.stratify_by, len(y))
        fold = folds_of_clips(kind[normal], self.n_splits, rng)
        for k in range(self.n_splits):
            yield normal[fold != k], normal[fold == k]


class ProxyAnomalyScorer:
    """Scorer without real anomalies: measures how well a detector separates normal clips from synthetic faults.

    Parameters
    ----------
    kinds : sequence of str, default=("band_gain", "clicks", "mix", "stretch")
        Kinds of faults, see :func:`make_proxy_anomalies`; the score is the mean over them.
    metric : {"auc", "partial_auc"}, default="auc"
        Metric, computed for each machine type and section and then averaged.
    severity : float, default=1.0
        Strength of the faults, dimensionless, in (0, 100]. Lower it if all settings score near 1.
    sample_rate : int, default=16000
        Sample rate at which files are read, in Hz; use that of the detector.
    channel : int, {"mean", "residual"} or Residual, default=0
        Channel to use of multichannel clips; use that of the detector.
    random_state : int, default=0
        Seeds the faults, so that a search tests all settings on the same faults.

    See Also
    --------
    ProxyAnomalySplit : The split to use with this scorer.

    Notes
    -----
    Synthetic faults differ from real ones: the setting that detects clicks best may be bad at detecting wear. The user
    guide compares the ranking by proxies with the ranking by real anomalies (:ref:`model_selection_proxies`).

    ``"other_machine"`` is the task that a classifier of machines is trained on, so it measures training progress rather
    than the ability to detect faults.

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
        channel: int | str | Residual = 0,
        random_state: int = 0,
    ) -> None:
        if not isinstance(kinds, list | tuple) or not kinds:
            raise ValueError(f"kinds={kinds!r}; expected a sequence of one or more of {', '.join(KINDS)}.")
        for kind in kinds:
            check_option("kinds", kind, KINDS)
        check_option("metric", metric, ("auc", "partial_auc"))
        check_integer("random_state", random_state, low=0)
        check_number("severity", severity, low=0, high=LARGEST_SEVERITY, above=True)
        check_integer("sample_rate", sample_rate, low=1)
        check_channel(channel)
        self.kinds, self.metric = tuple(kinds), metric
        self.options: dict[str, Any] = {
            "severity": severity,
            "sample_rate": sample_rate,
            "channel": channel,
            "random_state": random_state,
        }

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        """Mean score over the kinds of faults.

        Parameters
        ----------
        estimator : object
            Fitted detector with ``score_samples``, or else ``decision_function``, as for :class:`skasd.metrics.ClipScorer`.
        X : array, list of paths or clip table
            Clips that the detector was not fitted on.
        y : array-like of shape (n_clips,) or None, default=None
            +1 for normal clips; others are ignored. None treats all clips as normal.

        Returns
        -------
        score : float
            Value in [0, 1], dimensionless; higher is better.
        """
        return float(np.mean(list(self.by_kind(estimator, X, y).values())))

    def by_kind(self, estimator: Any, X: Any, y: Any = None) -> dict[str, float]:
        """Score of each kind of fault.

        Parameters
        ----------
        estimator : object
            Fitted detector with ``score_samples``, or else ``decision_function``, as for :class:`skasd.metrics.ClipScorer`.
        X : array, list of paths or clip table
            Clips that the detector was not fitted on.
        y : array-like of shape (n_clips,) or None, default=None
            +1 for normal clips; others are ignored. None treats all clips as normal.

        Returns
        -------
        scores : dict of str to float
            Value in [0, 1] for each kind, dimensionless; higher is better.
        """
        X = as_pandas(X)
        if y is not None:
            with naming("X and y"):
                check_consistent_length(X, y)
        normal = X if y is None else _rows(X, np.flatnonzero(np.asarray(y) == NORMAL))
        of_normal = np.asarray(scores_of(estimator, normal))
        table = normal if isinstance(normal, pd.DataFrame) else None
        return {kind: self._score(estimator, normal, of_normal, table, kind) for kind in self.kinds}

    def __repr__(self) -> str:
        return f"ProxyAnomalyScorer({self.kinds!r}, metric={self.metric!r}, severity={self.options['severity']!r})"

    def _score(
        self, estimator: Any, normal: Any, of_normal: np.ndarray, table: pd.DataFrame | None, kind: str
    ) -> float:
        proxies = make_proxy_anomalies(normal, kind, **self.options)
        scores = np.concatenate([of_normal, scores_of(estimator, proxies)])
        y_true = np.repeat([1, -1], [len(of_normal), len(scores) - len(of_normal)])
        both = None if table is None else pd.concat([_identity(table), _identity(proxies)], ignore_index=True)
        return aggregate_score(y_true, scores, both, metric=self.metric, one_class="skip")


def _identity(table: pd.DataFrame) -> pd.DataFrame:
    return table[[name for name in ("machine_type", "section") if name in table.columns]]


def _rows(X: Any, rows: np.ndarray) -> Any:
    if isinstance(X, pd.DataFrame):
        return X.iloc[rows]
    return X[rows] if isinstance(X, np.ndarray) else [X[row] for row in rows]
