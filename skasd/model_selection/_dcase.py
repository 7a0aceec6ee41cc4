"""DCASESplit: the split that came with the data."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator

from skasd.model_selection._truth import ANOMALY, UNKNOWN, check_split_labels

_SPLITS = ("train", "test", "supplemental")


class DCASESplit(BaseCrossValidator):
    """The one split that the clip table itself states in its column ``split``.

    Trains on the rows that say ``"train"`` and are no anomalies; tests on those that say ``"test"`` and whose truth is
    known. Rows that say ``"supplemental"``, and rows whose cell is missing, are in neither.

    See Also
    --------
    NormalOnlySplit : Cross-validation without such a column.

    Notes
    -----
    The test clips choose the parameters here. Report the score of the choice on other data: choose on the development
    set and report the evaluation set.

    Examples
    --------
    >>> import pandas as pd
    >>> from skasd.model_selection import DCASESplit
    >>> X = pd.DataFrame({"split": ["train", "train", "test", "test", "supplemental"]})
    >>> next(DCASESplit().split(X, [1, 1, 1, -1, 1]))
    (array([0, 1]), array([2, 3]))
    """

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Number of folds: 1.

        Parameters
        ----------
        X, y, groups : object
            Not used.

        Returns
        -------
        n_splits : int
        """
        return 1

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Indices of training and test clips, once.

        Parameters
        ----------
        X : DataFrame
            Clip table with a column ``split``.
        y : array-like of shape (n_clips,)
            +1 normal, -1 anomaly, 0 unknown.
        groups : object
            Not used.

        Yields
        ------
        train : ndarray of shape (n_train,)
            Positions of the training clips.
        test : ndarray of shape (n_test,)
            Positions of the test clips.

        Raises
        ------
        ValueError
            If X is not a DataFrame with a column ``split``, that column holds an unknown word, `y` is None or holds
            other labels, or one side of the split is empty.
        """
        side = _split_column(X)
        y = check_split_labels(X, y)
        train = np.flatnonzero((side == "train") & (y != ANOMALY))
        test = np.flatnonzero((side == "test") & (y != UNKNOWN))
        for name, rows, what in (("train", train, "that are no anomalies"), ("test", test, "of known truth (y not 0)")):
            if not len(rows):
                n_named = int(np.count_nonzero(side == name))
                raise ValueError(
                    f"The {name} side is empty: {n_named} rows have split == {name!r}, and none are clips {what}."
                )
        yield train, test


def _split_column(X: Any) -> np.ndarray:
    """The column split as text of shape (n_clips,), "" where it is missing."""
    if not isinstance(X, pd.DataFrame) or "split" not in X.columns:
        found = f"the columns {', '.join(map(repr, X.columns))}" if isinstance(X, pd.DataFrame) else type(X).__name__
        raise ValueError(
            f"DCASESplit reads the column 'split' of a clip table; got {found}. Without it use NormalOnlySplit."
        )
    side = np.where(X["split"].isna(), "", X["split"].to_numpy(dtype=object)).astype(str)
    strange = sorted(set(side.tolist()) - {"", *_SPLITS})
    if strange:
        raise ValueError(
            f"The column split holds {', '.join(map(repr, strange))}; {', '.join(map(repr, _SPLITS))} are expected."
        )
    return side
