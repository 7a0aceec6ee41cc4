"""NormalOnlySplit: cross-validation that trains on normal clips and tests on normal clips and anomalies."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_random_state

from skasd._parameters import check_integer
from skasd.model_selection._folds import folds_of_clips, folds_of_groups
from skasd.model_selection._truth import ANOMALY, NORMAL, UNKNOWN, check_anomalies, check_split_labels

_MAY_BE_ABSENT = ("machine_type", "section")


class NormalOnlySplit(BaseCrossValidator):
    """Folds that train on normal clips only and test on the other normal clips and on anomalies.

    Every normal clip is tested once and every anomaly is tested once; an anomaly is never trained on. Each test fold
    has its share of the normal clips and of the anomalies of every section; with fewer anomalies than folds some go
    without. `KFold`, which scikit-learn takes for ``cv=5``, puts anomalies into training and looks at no section.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    shuffle : bool, default=True
        Whether clips are drawn at random. False keeps their order: each fold tests a contiguous block of the clips of a
        section, which is the honest choice where neighbouring clips were cut from one recording.
    random_state : int, RandomState instance or None, default=None
        Seeds the shuffle; the global generator of NumPy stays untouched, also with None. Leave it None without shuffle.
    stratify_by : tuple of str, default=("machine_type", "section")
        Columns of the clip table that are spread evenly over folds, besides the label. ``machine_type`` and ``section``
        are passed over where X has no such column; others must exist. A missing cell is a value of its own.

    See Also
    --------
    DCASESplit : The split that came with the data.

    Notes
    -----
    Clips of unknown truth, ``y == 0``, are in no training and no test fold.

    With ``groups``, clips of one group (one recording, one day) are never both in training and in the test of a fold,
    whatever their labels. Groups are placed greedily; folds are as even as that allows.

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.model_selection import NormalOnlySplit
    >>> y = np.array([1, 1, 1, 1, -1, -1])
    >>> for train, test in NormalOnlySplit(n_splits=2, shuffle=False).split(np.zeros((6, 1)), y):
    ...     print(train, test)
    [2 3] [0 1 4]
    [0 1] [2 3 5]
    """

    __metadata_request__split = {"groups": True}

    def __init__(self, n_splits=5, *, shuffle=True, random_state=None, stratify_by=("machine_type", "section")):
        self.n_splits = n_splits
        self.shuffle = shuffle
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
        """Indices of training and test clips, fold by fold.

        Parameters
        ----------
        X : array, list of paths or clip table
            Clips.
        y : array-like of shape (n_clips,)
            +1 normal, -1 anomaly, 0 unknown.
        groups : array-like of shape (n_clips,) or None, default=None
            Clips that must stay together.

        Yields
        ------
        train : ndarray of shape (n_train,)
            Sorted positions of normal clips.
        test : ndarray of shape (n_test,)
            Sorted positions of normal clips and anomalies.

        Raises
        ------
        ValueError
            If `y` is None or holds other labels, there is no anomaly, a section has fewer normal clips (or groups of
            them) than folds, or a fold would have no normal clip or no anomaly to test on.
        """
        self._check_parameters()
        y = check_split_labels(X, y, groups)
        check_anomalies(y)
        stratum, names = strata(X, self.stratify_by, len(y))
        group = np.arange(len(y)) if groups is None else _group_codes(groups)
        _check_enough_normals(y, stratum, names, group, self.n_splits, grouped=groups is not None)
        fold = self._folds(y, stratum, group if groups is not None else None)
        _check_folds(y, fold, self.n_splits)
        for k in range(self.n_splits):
            yield np.flatnonzero((fold != k) & (y == NORMAL)), np.flatnonzero((fold == k) & (y != UNKNOWN))

    def _folds(self, y: np.ndarray, stratum: np.ndarray, group: np.ndarray | None) -> np.ndarray:
        """Fold in which each clip is tested, of shape (n_clips,), -1 for clips of unknown truth."""
        rng = self._generator() if self.shuffle else None
        known = np.flatnonzero(y != UNKNOWN)
        kind = stratum[known] + (stratum.max() + 1) * (y[known] == ANOMALY)
        fold = np.full(len(y), -1)
        if group is None:
            fold[known] = folds_of_clips(kind, self.n_splits, rng)
        else:
            fold[known] = folds_of_groups(kind, group[known], self.n_splits, rng)
        return fold

    def _generator(self) -> np.random.RandomState:
        return np.random.RandomState() if self.random_state is None else check_random_state(self.random_state)

    def _check_parameters(self) -> None:
        check_integer("n_splits", self.n_splits, low=2)
        if not self.shuffle and self.random_state is not None:
            raise ValueError(f"random_state={self.random_state!r} has no effect without shuffle; leave it None.")


def strata(X: Any, stratify_by: Any, n_clips: int) -> tuple[np.ndarray, list[str]]:
    """Stratum of each clip as integers of shape (n_clips,), and what each stratum is called."""
    columns = (stratify_by,) if isinstance(stratify_by, str) else tuple(stratify_by)
    present = list(X.columns) if isinstance(X, pd.DataFrame) else []
    unknown = [column for column in columns if column not in present and column not in _MAY_BE_ABSENT]
    if unknown:
        raise ValueError(
            f"stratify_by names {', '.join(map(repr, unknown))}, and X has no such column; it has "
            f"{', '.join(map(repr, present)) or 'no columns'}."
        )
    columns = tuple(column for column in columns if column in present)
    if not columns:
        return np.zeros(n_clips, dtype=np.int64), ["all clips"]
    code = X.groupby(list(columns), dropna=False, observed=True).ngroup().to_numpy()
    first = [int(np.flatnonzero(code == value)[0]) for value in range(code.max() + 1)]
    return code, [", ".join(f"{column} {X[column].astype(object).iloc[row]!r}" for column in columns) for row in first]


def _group_codes(groups: Any) -> np.ndarray:
    """Groups as integers of shape (n_clips,); a missing group raises."""
    code, _ = pd.factorize(np.asarray(groups, dtype=object))
    if (code < 0).any():
        raise ValueError(
            f"groups is missing for {(code < 0).sum()} clips, the first in row {np.flatnonzero(code < 0)[0]}."
        )
    return code


def _check_enough_normals(
    y: np.ndarray, stratum: np.ndarray, names: list[str], group: np.ndarray, n_splits: int, *, grouped: bool
) -> None:
    """Raise unless every fold can test normal clips of every stratum that has clips of known truth."""
    for value, name in enumerate(names):
        if not np.any((stratum == value) & (y != UNKNOWN)):
            continue
        n_normal = len(np.unique(group[(stratum == value) & (y == NORMAL)]))
        if n_normal < n_splits:
            what = "groups of normal clips" if grouped else "normal clips"
            raise ValueError(
                f"{name} has {n_normal} {what} for n_splits={n_splits}; every fold tests at least one. Use fewer "
                "splits, or stratify_by=() where a fold may lack it."
            )


def _check_folds(y: np.ndarray, fold: np.ndarray, n_splits: int) -> None:
    """Raise unless every fold tests both classes and leaves normal clips to train on."""
    for k in range(n_splits):
        n_normal, n_anomaly = (int(np.count_nonzero((fold == k) & (y == label))) for label in (NORMAL, ANOMALY))
        n_train = int(np.count_nonzero((fold != k) & (y == NORMAL)))
        if not n_normal or not n_anomaly or not n_train:
            raise ValueError(
                f"Fold {k} of {n_splits} would train on {n_train} normal clips and test {n_normal} normal and "
                f"{n_anomaly} anomalous ones; at least one of each is needed. Use fewer splits, or smaller groups."
            )
