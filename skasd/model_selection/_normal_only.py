"""NormalOnlySplit: cross-validation with normal training clips and normal and anomalous test clips."""

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator

from skasd._parameters import check_columns, check_integer, check_option
from skasd._random import check_seed, local_random_state
from skasd._tables import as_pandas
from skasd.model_selection._folds import folds_of_clips, folds_of_groups
from skasd.model_selection._truth import ANOMALY, NORMAL, UNKNOWN, check_anomalies, check_split_labels

_MAY_BE_ABSENT = ("machine_type", "section")


class NormalOnlySplit(BaseCrossValidator):
    """Stratified folds that train on normal clips only and test on held-out normal clips and anomalies.

    Every clip is tested exactly once, and anomalies are never in a training set. Normal clips and anomalies of every section
    are spread evenly over the test folds; a section with fewer anomalies than folds has none in some folds. `KFold`, which
    scikit-learn uses for ``cv=5``, would put anomalies into the training sets and ignore sections.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    shuffle : bool, default=True
        Whether to shuffle the clips. With False each fold tests a contiguous block of each section, which avoids leakage
        when neighbouring clips were cut from one recording.
    random_state : int, RandomState instance or None, default=None
        Seeds the shuffle. NumPy's global generator is never used, not even with None. Must be None if `shuffle` is False.
    stratify_by : tuple of str, default=("machine_type", "section")
        Columns of the clip table to stratify by, in addition to the label. ``machine_type`` and ``section`` are ignored
        if X lacks them; other columns must exist. Missing values form a stratum of their own.

    See Also
    --------
    DCASESplit : The train/test split that comes with the data set.

    Notes
    -----
    Unlabelled clips, ``y == 0``, are in no training or test set.

    With ``groups``, clips of one group (one recording, one day) are never in both the training and the test set of a fold,
    whatever their labels. Groups are assigned greedily, so the folds are only as even as the groups allow.

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

    def __init__(
        self,
        n_splits: int = 5,
        *,
        shuffle: bool = True,
        random_state: Any = None,
        stratify_by: Sequence[str] = ("machine_type", "section"),
    ) -> None:
        self.n_splits = n_splits
        self.shuffle = shuffle
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
        """Generate the indices of the training and test clips of each fold.

        Parameters
        ----------
        X : array, list of paths or clip table
            Clips.
        y : array-like of shape (n_clips,)
            +1 normal, -1 anomaly, 0 unknown.
        groups : array-like of shape (n_clips,) or None, default=None
            Group of each clip; clips of one group stay together.

        Yields
        ------
        train : ndarray of shape (n_train,)
            Sorted indices of normal clips.
        test : ndarray of shape (n_test,)
            Sorted indices of normal clips and anomalies.

        Raises
        ------
        ValueError
            If `y` is None or contains other labels, there is no anomaly, a section has fewer normal clips (or groups of
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
        """Test fold (n_clips,) of each clip; -1 for unlabelled clips."""
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
        return local_random_state(self.random_state)

    def _check_parameters(self) -> None:
        check_integer("n_splits", self.n_splits, low=2)
        check_option("shuffle", self.shuffle, (True, False))
        check_seed(self.random_state)
        if not self.shuffle and self.random_state is not None:
            raise ValueError(
                f"random_state={self.random_state!r} has no effect without shuffle; use None, or shuffle=True."
            )


def strata(X: Any, stratify_by: Any, n_clips: int) -> tuple[np.ndarray, list[str]]:
    """Stratum (n_clips,) of each clip as an integer, and the names of the strata."""
    columns = (stratify_by,) if isinstance(stratify_by, str) else stratify_by
    check_columns("stratify_by", columns)
    X = as_pandas(X)
    present = list(X.columns) if isinstance(X, pd.DataFrame) else []
    unknown = [column for column in columns if column not in present and column not in _MAY_BE_ABSENT]
    if unknown:
        raise ValueError(
            f"stratify_by names {', '.join(map(repr, unknown))}, but X has no such column; it has "
            f"{', '.join(map(repr, present)) or 'no columns'}."
        )
    columns = tuple(column for column in columns if column in present)
    if not columns:
        return np.zeros(n_clips, dtype=np.int64), ["all clips"]
    if not X.columns.is_unique:
        raise ValueError(f"X has duplicate column names: {list(X.columns[X.columns.duplicated()])}.")
    known = X[list(columns)].reset_index(drop=True)  # the index may have levels of the same names
    cells = known.map(lambda cell: cell if isinstance(cell, Hashable) else repr(cell))
    code = cells.groupby(list(columns), dropna=False, observed=True).ngroup().to_numpy()
    first = [int(np.flatnonzero(code == value)[0]) for value in range(code.max() + 1)]
    return code, [", ".join(f"{column} {X[column].astype(object).iloc[row]!r}" for column in columns) for row in first]


def _group_codes(groups: Any) -> np.ndarray:
    """Groups (n_clips,) as integers; raise if one is missing."""
    code, _ = pd.factorize(np.asarray(groups, dtype=object))
    if (code < 0).any():
        raise ValueError(
            f"groups is missing for {(code < 0).sum()} clips, the first in row {np.flatnonzero(code < 0)[0]}."
        )
    return code


def _check_enough_normals(
    y: np.ndarray, stratum: np.ndarray, names: list[str], group: np.ndarray, n_splits: int, *, grouped: bool
) -> None:
    """Raise unless every fold can test normal clips of every stratum that has labelled clips."""
    for value, name in enumerate(names):
        if not np.any((stratum == value) & (y != UNKNOWN)):
            continue
        n_normal = len(np.unique(group[(stratum == value) & (y == NORMAL)]))
        if n_normal < n_splits:
            what = "groups of normal clips" if grouped else "normal clips"
            raise ValueError(
                f"{name} has {n_normal} {what} (y == 1) for n_splits={n_splits}; every fold must test at least one. Use "
                "fewer splits, or stratify_by=() if folds may lack it."
            )


def _check_folds(y: np.ndarray, fold: np.ndarray, n_splits: int) -> None:
    """Raise unless every fold tests both classes and has normal clips to train on."""
    for k in range(n_splits):
        n_normal, n_anomaly = (int(np.count_nonzero((fold == k) & (y == label))) for label in (NORMAL, ANOMALY))
        n_train = int(np.count_nonzero((fold != k) & (y == NORMAL)))
        if not n_normal or not n_anomaly or not n_train:
            raise ValueError(
                f"Fold {k} of {n_splits} would train on {n_train} normal clips and test {n_normal} normal and "
                f"{n_anomaly} anomalous ones; it needs at least one of each. Use fewer splits, or smaller groups."
            )
