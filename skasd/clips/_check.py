"""check_clips: the clips passed to an estimator, checked against the clips it was fitted on."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import validate_data

from skasd._parameters import naming
from skasd._tables import as_pandas
from skasd.clips._arrays import as_numpy
from skasd.clips._clips import Clips
from skasd.clips._coerce import finite_rows, is_clip_table, is_matrix, refuse_metadata_as_samples, to_clips
from skasd.clips._feature_column import ANY_FEATURE, feature_column

_FITTED = {"known": "_clip_kind", "n_bands": "n_features_in_"}


def check_clips(estimator: Any, X: Any, *, reset: bool, feature: Any = "auto") -> Clips:
    """Convert the X passed to an estimator to clips, and check them against the X that it was fitted on.

    Parameters
    ----------
    estimator : estimator
        Estimator that X was passed to. If `reset`, its `n_features_in_` is set: time points of a 2-D array, or bands of
        features.
    X : array, list or DataFrame
        Clips, see :func:`as_clips`. 2-D arrays are checked by scikit-learn's ``validate_data``.
    reset : bool
        True in ``fit``, False elsewhere.
    feature : str or None, default="auto"
        Feature column of a clip table. ``"auto"`` is the one that the last transformer wrote, or else the only one; None is
        for estimators that take waveforms only. Later calls read the same column as ``fit``.

    Returns
    -------
    clips : Clips
        The clips of X.
    """
    X = as_pandas(X)
    leaves_open = feature is ANY_FEATURE and isinstance(X, pd.DataFrame)
    feature = column_of(estimator, X, feature, reset=reset)
    if is_clip_table(X, feature) or not is_matrix(X):
        clips = to_clips(X, feature, **_known(estimator, feature, reset=reset))
        if feature is None and clips.kind == "feature":
            raise ValueError(
                f"X contains features of shape {np.shape(clips.items[0])}; {_name(estimator)} takes waveforms or files. A "
                "waveform has shape (n_timepoints,), or (n_channels, n_timepoints) with at most 8 channels."
            )
        if not leaves_open:
            _check_kind(estimator, clips, reset)
            _check_length(estimator, clips, X, reset)
        return clips
    refuse_metadata_as_samples(X)
    X = [as_numpy(row) for row in X] if isinstance(X, list | tuple) else as_numpy(X)
    with naming("X"):
        X = validate_data(estimator, X, reset=reset, dtype="numeric", ensure_all_finite=False)
    clips = Clips("waveform", finite_rows(X) if reset else X)  # after fit, each clip is checked when it is read
    _remember_kind(estimator, clips, reset)
    return clips


def _known(estimator: Any, feature: Any, *, reset: bool) -> dict[str, Any]:
    """Kind of clips that the estimator takes or was fitted on, and the number of bands; None where it is open."""
    if feature is None:
        return {"known": "waveform"}
    if reset:
        return {"known": None}
    return {name: vars(estimator).get(attribute) for name, attribute in _FITTED.items()}


def column_of(estimator: Any, X: Any, feature: Any, *, reset: bool) -> Any:
    """The feature column that the estimator was fitted on, if any; else the feature column of X."""
    if reset:
        column = feature_column(X, feature)
        estimator._feature_column = None if feature is ANY_FEATURE else column
        return feature if column is None else column
    if not isinstance(X, pd.DataFrame) or feature is ANY_FEATURE:
        return feature if feature is None else feature_column(X, ANY_FEATURE) or "auto"
    known = vars(estimator).get("_feature_column")
    if known is not None:
        if known in X.columns:
            return known
        _refuse_other_feature(estimator, X, known)
        return None
    reads_waveforms = vars(estimator).get("_clip_kind") == "waveform" and not {"waveform", "path"}.isdisjoint(X.columns)
    return None if reads_waveforms else feature_column(X, feature) or feature


def _refuse_other_feature(estimator: Any, X: pd.DataFrame, known: str) -> None:
    """Raise if a table has another feature column than the one that the estimator was fitted on."""
    other = feature_column(X, ANY_FEATURE)
    if other is not None:
        raise ValueError(
            f"X has the feature column {other!r}, but {_name(estimator)} was fitted on {known!r}; give that column, made "
            "the same way."
        )


def _name(estimator: Any) -> str:
    return type(estimator).__name__


def _n_bands(clips: Clips) -> int | None:
    """Number of bands of the first clip that is a feature."""
    return next((np.shape(item)[0] for item in clips.items if np.ndim(item) == 2), None)


def _remember_kind(estimator: Any, clips: Clips, reset: bool) -> None:
    """Store the kind of clips that the estimator is fitted on, or refuse clips of the other kind."""
    if reset:
        estimator._clip_kind = clips.kind
    elif vars(estimator).get("_clip_kind", clips.kind) != clips.kind:
        raise ValueError(
            f"X contains {clips.kind}s, but {_name(estimator)} was fitted on {estimator._clip_kind}s; give the same kind of "
            "clips, computed in the same way."
        )


def _check_kind(estimator: Any, clips: Clips, reset: bool) -> None:
    """Set or compare the kind, and `n_features_in_` of features; paths and tables of waveforms do not have it."""
    _remember_kind(estimator, clips, reset)
    n_bands = _n_bands(clips) if clips.kind == "feature" else None
    known = vars(estimator).get("n_features_in_")
    if reset:
        for attribute in ("n_features_in_", "feature_names_in_"):
            vars(estimator).pop(attribute, None)
        if n_bands is not None:
            estimator.n_features_in_ = n_bands
    elif n_bands is not None and known is not None and n_bands != known:
        raise ValueError(
            f"X has features of {n_bands} bands, but {_name(estimator)} is expecting {known} features as input."
        )


def _check_length(estimator: Any, clips: Clips, X: Any, reset: bool) -> None:
    """Set or compare `n_features_in_` of an array (n_clips, n_channels, n_timepoints), as for an array of two axes."""
    if clips.kind != "waveform" or getattr(X, "ndim", None) != 3:
        return
    n_timepoints, known = int(X.shape[2]), vars(estimator).get("n_features_in_")
    if reset:
        estimator.n_features_in_ = n_timepoints
    elif known is not None and n_timepoints != known:
        raise ValueError(
            f"X has {n_timepoints} features, but {_name(estimator)} is expecting {known} features as input."
        )
