"""Rank-weighted pooling over time, which ranges from the mean of each band to its maximum.

Axes: F mel bands, T frames, R decay values.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from skasd._parameters import check_number, naming


def twfr(spectrogram: np.ndarray, r: Sequence[float]) -> np.ndarray:
    """Weighted ranking pooling (TWFR) of one spectrogram.

    Parameters
    ----------
    spectrogram : ndarray of shape (F, T)
        Values in any unit.
    r : sequence of R floats
        Decay values in [0, 1].

    Returns
    -------
    pooled : ndarray of shape (R, F)
        Pooled values, in the unit and dtype of `spectrogram`.

    Examples
    --------
    >>> twfr(np.array([[1.0, 4.0, 2.0]]), [0.25]).round(6)
    array([[3.47619]])
    """
    return rank_weighted(np.sort(spectrogram, axis=1), r)


def rank_weighted(ascending: np.ndarray, r: Sequence[float]) -> np.ndarray:
    """Weighted ranking pooling of a spectrogram (F, T) whose bands are sorted from quiet to loud.

    Parameters
    ----------
    ascending : ndarray of shape (F, T)
        Sorted values in any unit.
    r : sequence of R floats
        Decay values in [0, 1].

    Returns
    -------
    pooled : ndarray of shape (R, F)
        Pooled values, in the unit and dtype of `ascending`.
    """
    return _ascending_weights(ascending.shape[1], tuple(r)).astype(ascending.dtype) @ ascending.T


def frame_weights(spectrogram: np.ndarray, r: float) -> np.ndarray:
    """Weight (F, T) that each frame of a spectrogram (F, T) has in the pooled value of its band; each band sums to 1."""
    (ascending,) = _ascending_weights(spectrogram.shape[1], (r,))
    weights = np.empty(spectrogram.shape)
    np.put_along_axis(weights, np.argsort(spectrogram, axis=1, kind="stable"), ascending[None], axis=1)
    return weights


@lru_cache(maxsize=64)
def _ascending_weights(n_frames: int, r: tuple[float, ...]) -> np.ndarray:
    """Weights of shape (R, T) for frames sorted from quiet to loud; each row sums to 1."""
    weights = np.power.outer(np.asarray(r, dtype=float), np.arange(n_frames)[::-1])
    return weights / weights.sum(axis=1, keepdims=True)


def decay_values(r: float | Sequence[float], name: str = "r") -> tuple[float, ...]:
    """Decay values of a parameter as a tuple, each of them checked; `name` is used in error messages."""
    with naming(name):
        values = tuple(np.atleast_1d(np.asarray(r, dtype=object)))
    if not values:
        raise ValueError(f"{name} is empty; give one or more decay values in [0, 1].")
    for value in values:
        check_number(name, value, low=0, high=1)
    return values
