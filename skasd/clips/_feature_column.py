"""Which column of a clip table holds the features that an estimator reads."""

from typing import Any

import numpy as np
import pandas as pd

from skasd.clips._channels import has_channels, is_time_first

ANY_FEATURE: Any = object()  # whichever there is: for an estimator that passes the table on to others
_KNOWN = ("log_mel", "tfgram")  # features by their name, whatever their cells hold
_WAVEFORMS = ("waveform", "path")
_NOTE = "skasd_feature"  # the column that the last transformer wrote, and the feature columns that there were then


def feature_column(X: Any, feature: Any) -> str | None:
    """Column of a clip table that holds the features; None if there is none, and for everything that is no table.

    Parameters
    ----------
    X : array, list or DataFrame
        Clips.
    feature : str, ANY_FEATURE or None
        Name of the column; ``"auto"`` is the one that the last transformer wrote, or else the only column whose cells have
        shape (n_bands, n_frames) and do not look like waveforms with channels; None reads waveforms only.

    Returns
    -------
    column : str or None
        Name of the column.

    Raises
    ------
    TypeError
        `feature` is no text.
    ValueError
        The table lacks the column that `feature` names, or has several feature columns and `feature` does not say which.
    """
    if feature is None:
        return None
    if feature is not ANY_FEATURE and not isinstance(feature, str):
        raise TypeError(
            f"feature={feature!r} is a {type(feature).__name__}; the name of a column or 'auto' is expected."
        )
    if not isinstance(X, pd.DataFrame):
        if feature is not ANY_FEATURE and feature != "auto":
            raise ValueError(f"feature={feature!r} names a column, and X is no clip table; leave feature at 'auto'.")
        return None
    candidates = [name for name in X.columns if _holds_features(X, name)]
    if feature is ANY_FEATURE:
        return next(iter(candidates), None)
    if feature != "auto":
        return _named(X, feature)
    return _noted(X, candidates) or _only(candidates)


def note_feature(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Note in a table that `column` is the feature that the last transformer wrote.

    Parameters
    ----------
    table : DataFrame
        Clip table; gets the note.
    column : str
        Name of the column.

    Returns
    -------
    table : DataFrame
        The same table.
    """
    known = [name for name in table.columns if _holds_features(table, name)]
    table.attrs = {**table.attrs, _NOTE: (column, *known)}
    return table


def noted_feature(X: Any) -> str | None:
    """Column that the last transformer wrote into a clip table, if any.

    Parameters
    ----------
    X : DataFrame or other
        Clip table.

    Returns
    -------
    column : str or None
        Name of the column; None if no transformer wrote one that is still there.
    """
    note = X.attrs.get(_NOTE) if isinstance(X, pd.DataFrame) else None
    return note[0] if note is not None and note[0] in X.columns else None


def _noted(X: pd.DataFrame, candidates: list[str]) -> str | None:
    """The column that the last transformer wrote, unless other feature columns came in since."""
    column = noted_feature(X)
    if column is None or not set(candidates) <= set(X.attrs[_NOTE]):
        return None
    if column not in candidates:
        raise ValueError(
            f"The last transformer wrote the column {column!r}, whose cells are not of shape (n_bands, n_frames), as "
            f"expected here. Leave the transformer out, or set feature to another column; there are {candidates}."
        )
    return column


def _only(candidates: list[str]) -> str | None:
    if len(candidates) > 1:
        raise ValueError(
            f"The clip table has several feature columns: {candidates}. Set feature={candidates[-1]!r}, for example, to say "
            "which is read, or drop the others."
        )
    return next(iter(candidates), None)


def _named(X: pd.DataFrame, feature: str) -> str:
    if feature in X.columns:
        return feature
    raise ValueError(f"feature={feature!r} is no column of the clip table; its columns are {list(X.columns)}.")


def looks_like_waveforms(X: pd.DataFrame, name: Any) -> bool:
    """Whether the cells of a column have the shape of waveforms with channels."""
    shape = _cell_shape(X, name)
    return shape is not None and (has_channels(shape) or is_time_first(shape))


def _holds_features(X: pd.DataFrame, name: Any) -> bool:
    return name in _KNOWN or (_cell_shape(X, name) is not None and not looks_like_waveforms(X, name))


def _cell_shape(X: pd.DataFrame, name: Any) -> tuple[int, int] | None:
    """Shape of the first cell of a column, if it is an array of two axes."""
    cells = X[name]
    if name in _WAVEFORMS or not isinstance(cells, pd.Series) or cells.dtype != object:
        return None
    first = next((cell for cell in cells if not _is_empty(cell)), None)
    is_array = first is not None and not isinstance(first, str) and np.ndim(first) == 2
    return np.shape(first) if is_array else None  # type: ignore[arg-type]


def _is_empty(cell: Any) -> bool:
    return cell is None or (np.ndim(cell) == 0 and bool(pd.isna(cell)))
