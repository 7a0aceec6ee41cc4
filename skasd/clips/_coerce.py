"""One coercion of X: arrays, lists, paths and clip tables become `Clips`, read only when they are asked for."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import joblib
import numpy as np
import pandas as pd
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data
from tqdm import tqdm

from skasd.clips._audio import ClipReader, as_float, why_not_finite

_FEW_CLIPS = 4  # for so few, starting threads takes longer than it saves
_CLIPS_PER_TASK = 8


@dataclass(frozen=True)
class Clips:
    """The clips of one X.

    Attributes
    ----------
    kind : {"waveform", "feature"}
        What `items` become when they are read.
    items : sequence of n_clips items
        Paths, waveforms or features.
    table : DataFrame of n_clips rows, or None
        The clip table they came from.
    """

    kind: Literal["waveform", "feature"]
    items: Sequence | np.ndarray
    table: pd.DataFrame | None = None

    def __len__(self) -> int:
        return len(self.items)

    def name(self, position: int) -> str:
        """Name of a clip for messages: its path, or where it stands."""
        item = self.items[position]
        if isinstance(item, str | os.PathLike):
            return os.fspath(item)
        if self.table is not None:
            return f"clip {position} (index {self.table.index[position]!r} of the table)"
        return f"clip {position}"

    def take(self, positions: np.ndarray) -> Self:
        """Clips at the integer `positions`."""
        whole = isinstance(self.items, np.ndarray)
        items = self.items[positions] if whole else [self.items[position] for position in positions]  # type: ignore
        return type(self)(self.kind, items, None if self.table is None else self.table.iloc[positions])

    def group_names(self, columns: Sequence[str]) -> np.ndarray:
        """Names of the group of each clip: the cells of `columns` joined by "/".

        Parameters
        ----------
        columns : sequence of str
            Those that the table lacks, or of which no cell is known, are passed over; without any, and without a table,
            every clip has the name "".

        Returns
        -------
        names : ndarray of shape (n_clips,), dtype str
        """
        names = np.full(len(self), "", dtype=object)
        table = pd.DataFrame() if self.table is None else self.table
        present = [column for column in columns if column in table.columns and table[column].notna().any()]
        for column in present:
            cells = table[column]
            if cells.isna().any():
                position = int(np.argmax(cells.isna()))
                raise ValueError(
                    f"Column {column!r} is known of some clips but not of {self.name(position)}; fill it in, or leave the "
                    "column out of those that tell clips apart."
                )
            names = names + ("" if column == present[0] else "/") + cells.astype(str).to_numpy(dtype=object)
        return names.astype(str)

    def map(
        self,
        function: Callable[[np.ndarray], Any],
        reader: ClipReader,
        *,
        n_jobs: int | None = None,
        verbose: int = 0,
        title: str = "clips",
    ) -> Iterator[Any]:
        """Read every clip and apply `function`, several at a time, and yield the results in order.

        Parameters
        ----------
        function : callable
            Takes a waveform (n_timepoints,) or a feature (n_mels, n_frames). It runs in threads.
        reader : ClipReader
            How files and waveforms are read; features are taken as they are.
        n_jobs : int or None, default=None
            Number of threads, as in joblib.
        verbose : int, default=0
            Shows a progress bar from 1 on.
        title : str, default="clips"
            What the progress bar says.

        Yields
        ------
        result : Any
            What `function` returns for a clip; None for a clip that cannot be read.

        Raises
        ------
        ValueError
            After all clips have been tried, if any could not be read: the message lists them all with their reasons.
        """
        read = _read_feature if self.kind == "feature" else reader
        failures = []
        outcomes = _run([(_attempt, function, read, item) for item in self.items], n_jobs)
        for position, (result, reason) in enumerate(tqdm(outcomes, title, len(self), disable=verbose < 1, unit="clip")):
            if reason is not None:
                failures.append(f"{self.name(position)}: {reason}")
            yield result
        if failures:
            raise ValueError(_failure_message(failures, len(self)))


def is_clip_table(X: Any, feature: str | None = "log_mel") -> bool:
    """Whether X is a clip table: a DataFrame with a `path`, `waveform` or feature column."""
    return isinstance(X, pd.DataFrame) and any(name in X.columns for name in _clip_columns(feature))


def _clip_columns(feature: str | None) -> list[str]:
    """Columns that can hold clips, the preferred first."""
    return ["waveform", "path"] if feature is None else [feature, "waveform", "path"]


def check_clips(estimator: Any, X: Any, *, reset: bool, feature: str | None = "log_mel") -> Clips:
    """Clips of the X that an estimator was given, checked against the X that it was fitted on.

    Parameters
    ----------
    estimator : estimator
        Gets `n_features_in_` when `reset`: the time points of a 2-D array, or the bands of features.
    X : array, list or DataFrame
        See :func:`as_clips`. 2-D arrays go through scikit-learn's ``validate_data``.
    reset : bool
        True in ``fit``, False elsewhere.
    feature : str or None, default="log_mel"
        Name of the feature column of a clip table; None for an estimator that takes waveforms only.

    Returns
    -------
    clips : Clips
    """
    if is_clip_table(X, feature) or not _is_matrix(X):
        clips = as_clips(X, feature=feature)
        _check_n_bands(estimator, clips, reset)
        return clips
    X = validate_data(estimator, _as_numpy(X), reset=reset, dtype="numeric", ensure_all_finite=False)
    return Clips("waveform", _finite_rows(X))


def as_clips(X: Any, *, feature: str | None = "log_mel") -> Clips:
    """Clips of an X of any of the accepted kinds.

    Parameters
    ----------
    X : array, list or DataFrame
        - 2-D array ``(n_clips, n_timepoints)``, or a list of 1-D arrays that may differ in length: waveforms;
        - 3-D array ``(n_clips, n_mels, n_frames)``, or a list of 2-D arrays that may differ in frames: features;
        - list or 1-D array of file paths;
        - clip table: DataFrame with a feature column, a `waveform` column or a `path` column (the first of them found
          is used).

        NumPy arrays, memory maps and torch tensors alike.
    feature : str or None, default="log_mel"
        Name of the feature column of a clip table; None for an estimator that takes waveforms only.

    Returns
    -------
    clips : Clips

    Raises
    ------
    TypeError
        A dict, a single path, or a list that mixes paths, waveforms and features.
    ValueError
        No clips, or a shape, a value or columns that cannot be clips.
    """
    if _is_dict(X) or isinstance(X, str | bytes | os.PathLike):
        raise TypeError(_hint_for(X))
    if isinstance(X, pd.DataFrame) and not is_clip_table(X, feature) and not _all_numeric(X):
        raise ValueError(
            f"X is a DataFrame without any of the columns {_clip_columns(feature)}, so it holds no clips; "
            f"its columns are {list(X.columns)}."
        )
    if is_clip_table(X, feature):
        return _from_table(X, feature)
    X = _as_numpy(X)
    if isinstance(X, np.ndarray) and X.dtype.kind not in "OUST":
        return _from_array(X)
    return _from_items(list(X))


def _is_matrix(X: Any) -> bool:
    """Whether X is left to scikit-learn's checks: numbers in two axes, or nothing that could be clips."""
    if _is_dict(X) or isinstance(X, str | bytes | os.PathLike):
        return False
    if isinstance(X, pd.DataFrame):
        return _all_numeric(X)
    if hasattr(X, "ndim") and hasattr(X, "shape"):
        texts = getattr(X.dtype, "kind", "") in "OUST" if hasattr(X, "dtype") else False
        return X.ndim != 3 and not (X.ndim == 1 and texts)
    if not isinstance(X, list | tuple) or not X:
        return True
    return all(np.ndim(row) == 1 for row in X) and len({len(row) for row in X}) == 1


def _is_dict(X: Any) -> bool:
    return isinstance(X, dict) and not hasattr(X, "shape")  # a sparse matrix of SciPy may be a dict


def _all_numeric(X: pd.DataFrame) -> bool:
    return all(pd.api.types.is_numeric_dtype(dtype) for dtype in X.dtypes)


def _as_numpy(X: Any) -> Any:
    """Torch tensors as arrays, found by name so that torch is not needed; other things as they are."""
    if type(X).__module__.partition(".")[0] == "torch" and hasattr(X, "detach"):
        return X.detach().cpu().numpy()
    return X.to_numpy() if isinstance(X, pd.DataFrame | pd.Series | pd.Index) else X


def _from_array(X: np.ndarray) -> Clips:
    if X.ndim == 3:
        X = check_array(X, allow_nd=True, ensure_all_finite=False, dtype="numeric", input_name="X")
        if 0 in X.shape:
            raise ValueError(f"X has shape {X.shape}; features need at least one band and one frame.")
        return Clips("feature", _finite_rows(X))
    return Clips("waveform", _finite_rows(check_array(X, ensure_all_finite=False, input_name="X")))


def _from_table(X: pd.DataFrame, feature: str | None) -> Clips:
    if not len(X):
        raise ValueError("X is a clip table of 0 rows; at least one clip is needed.")
    column = next(name for name in _clip_columns(feature) if name in X.columns)
    cells = X[column].tolist()
    for position, cell in enumerate(cells):
        if cell is None or (isinstance(cell, float) and np.isnan(cell)):
            raise ValueError(
                f"Column {column!r} of the clip table is empty at row {position} (index {X.index[position]!r})."
            )
        if column == "path" and not isinstance(cell, str | os.PathLike):
            raise TypeError(f"Column 'path' holds {type(cell).__name__} at row {position}; it takes file paths.")
    return Clips("feature" if column == feature else "waveform", cells, X)


def _from_items(items: list) -> Clips:
    if not items:
        raise ValueError("X holds 0 clips; at least one is needed.")
    kinds = [_item_kind(item, position) for position, item in enumerate(items)]
    for position, kind in enumerate(kinds):
        if kind != kinds[0]:
            raise TypeError(f"X mixes kinds of clips: clip 0 is a {kinds[0]}, clip {position} a {kind}; give one kind.")
    if kinds[0] == "path":
        return Clips("waveform", items)
    return Clips(kinds[0], [_as_numpy(item) for item in items])  # type: ignore[arg-type]


def _item_kind(item: Any, position: int) -> str:
    if isinstance(item, str | os.PathLike):
        return "path"
    kinds = {1: "waveform", 2: "feature"}
    item = _as_numpy(item)
    if np.ndim(item) not in kinds or not isinstance(item, np.ndarray | list | tuple):
        raise TypeError(
            f"Clip {position} of X is a {type(item).__name__} of {np.ndim(item)} axes; a list holds paths, waveforms "
            "(n_timepoints,) or features (n_mels, n_frames)."
        )
    return kinds[np.ndim(item)]


def _finite_rows(X: np.ndarray) -> np.ndarray:
    """X itself, after a look at each clip in turn (a memory map is never read as a whole)."""
    if X.dtype.kind == "f":
        for position, row in enumerate(X):
            if not np.isfinite(row).all():
                raise ValueError(f"Input X contains NaN or infinity: clip {position} {why_not_finite(row)}.")
    return X


def _check_n_bands(estimator: Any, clips: Clips, reset: bool) -> None:
    """Set or compare `n_features_in_` for features; paths and tables of waveforms have none."""
    n_bands = np.shape(clips.items[0])[0] if clips.kind == "feature" else None
    known = vars(estimator).get("n_features_in_")
    if reset:
        for attribute in ("n_features_in_", "feature_names_in_"):
            vars(estimator).pop(attribute, None)
        if n_bands is not None:
            estimator.n_features_in_ = n_bands
    elif n_bands is not None and known is not None and n_bands != known:
        raise ValueError(
            f"X has features of {n_bands} bands, but {type(estimator).__name__} is expecting {known} features as input."
        )


def _hint_for(X: Any) -> str:
    if _is_dict(X):
        return (
            "X is a dict; give a clip table: pandas.DataFrame(X) with a 'path' or 'waveform' column, one row per clip."
        )
    return f"X is one path ({X!r}); give a list of paths, even of one: [{X!r}]."


def _read_feature(item: Any) -> np.ndarray:
    feature = np.asarray(item)
    if feature.ndim != 2 or feature.size == 0 or feature.dtype.kind not in "fiu":
        raise ValueError(
            f"has shape {feature.shape}, dtype {feature.dtype}; a feature has numbers of shape (n_mels, n_frames)"
        )
    feature = feature.astype(np.float64) if feature.dtype.kind in "iu" else as_float(feature)
    if not np.isfinite(feature).all():
        raise ValueError(why_not_finite(feature))
    return feature


def _attempt(function: Callable, read: Callable, item: Any) -> tuple[Any, str | None]:
    try:
        values = read(item)
    except ValueError as error:
        return None, str(error)
    return function(values), None


def _run(tasks: list[tuple], n_jobs: int | None) -> Iterator[Any]:
    """Results of the tasks in order, in threads where there are enough of them."""
    if len(tasks) <= _FEW_CLIPS or joblib.effective_n_jobs(n_jobs) == 1:
        return (task[0](*task[1:]) for task in tasks)
    parallel = joblib.Parallel(
        n_jobs=n_jobs, prefer="threads", return_as="generator", batch_size=_CLIPS_PER_TASK, pre_dispatch="4*n_jobs"
    )
    return parallel(joblib.delayed(task[0])(*task[1:]) for task in tasks)


def _failure_message(failures: list[str], n_clips: int) -> str:
    listed = "\n  ".join(failures)
    return f"{len(failures)} of {n_clips} clips cannot be used:\n  {listed}\nRepair them or leave them out of X."
