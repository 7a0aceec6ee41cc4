"""Selection of anomalies by p-values, so that few of those selected are expected to be normal."""

from typing import Any

import numpy as np

_EXACT = 1e-12  # of a p-value


def benjamini_hochberg(p_values: np.ndarray, fdr: float) -> np.ndarray:
    """Select clips by the procedure of Benjamini and Hochberg.

    Parameters
    ----------
    p_values : ndarray of shape (n_clips,)
        P-values; clips with NaN are left out of the batch, and not selected.
    fdr : float
        Accepted false discovery rate.

    Returns
    -------
    is_selected : ndarray of shape (n_clips,), bool
        Selected clips.

    Examples
    --------
    >>> import numpy as np
    >>> benjamini_hochberg(np.array([0.01, 0.9, 0.04, 0.02]), 0.05)
    array([ True, False, False,  True])
    """
    from scipy.stats import false_discovery_control  # imported when needed, as it takes long

    is_selected = np.zeros(len(p_values), dtype=bool)
    has_one = ~np.isnan(p_values)
    if has_one.any():
        is_selected[has_one] = false_discovery_control(p_values[has_one], method="bh") <= fdr + _EXACT
    return is_selected


def in_order(p_values: np.ndarray, procedure: Any) -> np.ndarray:
    """Select clips one after the other by a procedure for streams.

    Parameters
    ----------
    p_values : ndarray of shape (n_clips,)
        P-values in the order of the clips; NaN is not given to the procedure.
    procedure : object
        Has a method ``test_one(p_value)``.
    """
    if not callable(getattr(procedure, "test_one", None)):
        raise TypeError(
            f"procedure={procedure!r} has no method test_one, which decides about one p-value; give one of the package "
            "online-fdr, such as its Lond, or None."
        )
    return np.array([not np.isnan(value) and bool(procedure.test_one(float(value))) for value in p_values], dtype=bool)
