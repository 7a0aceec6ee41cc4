"""Choice of the clip table column from which an estimator reads features."""

from typing import Any

import pandas as pd

ANY_FEATURE = "*"  # any feature column, for an estimator that passes the table on to others
_KNOWN = ("log_mel", "tfgram")  # always feature columns, whatever their cells contain
_NOT_FEATURES = ("waveform", "path")
_NOTE = "skasd_feature"


def feature_column(X: Any, feature: str | None) -> str | None:
    """Column of a clip table that holds the features; None if there is none, or if X is not a table.

    Parameters
    ----------
    X : array, list or DataFrame
        Clips.
    feature : str or None
        Name of the column. ``"auto"`` is the one that the last transformer wrote, or else the only column whose cells have
        shape (n_bands, n_frames). None is for estimators that read waveforms only.

    Returns
    -------
    column : str or None
        Name of the feature column.

    Raises
    ------
    ValueError
        If the table lacks the column `feature`, or if `feature` is ``"auto"`` and the choice is ambiguous.
    """
    if feature is None or not isinstance(X, pd.DataFrame):
        return None
    candidates = [name for name in X.columns if _holds_features(X, name)]
    if feature == ANY_FEATURE:
        return next(iter(candidates), None)
    if feature != "auto":
        return _named(X, feature, candidates)
    if X.attrs.get(_NOTE) in candidates:
        return X.attrs[_NOTE]
    if len(candidates) > 1:
        raise ValueError(
            f"The clip table has several feature columns: {candidates}. Set feature={candidates[-1]!r}, for example, to "
            "choose one, or drop the others."
        )
    return next(iter(candidates), None)


def note_feature(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Record in a clip table that `column` is the feature that the last transformer wrote.

    Parameters
    ----------
    table : DataFrame
        Clip table; its ``attrs`` are replaced.
    column : str
        Name of the feature column.

    Returns
    -------
    table : DataFrame
        The same table.
    """
    table.attrs = {**table.attrs, _NOTE: column}
    return table


def _named(X: pd.DataFrame, feature: str, candidates: list[str]) -> str | None:
    if feature in X.columns:
        return feature
    if candidates or not {*_NOT_FEATURES}.isdisjoint(X.columns):
        raise ValueError(f"feature={feature!r} is not a column of the clip table; its columns are {list(X.columns)}.")
    return None


def _holds_features(X: pd.DataFrame, name: Any) -> bool:
    if name in _KNOWN:
        return True
    cells = X[name]
    if name in _NOT_FEATURES or not isinstance(cells, pd.Series) or cells.dtype != object:
        return False
    first = next((cell for cell in cells if cell is not None), None)
    return len(getattr(first, "shape", ())) == 2
