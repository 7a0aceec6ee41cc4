"""Conversion of X to `Clips`, from arrays, lists, paths and clip tables."""

import os
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_array

from skasd.clips._audio import why_not_finite
from skasd.clips._clips import BadCell, Clips
from skasd.clips._feature_column import feature_column

_WAVEFORM_COLUMNS = ("waveform", "path")  # in order of preference


def is_clip_table(X: Any, feature: Any = "auto") -> bool:
    """Whether X is a clip table: a DataFrame with a `path`, `waveform` or feature column.

    Parameters
    ----------
    X : object
        Anything passed to an estimator.
    feature : str or None, default="auto"
        Feature column, see :func:`as_clips`.

    Returns
    -------
    is_table : bool
        True for a clip table.
    """
    if not isinstance(X, pd.DataFrame):
        return False
    return any(name in X.columns for name in _WAVEFORM_COLUMNS) or feature_column(X, feature) is not None


def as_clips(X: Any, *, feature: Any = "auto") -> Clips:
    """Convert X to clips.

    Parameters
    ----------
    X : array, list or DataFrame
        - 2-D array ``(n_clips, n_timepoints)``, or a list of 1-D arrays that may differ in length: waveforms;
        - 3-D array ``(n_clips, n_mels, n_frames)``, or a list of 2-D arrays that may differ in frames: features;
        - list or 1-D array of file paths;
        - clip table: DataFrame with a feature column, a `waveform` column or a `path` column (the first of them found
          is used).

        Arrays may be NumPy arrays, memory maps or torch tensors.
    feature : str or None, default="auto"
        Feature column of a clip table. ``"auto"`` is the one that the last transformer wrote, or else the only one; None is
        for estimators that take waveforms only.

    Returns
    -------
    clips : Clips
        The clips of X.

    Raises
    ------
    TypeError
        If X is a dict, a single path, or a list that mixes paths, waveforms and features.
    ValueError
        If X has no clips, or if its shape, values or columns cannot be clips.
    """
    if _is_dict(X) or isinstance(X, str | bytes | os.PathLike):
        raise TypeError(_hint_for(X))
    if isinstance(X, pd.DataFrame) and not is_clip_table(X, feature) and not _all_numeric(X):
        raise ValueError(
            f"X is a DataFrame without a feature, {' or '.join(_WAVEFORM_COLUMNS)} column, so it is not a clip table; its "
            f"columns are {list(X.columns)}."
        )
    if is_clip_table(X, feature):
        return _from_table(X, feature)
    X = as_numpy(X)
    if isinstance(X, np.ndarray) and X.dtype.kind not in "OUST":
        return _from_array(X)
    if not isinstance(X, np.ndarray | list | tuple):
        raise TypeError(f"X is a {type(X).__name__}; give an array, a list (of paths or of clips) or a clip table.")
    return _from_items(list(X))


def is_matrix(X: Any) -> bool:
    """Whether scikit-learn checks X: an array or DataFrame without features and paths, or a list of equally long rows."""
    if _is_dict(X) or isinstance(X, str | bytes | os.PathLike):
        return False
    if isinstance(X, pd.DataFrame):
        return _all_numeric(X)
    if hasattr(X, "ndim") and hasattr(X, "shape"):
        texts = getattr(X.dtype, "kind", "") in "OUST" if hasattr(X, "dtype") else False
        return X.ndim != 3 and not (X.ndim == 1 and texts)
    if not isinstance(X, list | tuple):
        return hasattr(X, "__array__")
    if not X:
        return False
    return all(np.ndim(row) == 1 for row in X) and len({len(row) for row in X}) == 1


def _is_dict(X: Any) -> bool:
    return isinstance(X, dict) and not hasattr(X, "shape")  # some sparse matrices of SciPy are dicts


def _all_numeric(X: pd.DataFrame) -> bool:
    return all(pd.api.types.is_numeric_dtype(dtype) for dtype in X.dtypes)


def as_numpy(X: Any) -> Any:
    """Torch tensors, Series and DataFrames as arrays, all else unchanged; tensors are recognised without importing torch."""
    if type(X).__module__.partition(".")[0] == "torch" and hasattr(X, "detach"):
        if X.device.type == "meta":
            raise TypeError("X holds a tensor on the device 'meta', which has a shape and no values.")
        X = X.detach().cpu()
        return (X.float() if str(X.dtype) == "torch.bfloat16" else X).numpy()  # NumPy has no bfloat16
    return X.to_numpy() if isinstance(X, pd.DataFrame | pd.Series | pd.Index) else X


def _from_array(X: np.ndarray) -> Clips:
    if X.ndim == 3:
        X = check_array(X, allow_nd=True, ensure_all_finite=False, dtype="numeric", input_name="X")
        if 0 in X.shape:
            raise ValueError(f"X has shape {X.shape}; features need at least one band and one frame.")
        return Clips("feature", finite_rows(X))
    return Clips("waveform", finite_rows(check_array(X, ensure_all_finite=False, input_name="X")))


def _from_table(X: pd.DataFrame, feature: str | None) -> Clips:
    if not len(X):
        raise ValueError("X is a clip table of 0 rows; at least one clip is needed.")
    if not X.columns.is_unique:
        raise ValueError(f"The clip table has duplicate column names: {list(X.columns[X.columns.duplicated()])}.")
    of_features = feature_column(X, feature)
    column = of_features or next(name for name in _WAVEFORM_COLUMNS if name in X.columns)
    cells = [_cell(cell, column) for cell in X[column].tolist()]
    return Clips("waveform" if of_features is None else "feature", cells, X, column)


def _cell(cell: Any, column: str) -> Any:
    if cell is None or (np.ndim(cell) == 0 and pd.isna(cell)):
        return BadCell(f"its cell in the column {column!r} is empty")
    if column == "path" and not isinstance(cell, str | os.PathLike):
        return BadCell(f"its cell in the column 'path' is a {type(cell).__name__}, not a file path")
    return cell


def _from_items(items: list) -> Clips:
    if not items:
        raise ValueError("X contains 0 clips; at least one is needed.")
    kinds = [_item_kind(item, position) for position, item in enumerate(items)]
    for position, kind in enumerate(kinds):
        if kind != kinds[0]:
            raise TypeError(
                f"X mixes kinds of clips: clip 0 is a {kinds[0]}, clip {position} is a {kind}; give one kind."
            )
    if kinds[0] == "path":
        return Clips("waveform", items)
    return Clips(kinds[0], [as_numpy(item) for item in items])  # type: ignore[arg-type]


def _item_kind(item: Any, position: int) -> str:
    if isinstance(item, str | os.PathLike):
        return "path"
    kinds = {1: "waveform", 2: "feature"}
    item = as_numpy(item)
    if np.ndim(item) not in kinds or not isinstance(item, np.ndarray | list | tuple):
        raise TypeError(
            f"Clip {position} of X is a {type(item).__name__} with {np.ndim(item)} axes; a list contains paths, waveforms "
            "(n_timepoints,) or features (n_mels, n_frames)."
        )
    return kinds[np.ndim(item)]


def finite_rows(X: np.ndarray) -> np.ndarray:
    """X itself, checked for NaN and infinity clip by clip, so that a memory map is never read as a whole."""
    if X.dtype.kind == "f":
        bad = [f"clip {number} {why_not_finite(row)}" for number, row in enumerate(X) if not np.isfinite(row).all()]
        if bad:
            raise ValueError(f"Input X contains NaN or infinity: {'; '.join(bad)}.")
    return X


def _hint_for(X: Any) -> str:
    if _is_dict(X) and isinstance(X.get("data"), pd.DataFrame):
        return f"X is a {type(X).__name__} that contains a clip table; pass the table, X.data."
    if _is_dict(X):
        return (
            "X is a dict; pass a clip table: pandas.DataFrame(X) with a 'path' or 'waveform' column, one row per clip."
        )
    return f"X is a single path ({X!r}); pass a list of paths: [{X!r}]."
