"""Means of metric values, as the official programs compute them."""

from typing import Any

import numpy as np

from skasd._parameters import naming

EPS = float(np.finfo(np.float64).eps)  # 2.220446049250313e-16, the floor of the official programs


def arithmetic_mean(values: Any) -> float:
    """Arithmetic mean of metric values.

    Parameters
    ----------
    values : array-like of shape (n_values,)
        Finite values.

    Returns
    -------
    mean : float
        Arithmetic mean, in the unit of the values.

    Raises
    ------
    ValueError
        If there are no values or one is not finite: missing values are never skipped.

    Examples
    --------
    >>> from skasd.metrics import arithmetic_mean
    >>> arithmetic_mean([0.5, 1.0])
    0.75
    """
    return float(np.mean(_check_values(values)))


def harmonic_mean(values: Any) -> float:
    r"""Harmonic mean of metric values, with the floor of the official programs.

    .. math:: H = \frac{n}{\sum_i 1 / \max(v_i, \epsilon)}, \quad \epsilon = 2^{-52}.

    A low value lowers it much more than the arithmetic mean; an AUC of zero gives about 1e-15 instead of an error.

    Parameters
    ----------
    values : array-like of shape (n_values,)
        Finite values that are not negative.

    Returns
    -------
    mean : float
        Harmonic mean, in the unit of the values.

    Raises
    ------
    ValueError
        If there are no values, or one is negative or not finite.

    Examples
    --------
    >>> from skasd.metrics import harmonic_mean
    >>> round(harmonic_mean([0.9, 0.6, 0.7]), 6)
    0.713208
    """
    values = _check_values(values)
    if values.min() < 0:
        raise ValueError(f"values[{int(values.argmin())}] = {values.min()} is negative and has no harmonic mean.")
    return float(len(values) / np.sum(1 / np.maximum(values, EPS)))


def _check_values(values: Any) -> np.ndarray:
    with naming("values"):
        values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"values has shape {values.shape}; at least one value, shape (n_values,), is expected.")
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(
            f"values[{row}] = {values[row]} is not finite; drop it only if a mean over fewer values will do."
        )
    return values
