"""Find the clips of X that cannot be used, before anything is learnt or scored."""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_consistent_length

from skasd._parameters import check_option
from skasd.clips._arrays import as_numpy
from skasd.clips._audio import ClipReader
from skasd.clips._check import column_of
from skasd.clips._clips import Clips
from skasd.clips._coerce import ERROR_COLUMN, as_clips, is_clip_table
from skasd.clips._feature_column import feature_column, note_feature, noted_feature
from skasd.clips._readers import readers_of

ON_ERROR = ("raise", "skip")
_MOST_LISTED = 10


def unusable_clips(
    X: Any, estimator: Any = None, *, feature: Any = "auto", n_jobs: int | None = None, verbose: int = 0
) -> pd.DataFrame:
    """Read every clip once, and list those that cannot be used.

    Meant for a look at the data before a long training, and for pipelines, whose methods have no parameter `on_error`.

    Parameters
    ----------
    X : array, list of paths or clip table
        Clips.
    estimator : estimator, pipeline or ClipReader, default=None
        What the clips are for: it determines channel, sample rate and feature column. None reads the first channel at any
        sample rate.
    feature : str or None, default="auto"
        Feature column of a clip table, if `estimator` does not determine it. ``"auto"`` is the one that the last transformer
        wrote, or else the only one; None reads waveforms or files.
    n_jobs : int or None, default=None
        Number of threads that read clips, as in joblib.
    verbose : int, default=0
        Shows a progress bar if 1 or larger.

    Returns
    -------
    unusable : DataFrame of shape (n_unusable, 2)
        One row for each clip that cannot be used, with the columns ``clip``, its path or position, and ``reason``. The index
        is the position of the clip in X, counted from 0.

    Raises
    ------
    TypeError, ValueError
        If X as a whole cannot be converted to clips.

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.clips import unusable_clips
    >>> clips = [np.ones(16000), np.full(16000, np.nan), np.zeros(16000)]
    >>> bad = unusable_clips(clips)
    >>> bad
                clip                                             reason
    position
    1         clip 1  holds NaN (16000 of 16000 values, the first at 0)
    >>> usable = [clip for position, clip in enumerate(clips) if position not in bad.index]
    """
    first = estimator.steps[0][1] if hasattr(estimator, "steps") else estimator
    readers = [estimator] if isinstance(estimator, ClipReader) else None
    if readers is None:
        readers = [ClipReader()] if estimator is None else readers_of(estimator)
    clips = _clips_of(X, getattr(first, "feature", feature))
    n_bands = getattr(first, "n_features_in_", None)
    reasons = _reasons(clips, readers, first, n_bands, n_jobs=n_jobs, verbose=verbose)
    position = pd.Index(list(reasons), dtype=np.int64, name="position")
    columns = {"clip": [clips.name(number) for number in reasons], "reason": list(reasons.values())}
    return pd.DataFrame(columns, index=position, dtype=object)


def skips(on_error: str) -> bool:
    """Whether clips that cannot be used are skipped; raises for another value than "raise" and "skip"."""
    check_option("on_error", on_error, ON_ERROR)
    return on_error == "skip"


@dataclass(frozen=True)
class UsablePart:
    """The clips of an X that can be used.

    Parameters
    ----------
    whole, X : array, list or clip table
        All clips, and those that can be used.
    positions : ndarray of shape (n_usable,), int
        Positions in `whole` of the clips that can be used.
    reasons : dict of int to str
        Why the others cannot be used, by position.
    """

    whole: Any
    X: Any
    positions: np.ndarray
    reasons: dict[int, str]

    @classmethod
    def of(cls, estimator: Any, X: Any, *, reset: bool) -> "UsablePart":
        """Read every clip once, and warn of those that the estimator cannot use.

        Parameters
        ----------
        estimator : estimator
            Estimator that X was passed to.
        X : array, list of paths or clip table
            Clips.
        reset : bool
            True in ``fit``, False elsewhere.
        """
        feature = estimator.feature
        column = feature_column(X, feature) if reset else column_of(estimator, X, feature, reset=False)
        clips = _clips_of(X, feature if column is None and reset else column)
        n_jobs, verbose = getattr(estimator, "n_jobs", None), getattr(estimator, "verbose", 0)
        n_bands = None if reset else getattr(estimator, "n_features_in_", None)
        reasons = _reasons(clips, readers_of(estimator), estimator, n_bands, n_jobs=n_jobs, verbose=verbose)
        listed = [f"{clips.name(position)}: {reason}" for position, reason in reasons.items()]
        if len(reasons) == len(clips):
            raise ValueError(f"None of the {len(clips)} clips can be used:\n  {_shortened(listed)}\nRepair them.")
        if reasons:
            warnings.warn(
                f"{len(reasons)} of {len(clips)} clips cannot be used and are left out (on_error='skip'):\n  "
                f"{_shortened(listed)}",
                stacklevel=3,
            )
        positions = np.setdiff1d(np.arange(len(clips)), list(reasons))
        return cls(X, _taken(X, positions) if reasons else X, positions, reasons)

    def labels(self, y: Any) -> Any:
        """The labels of the usable clips, from the labels y of all clips."""
        if y is None or not self.reasons:
            return y
        check_consistent_length(self._all(), y)
        return _taken(y, self.positions)

    def spread(self, values: np.ndarray, missing: Any) -> np.ndarray:
        """Values of all clips, from those of the usable clips; `missing` for the others."""
        whole = np.full((len(self._all()), *values.shape[1:]), missing, dtype=values.dtype)
        whole[self.positions] = values
        return whole

    def table(self, features: Any) -> pd.DataFrame | np.ndarray:
        """Output of a transformer for all clips, from its output for the usable clips.

        A clip table gets None in the feature cells of the others, and the reasons in a column ``error``; an array gets NaN.
        """
        if not isinstance(features, pd.DataFrame):
            return self.spread(features, np.nan)
        column = noted_feature(features)
        if column is None or not isinstance(self.whole, pd.DataFrame):  # numbers, made a DataFrame by set_output
            index = self.whole.index if isinstance(self.whole, pd.DataFrame) else None
            return pd.DataFrame(self.spread(features.to_numpy(), np.nan), index=index, columns=features.columns)
        self._refuse_other_errors()
        n_clips = len(self._all())
        cells, errors = np.full(n_clips, None, dtype=object), np.full(n_clips, None, dtype=object)
        for position, cell in zip(self.positions, features[column], strict=True):
            cells[position] = cell
        for position, reason in self.reasons.items():
            errors[position] = reason
        return note_feature(self.whole.assign(**{column: cells, ERROR_COLUMN: errors}), column)

    def _refuse_other_errors(self) -> None:
        """Raise if the table has a column ``error`` that a transformer did not write."""
        if ERROR_COLUMN in self.whole.columns and self.X[ERROR_COLUMN].notna().any():
            raise ValueError(
                f"The clip table has a column {ERROR_COLUMN!r} with values for clips that can be used; rename it, because "
                "on_error='skip' writes the reasons for which clips cannot be used into a column of this name."
            )

    def _all(self) -> range:
        return range(len(self.positions) + len(self.reasons))


def _clips_of(X: Any, feature: Any) -> Clips:
    """Clips of X, without the check of arrays for NaN."""
    if not is_clip_table(X, feature):
        array = as_numpy(X)
        if isinstance(array, np.ndarray) and array.ndim in (2, 3) and array.dtype.kind in "fiub" and array.size:
            return Clips("waveform" if array.ndim == 2 else "feature", array)
    return as_clips(X, feature=feature)


def _reasons(
    clips: Clips,
    readers: Sequence[ClipReader],
    estimator: Any,
    n_bands: int | None,
    *,
    n_jobs: int | None,
    verbose: int,
) -> dict[int, str]:
    """Why clips cannot be used, by their position, ascending; features need `n_bands` bands, or as many as most have."""
    settings: dict[str, Any] = {"n_jobs": n_jobs, "verbose": verbose, "title": "checking"}
    reasons = _other_bands(clips, n_bands) if clips.kind == "feature" else {}
    for read in _everything_read(clips, estimator):
        for reader in readers if read.kind == "waveform" else readers[:1]:
            for position, (_, reason, _) in enumerate(read.attempts(np.ndim, reader, **settings)):
                if reason is not None:
                    reasons.setdefault(position, reason)
    return dict(sorted(reasons.items()))


def _everything_read(clips: Clips, estimator: Any) -> list[Clips]:
    """The clips, and their waveforms if they are features and the network has branches that need waveforms."""
    table, branches = clips.table, getattr(estimator, "branches", ())
    if clips.kind == "waveform" or table is None or set(branches) <= {"log_mel"}:
        return [clips]
    return [clips, as_clips(table, feature=None)] if is_clip_table(table, None) else [clips]


def _other_bands(clips: Clips, expected: int | None) -> dict[int, str]:
    """Features with another number of bands than expected, or than most clips."""
    bands = {position: np.shape(item)[0] for position, item in enumerate(clips.items) if np.ndim(item) == 2}
    if expected is None and bands:
        expected = Counter(bands.values()).most_common(1)[0][0]
    return {
        position: f"has {n_bands} bands where {expected} are expected"
        for position, n_bands in bands.items()
        if n_bands != expected
    }


def _shortened(lines: list[str]) -> str:
    left = len(lines) - _MOST_LISTED
    more = [f"and {left} more; skasd.clips.unusable_clips lists all of them"] if left > 0 else []
    return "\n  ".join([*lines[:_MOST_LISTED], *more])


def _taken(X: Any, positions: np.ndarray) -> Any:
    """Rows of an array, a list, a Series or a DataFrame."""
    if isinstance(X, pd.DataFrame | pd.Series):
        return X.iloc[positions]
    if hasattr(X, "shape"):
        return X[positions]
    rows = list(X)
    return [rows[position] for position in positions]
