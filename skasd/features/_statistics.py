"""Statistics of a clip over time, from which clips that sound alike are known.

Axes: F mel bands, T frames.
"""

from collections.abc import Sequence

import numpy as np

from skasd._parameters import check_option
from skasd.features._twfr import twfr

MOMENTS = ("std", "skewness", "kurtosis")


def check_moments(moments: Sequence[str]) -> tuple[str, ...]:
    """Names of moments, after a look at each of them."""
    if not isinstance(moments, list | tuple):
        raise TypeError(
            f"moments={moments!r} is a {type(moments).__name__}; a tuple of names out of {MOMENTS} is expected."
        )
    for moment in moments:
        check_option("moments", moment, MOMENTS)
    return tuple(moments)


def clip_statistics(spectrogram: np.ndarray, r: Sequence[float], moments: Sequence[str] = ()) -> np.ndarray:
    """Rank-weighted means of each band, less the level of the clip, then the moments of each band over time.

    Parameters
    ----------
    spectrogram : ndarray of shape (F, T)
        In dB.
    r : sequence of float
        Decay values of the means, see :func:`skasd.features.TWFRTransformer`; 0 is the maximum.
    moments : sequence of {"std", "skewness", "kurtosis"}, default=()
        Standard deviation in dB; skewness and excess kurtosis, dimensionless, 0 for a band that does not change.

    Returns
    -------
    statistics : ndarray of shape (n_statistics,)

    Notes
    -----
    The level of the clip is the mean of all rank-weighted means. It depends on where the microphone stood rather than on
    what the machine did, and in clips as they are it outweighs everything else.
    """
    means = twfr(spectrogram, r).ravel() if len(r) else np.empty(0, spectrogram.dtype)
    parts = [means - means.mean()] if len(r) else []
    centred = spectrogram - spectrogram.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1)
    scaled = centred / np.where(spread > 0, spread, 1)[:, None]
    made = {
        "std": spread,
        "skewness": (scaled**3).mean(axis=1),
        "kurtosis": (scaled**4).mean(axis=1) - 3 * (spread > 0),
    }
    return np.concatenate([*parts, *(made[moment] for moment in moments)])
