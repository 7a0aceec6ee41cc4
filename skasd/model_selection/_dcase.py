"""DCASESplit: the train/test split that comes with the data set."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator

from skasd._tables import as_pandas
from skasd.model_selection._truth import ANOMALY, UNKNOWN, check_split_labels

_SPLITS = ("train", "test", "supplemental")


class DCASESplit(BaseCrossValidator):
    """Predefined split given by the column ``split`` of the clip table.

    The training set is the ``"train"`` rows without the anomalies; the test set is the ``"test"`` rows whose label is
    known. Rows marked ``"supplemental"`` and rows with a missing value belong to neither.

    See Also
    --------
    NormalOnlySplit : Cross-validation for clips without a predefined split.

    Notes
    -----
    A search with this split selects hyperparameters on the test clips, so its best score is optimistic. Tune on the
    development set and report results on the evaluation set.

    Examples
    --------
    >>> import pandas as pd
    >>> from skasd.model_selection import DCASESplit
    >>> X = pd.DataFrame({"split": ["train", "train", "test", "test", "supplemental"]})
    >>> next(DCASESplit().split(X, [1, 1, 1, -1, 1]))
    (array([0, 1]), array([2, 3]))
    """

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Number of folds, always 1.

        Parameters
        ----------
        X, y, groups : object
            Ignored; present for compatibility with scikit-learn.

        Returns
        -------
        n_splits : int
            Number of folds.
        """
        return 1

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate the indices of the training and test clips once.

        Parameters
        ----------
        X : DataFrame
            Clip table with the column ``split``.
        y : array-like of shape (n_clips,)
            +1 normal, -1 anomaly, 0 unknown.
        groups : object
            Ignored; present for compatibility with scikit-learn.

        Yields
        ------
        train : ndarray of shape (n_train,)
            Indices of the training clips.
        test : ndarray of shape (n_test,)
            Indices of the test clips.

        Raises
        ------
        ValueError
            If X is not a DataFrame with a column ``split``, that column contains an unknown value, `y` is None or
            contains other labels, or the training or test set is empty.
        """
        side = _split_column(X)
        y = check_split_labels(X, y)
        train = np.flatnonzero((side == "train") & (y != ANOMALY))
        test = np.flatnonzero((side == "test") & (y != UNKNOWN))
        for name, rows, what in (("train", train, "normal (y != -1)"), ("test", test, "labelled (y != 0)")):
            if not len(rows):
                n_named = int(np.count_nonzero(side == name))
                raise ValueError(
                    f"The {name} set is empty: {n_named} rows have split == {name!r}, and none of them is {what}."
                )
        yield train, test


def _split_column(X: Any) -> np.ndarray:
    """Values (n_clips,) of the column split as strings; missing values become ""."""
    X = as_pandas(X)
    if not isinstance(X, pd.DataFrame) or "split" not in X.columns:
        found = f"the columns {', '.join(map(repr, X.columns))}" if isinstance(X, pd.DataFrame) else type(X).__name__
        raise ValueError(
            f"DCASESplit reads the column 'split' of a clip table; got {found}. Use NormalOnlySplit without that column."
        )
    side = np.where(X["split"].isna(), "", X["split"].to_numpy(dtype=object)).astype(str)
    strange = sorted(set(side.tolist()) - {"", *_SPLITS})
    if strange:
        raise ValueError(
            f"The column split contains {', '.join(map(repr, strange))}; expected {', '.join(map(repr, _SPLITS))}."
        )
    return side
