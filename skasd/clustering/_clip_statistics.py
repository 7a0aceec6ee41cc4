"""Statistics of a clip over time, used to cluster clips that sound alike.

Axes: n clips, F mel bands, T frames, R decay values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skasd._parameter_group import ParameterGroup
from skasd._parameters import check_option
from skasd._rank_pooling import decay_values, twfr

MOMENTS = ("std", "skewness", "kurtosis")
# Levels of stationary noise in dB have a negative skewness (as the logarithm of a chi-square variable has). Above this
# threshold, loud frames are so rare that the machine counts as impulsive, and its time mean describes the background.
IMPULSIVE_SKEWNESS = 0.4
_AUTO_R = (1.0, 0.9, 0.5)
_IMPULSIVE_R = 0.5  # dominated by the two loudest frames of each band, so that the background hardly matters


@dataclass(repr=False)
class ClipStatistics(ParameterGroup):
    """Statistics of each band over time, by which clips are clustered: rank-weighted means, then moments.

    Parameters
    ----------
    r : sequence of float or "auto", default="auto"
        Decay values of the rank-weighted means, in [0, 1], dimensionless, see :class:`skasd.features.TWFRTransformer`.
        ``"auto"`` uses 1, 0.9 and 0.5, or only 0.5 for impulsive machines, which are recognised by the skewness of their
        levels as in :class:`skasd.detectors.TWFRDetector`.
    moments : sequence of {"std", "skewness", "kurtosis"}, default=()
        Further statistics of each band: standard deviation in dB; skewness and excess kurtosis, dimensionless, 0 for a
        constant band.

    Notes
    -----
    The level of a clip, which is the mean of its rank-weighted means, is subtracted from them: it depends on the distance to
    the microphone rather than on the machine, and would outweigh everything else.
    """

    r: Sequence[float] | str = "auto"
    moments: Sequence[str] = ()

    def check(self) -> None:
        """Raise if a parameter is out of range."""
        _check_moments(self.moments)
        if isinstance(self.r, str):
            check_option("r", self.r, ("auto",))
        else:
            decay_values(self.r)

    @property
    def is_auto(self) -> bool:
        """Whether impulsive machines use only the last decay value."""
        return isinstance(self.r, str)

    @property
    def decays(self) -> tuple[float, ...]:
        """Decay values of the rank-weighted means."""
        return _AUTO_R if isinstance(self.r, str) else decay_values(self.r)

    def of_clip(self, spectrogram: np.ndarray) -> np.ndarray:
        """Raw statistics of one clip, which :meth:`of_machines` turns into statistics for clustering.

        Parameters
        ----------
        spectrogram : ndarray of shape (F, T)
            Levels in dB.

        Returns
        -------
        row : ndarray of shape (d,)
            Rank-weighted means, then moments, then the mean skewness if `is_auto`.
        """
        spectrogram = spectrogram.astype(np.float64, copy=False)
        parts = [twfr(spectrogram, self.decays).ravel(), *_moments(spectrogram, self.moments)]
        return np.concatenate([*parts, [mean_skewness(spectrogram)]] if self.is_auto else parts)

    def of_machines(self, rows: np.ndarray, machines: np.ndarray) -> np.ndarray:
        """Statistics for clustering, from the raw statistics of all clips.

        Parameters
        ----------
        rows : ndarray of shape (n, d)
            Raw statistics of each clip, as :meth:`of_clip` returns them.
        machines : ndarray of shape (n,), str
            Machine of each clip.

        Returns
        -------
        statistics : ndarray of shape (n, R F + n_moments F)
            Rank-weighted means without the level of the clip, 0 for decay values that a machine does not use; then moments.
        """
        rows, skewness = (rows[:, :-1], rows[:, -1]) if self.is_auto else (rows, np.zeros(len(rows)))
        statistics = rows.copy()
        n_means = rows.shape[1] // (len(self.decays) + len(self.moments)) * len(self.decays)
        for machine in np.unique(machines):
            of_it = machines == machine
            kept = np.repeat(self._kept(skewness[of_it].mean()), n_means // len(self.decays))
            means = rows[of_it, :n_means] * kept
            statistics[of_it, :n_means] = kept * (means - means.sum(axis=1, keepdims=True) / kept.sum())
        return statistics

    def _kept(self, skewness: float) -> np.ndarray:
        """Mask (R,) of the decay values that a machine with this mean skewness uses."""
        r = np.array(self.decays)
        return r == _IMPULSIVE_R if self.is_auto and skewness > IMPULSIVE_SKEWNESS else np.ones(len(r), dtype=bool)


def mean_skewness(spectrogram: np.ndarray) -> float:
    """Skewness over time of the levels (F, T) in each band, averaged over bands; that of a constant band is 0."""
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


def _check_moments(moments: Sequence[str]) -> None:
    if not isinstance(moments, list | tuple):
        raise TypeError(
            f"moments={moments!r} is a {type(moments).__name__}; a tuple of names out of {MOMENTS} is expected."
        )
    for moment in moments:
        check_option("moments", moment, MOMENTS)
