"""What compiled code of scikit-learn takes for granted about the arrays of an estimator, checked before it sees them."""

from typing import Any

import numpy as np

_ROWS_OF_FEATURES = ("_fit_X", "cluster_centers_", "means_", "support_vectors_")


def check_shapes(estimator: Any) -> None:
    """Raise unless the arrays of a loaded estimator of scikit-learn have as many columns as it has features.

    Parameters
    ----------
    estimator : object
        What was loaded; objects of other libraries are left alone.
    """
    if not type(estimator).__module__.startswith("sklearn.") or "n_features_in_" not in vars(estimator):
        return
    state, n_features = vars(estimator), estimator.n_features_in_
    for name in _ROWS_OF_FEATURES:
        if isinstance(state.get(name), np.ndarray) and state[name].ndim == 2:
            _check(state[name].shape[1] == n_features, estimator)
    if "tree_" in state and hasattr(state["tree_"], "n_features"):
        _check(state["tree_"].n_features == n_features, estimator)
    for tree, features in zip(state.get("estimators_", ()), state.get("estimators_features_", ()), strict=True):
        chosen = np.asarray(features)
        _check(len(chosen) == tree.n_features_in_, estimator)
        _check(len(chosen) > 0 and chosen.min() >= 0 and chosen.max() < n_features, estimator)


def _check(holds: bool, estimator: Any) -> None:
    if not holds:
        raise ValueError(f"it has a {type(estimator).__name__} whose parts do not fit together")
