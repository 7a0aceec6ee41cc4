"""Statistics of a clip over time, from which clips that sound alike are known.

Axes: n clips, F mel bands, T frames, R decay values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skasd._parameters import check_option
from skasd._rank_pooling import decay_values, twfr

MOMENTS = ("std", "skewness", "kurtosis")
# Level distributions of noise lean to the quiet side (the logarithm of a chi-square variable has a skewness below 0);
# above this the loud frames are so rare that a machine is taken as impulsive, and its time mean as background.
IMPULSIVE_SKEWNESS = 0.4
_AUTO_R = (1.0, 0.9, 0.5)
_IMPULSIVE_R = 0.5  # which looks at the two loudest frames of each band, and at nothing of the background


@dataclass(frozen=True)
class ClipStatistics:
    """Rank-weighted means of each band, less the level of the clip, then moments of each band over time.

    Attributes
    ----------
    r : tuple of float
        Decay values of the means; 0 is the maximum.
    moments : tuple of {"std", "skewness", "kurtosis"}
        Standard deviation in dB; skewness and excess kurtosis, dimensionless, 0 for a band that does not change.
    is_auto : bool
        Whether machines that act now and then keep the last decay value alone.

    Notes
    -----
    The level of a clip is the mean of its rank-weighted means. It depends on where the microphone stood rather than on what
    the machine did, and in clips as they are it outweighs everything else.
    """

    r: tuple[float, ...]
    moments: tuple[str, ...] = ()
    is_auto: bool = False

    @classmethod
    def checked(cls, stat_r: Sequence[float] | str, moments: Sequence[str]) -> "ClipStatistics":
        """From parameters of an estimator; raise if one is out of range."""
        moments = _check_moments(moments)
        if isinstance(stat_r, str):
            check_option("stat_r", stat_r, ("auto",))
            return cls(_AUTO_R, moments, is_auto=True)
        return cls(decay_values(stat_r, "stat_r"), moments)

    def of_clip(self, spectrogram: np.ndarray) -> np.ndarray:
        """What is needed of a spectrogram (F, T) in dB: rank-weighted means, moments, and the mean skewness if `is_auto`."""
        spectrogram = spectrogram.astype(np.float64, copy=False)
        parts = [twfr(spectrogram, self.r).ravel(), *_moments(spectrogram, self.moments)]
        return np.concatenate([*parts, [mean_skewness(spectrogram)]] if self.is_auto else parts)

    def of_machines(self, rows: np.ndarray, machines: np.ndarray) -> np.ndarray:
        """Statistics (n, R F + n_moments F) of clips, of which ``of_clip`` made the rows; 0 where a machine has none.

        Parameters
        ----------
        rows : ndarray of shape (n, d)
            Of the clips.
        machines : ndarray of shape (n,), str
            Their machines.
        """
        rows, skewness = (rows[:, :-1], rows[:, -1]) if self.is_auto else (rows, np.zeros(len(rows)))
        statistics = rows.copy()
        n_means = rows.shape[1] // (len(self.r) + len(self.moments)) * len(self.r)
        for machine in np.unique(machines):
            of_it = machines == machine
            kept = np.repeat(self._kept(skewness[of_it].mean()), n_means // len(self.r))
            means = rows[of_it, :n_means] * kept
            statistics[of_it, :n_means] = kept * (means - means.sum(axis=1, keepdims=True) / kept.sum())
        return statistics

    def _kept(self, skewness: float) -> np.ndarray:
        """Which decay values (R,) count for a machine of this mean skewness."""
        r = np.array(self.r)
        return r == _IMPULSIVE_R if self.is_auto and skewness > IMPULSIVE_SKEWNESS else np.ones(len(r), dtype=bool)


def mean_skewness(spectrogram: np.ndarray) -> float:
    """Skewness of the levels (F, T) of a band over time, in the mean over bands; a constant band leans to neither side."""
    deviation = spectrogram - spectrogram.mean(axis=1, keepdims=True)
    squared = np.square(deviation)
    variance = squared.mean(axis=1)
    varied = variance > 1e-12
    third = np.einsum("ft,ft->f", deviation, squared)[varied] / spectrogram.shape[1]
    return float((third / variance[varied] ** 1.5).sum() / len(variance))


def _moments(spectrogram: np.ndarray, moments: Sequence[str]) -> list[np.ndarray]:
    if not moments:
        return []
    centred = spectrogram - spectrogram.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1)
    scaled = centred / np.where(spread > 0, spread, 1)[:, None]
    made: dict[str, Any] = {
        "std": lambda: spread,
        "skewness": lambda: (scaled**3).mean(axis=1),
        "kurtosis": lambda: (scaled**4).mean(axis=1) - 3 * (spread > 0),
    }
    return [made[moment]() for moment in moments]


def _check_moments(moments: Sequence[str]) -> tuple[str, ...]:
    if not isinstance(moments, list | tuple):
        raise TypeError(
            f"moments={moments!r} is a {type(moments).__name__}; a tuple of names out of {MOMENTS} is expected."
        )
    for moment in moments:
        check_option("moments", moment, MOMENTS)
    return tuple(moments)
