"""Conversion of X to `Clips`, from arrays, lists, paths and clip tables."""

import os
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_array

from skasd._tables import as_pandas
from skasd.clips._arrays import as_numpy, why_not_finite
from skasd.clips._channels import Kind, channel_shapes, kind_of_shapes
from skasd.clips._clips import WAVEFORM_COLUMNS, BadCell, Clips
from skasd.clips._feature_column import feature_column, looks_like_waveforms

_METADATA = {"machine_type", "section", "domain", "attributes", "split"}
ERROR_COLUMN = "error"  # where transformers with on_error="skip" write why a clip cannot be used


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
    X = as_pandas(X)
    if not isinstance(X, pd.DataFrame):
        return False
    return any(name in X.columns for name in WAVEFORM_COLUMNS) or feature_column(X, feature) is not None


def as_clips(X: Any, *, feature: Any = "auto") -> Clips:
    """Convert X to clips.

    Parameters
    ----------
    X : array, list or DataFrame
        - 2-D array ``(n_clips, n_timepoints)``, or a list of 1-D arrays that may differ in length: waveforms;
        - 3-D array ``(n_clips, n_mels, n_frames)``, or a list of 2-D arrays that may differ in frames: features; with at
          most 3 rows and at least 1000 columns, or at most 8 rows and at least 1000 columns for each, they are waveforms
          ``(n_channels, n_timepoints)``;
        - list or 1-D array of file paths;
        - clip table: DataFrame with a feature column, a `waveform` column or a `path` column (the first of them found
          is used).

        Arrays may be NumPy arrays, memory maps or torch tensors. Tables of polars and pyarrow are converted by their
        ``to_pandas``.
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
    return to_clips(X, feature, known="waveform" if feature is None else None)


def to_clips(X: Any, feature: Any, *, known: Kind | None, n_bands: int | None = None) -> Clips:
    """Convert X to clips, where `known` and `n_bands` are what the estimator takes or was fitted on; None if it is open."""
    X = _one_axis_of_paths(as_pandas(X))
    if _is_dict(X) or isinstance(X, str | bytes | os.PathLike):
        raise TypeError(_hint_for(X))
    if isinstance(X, pd.DataFrame) and not is_clip_table(X, feature) and not _all_numeric(X):
        raise ValueError(
            f"X is a DataFrame without a feature, {' or '.join(WAVEFORM_COLUMNS)} column, so it is not a clip table; its "
            f"columns are {list(X.columns)}.{_hint_at_waveforms(X)}"
        )
    if is_clip_table(X, feature):
        return _from_table(X, feature)
    refuse_metadata_as_samples(X)
    X = as_numpy(X)
    if isinstance(X, np.ndarray) and X.dtype.kind not in "OUST":
        return _from_array(X, known, n_bands)
    if not isinstance(X, np.ndarray | list | tuple):
        once = (
            " Clips are read several times, so pass list(X), or sorted(X) for paths." if hasattr(X, "__iter__") else ""
        )
        raise TypeError(
            f"X is a {type(X).__name__}; give an array, a list (of paths or of clips) or a clip table.{once}"
        )
    return _from_items(list(X), known, n_bands)


def is_matrix(X: Any) -> bool:
    """Whether scikit-learn checks X: an array or DataFrame without features and paths, or a list of equally long rows."""
    if _is_dict(X) or isinstance(X, str | bytes | os.PathLike):
        return False
    if isinstance(X, pd.DataFrame):
        return _all_numeric(X)
    if hasattr(X, "ndim") and hasattr(X, "shape"):
        texts = getattr(X.dtype, "kind", "") in "OUST" if hasattr(X, "dtype") else False
        return X.ndim != 3 and not (X.ndim == 1 and texts) and not _holds_paths(X)
    if not isinstance(X, list | tuple):
        return hasattr(X, "__array__")
    if not X or _holds_paths(X):
        return False
    # Integers are scaled by their own type, which one array of all rows would not keep.
    n_types = len({str(getattr(row, "dtype", None)) for row in X})
    return n_types == 1 and all(np.ndim(row) == 1 for row in X) and len({len(row) for row in X}) == 1


def _is_dict(X: Any) -> bool:
    return isinstance(X, dict) and not hasattr(X, "shape")  # some sparse matrices of SciPy are dicts


def _all_numeric(X: pd.DataFrame) -> bool:
    return all(pd.api.types.is_numeric_dtype(dtype) for dtype in X.dtypes)


def _holds_paths(X: Any) -> bool:
    """Whether X is an array or list of two axes that begins with a path."""
    if isinstance(X, np.ndarray):
        return X.ndim == 2 and X.size > 0 and X.dtype.kind in "OUST" and isinstance(X.flat[0], str | os.PathLike)
    rows = isinstance(X, list | tuple) and X and isinstance(X[0], list | tuple | np.ndarray)
    return bool(rows and getattr(X[0], "ndim", 1) and len(X[0]) and isinstance(X[0][0], str | os.PathLike))


def _one_axis_of_paths(X: Any) -> Any:
    """Paths of shape (n_clips, 1) as a list; X itself if it is something else."""
    if not _holds_paths(X):
        return X
    if isinstance(X, np.ndarray) and X.shape[1] == 1:
        return X[:, 0]
    if not isinstance(X, np.ndarray) and all(np.ndim(row) == 1 and len(row) == 1 for row in X):
        return [row[0] for row in X]
    shape = X.shape if isinstance(X, np.ndarray) else (len(X), len(X[0]))
    raise ValueError(f"X holds paths in shape {shape}; one path for each clip is expected, in a list or one axis.")


def refuse_metadata_as_samples(X: Any) -> None:
    """Raise if X is a DataFrame of numbers, one of whose columns is metadata and would be read as a time point."""
    wrong = [name for name in X.columns if name in _METADATA] if isinstance(X, pd.DataFrame) else []
    if wrong:
        raise ValueError(
            f"X is a DataFrame of numbers with the column(s) {wrong}, which would be read as samples of the waveforms. "
            "Put each waveform into a cell of a column 'waveform' to keep them, or drop them."
        )


def _hint_at_waveforms(X: pd.DataFrame) -> str:
    named = [name for name in X.columns if looks_like_waveforms(X, name)]
    if not named:
        return ""
    return (
        f" The cells of {named[0]!r} look like waveforms (n_channels, n_timepoints): name the column 'waveform', or set "
        f"feature={named[0]!r} if they are features."
    )


def _from_array(X: np.ndarray, known: Kind | None, n_bands: int | None) -> Clips:
    if X.ndim == 3:
        X = check_array(X, allow_nd=True, ensure_all_finite=False, dtype="numeric", input_name="X")
        if 0 in X.shape:
            raise ValueError(f"X has shape {X.shape}; features need at least one band and one frame.")
        if kind_of_shapes(channel_shapes(X), known, n_bands) == "waveform":
            return Clips("waveform", list(finite_rows(X)))
        return Clips("feature", finite_rows(X))
    return Clips("waveform", finite_rows(check_array(X, ensure_all_finite=False, input_name="X")))


def _from_table(X: pd.DataFrame, feature: str | None) -> Clips:
    if not len(X):
        raise ValueError("X is a clip table of 0 rows; at least one clip is needed.")
    if not X.columns.is_unique:
        raise ValueError(f"The clip table has duplicate column names: {list(X.columns[X.columns.duplicated()])}.")
    of_features = feature_column(X, feature)
    column = of_features or next(name for name in WAVEFORM_COLUMNS if name in X.columns)
    cells = [_cell(cell, column) for cell in X[column].tolist()]
    if of_features is not None and ERROR_COLUMN in X.columns:
        cells = [_with_reason(cell, error) for cell, error in zip(cells, X[ERROR_COLUMN].tolist(), strict=True)]
    return Clips("waveform" if of_features is None else "feature", cells, X, column)


def _cell(cell: Any, column: str) -> Any:
    if cell is None or (np.ndim(cell) == 0 and pd.isna(cell)):
        return BadCell(f"its cell in the column {column!r} is empty")
    if column == "path" and not isinstance(cell, str | os.PathLike):
        return BadCell(f"its cell in the column 'path' is a {type(cell).__name__}, not a file path")
    return cell


def _with_reason(cell: Any, error: Any) -> Any:
    """An empty cell with the reason for which a transformer left it empty."""
    return BadCell(error) if isinstance(cell, BadCell) and isinstance(error, str) and error else cell


def _from_items(items: list, known: Kind | None, n_bands: int | None) -> Clips:
    if not items:
        raise ValueError("X contains 0 clips; at least one is needed.")
    if any(isinstance(item, pd.DataFrame) for item in items):
        raise TypeError("X is a list that contains a DataFrame; give one clip table as X itself, see pandas.concat.")
    items = [as_numpy(item) for item in items]
    shapes = channel_shapes([item for item in items if isinstance(item, np.ndarray | list | tuple)])
    of_two_axes = kind_of_shapes(shapes, known, n_bands) if shapes else "feature"
    kinds = [_item_kind(item, position, of_two_axes) for position, item in enumerate(items)]
    for position, kind in enumerate(kinds):
        if kind != kinds[0]:
            raise TypeError(
                f"X mixes kinds of clips: clip 0 is a {kinds[0]}, clip {position} is a {kind}; give one kind."
            )
    return Clips("waveform" if kinds[0] == "path" else kinds[0], items)  # type: ignore[arg-type]


def _item_kind(item: Any, position: int, of_two_axes: Kind) -> str:
    if isinstance(item, str | os.PathLike):
        return "path"
    if isinstance(item, bytes):
        raise TypeError(f"Clip {position} of X is bytes; a path is expected as text: os.fsdecode({item!r}).")
    kinds = {1: "waveform", 2: of_two_axes}
    if np.ndim(item) not in kinds or not isinstance(item, np.ndarray | list | tuple):
        raise TypeError(
            f"Clip {position} of X is a {type(item).__name__} with {np.ndim(item)} axes; a list contains paths, waveforms "
            "(n_timepoints,) or (n_channels, n_timepoints), or features (n_mels, n_frames)."
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
