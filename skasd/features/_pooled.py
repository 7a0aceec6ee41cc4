"""Statistics of a spectrogram over time, by name: loud and quiet levels of each band, and how they change.

Axes: F bands, T frames.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.fft import next_fast_len, rfft, rfftfreq

from skasd._rank_pooling import rank_weighted
from skasd.inputs._frontend import DECIBEL

# Edges in cycles per frame, so that they also apply to features of an unknown hop. At the 31.25 frames per second of the
# default front end they are 0.4, 2, 6 and 16 Hz, and 0.4, 1, 2, 4, 8 and 16 Hz.
LEVEL_RATES = (1 / 80, 1 / 16, 3 / 16, np.inf)
POWER_RATES = (1 / 80, 1 / 32, 1 / 16, 1 / 8, 1 / 4, np.inf)
FLOOR = 0.01  # added before a logarithm: changes this small are rounding and dither, not sound
N_GROUPS = 16  # of neighbouring bands, in "dynamics" and "modulation"
N_SPREADS = 8  # of neighbouring bands, in "spread"
_BANDS_AT_A_TIME = 32  # so that what is computed of them stays in the cache
LEAST_POWER = 1e-30  # relative to the loudest; silence has no level


@dataclass(frozen=True)
class Pooling:
    """Named statistics of spectrograms.

    Parameters
    ----------
    names : tuple of str
        Names as in :class:`skasd.features.StatisticsTransformer`.
    log_unit : float, default=ln(10) / 10
        Natural logarithm of the power ratio of one unit of the spectrogram.
    """

    names: tuple[str, ...]
    log_unit: float = DECIBEL

    def __call__(self, spectrogram: np.ndarray) -> dict[str, np.ndarray]:
        """Compute the statistics of one clip.

        Parameters
        ----------
        spectrogram : ndarray of shape (F, T)
            Levels.

        Returns
        -------
        statistics : dict of str to ndarray of shape (d,)
            Each statistic, in the dtype of `spectrogram`.
        """
        clip = _Clip(spectrogram, float(self.log_unit))
        ranked = _by_rank(clip, [name for name in self.names if name not in _OTHER])
        return {name: ranked[name] if name in ranked else _OTHER[name](clip) for name in self.names}

    def size(self, name: str, n_bands: int) -> int:
        """Number of values of a statistic of `n_bands` bands."""
        groups = min(N_GROUPS, n_bands)
        sizes = {
            "dynamics": groups * len(LEVEL_RATES),
            "modulation": groups * (len(POWER_RATES) - 1),
            "level": 1,
            "spread": min(N_SPREADS, n_bands),
        }
        return sizes.get(name, n_bands)


@dataclass(frozen=True)
class _Clip:
    """A spectrogram (F, T), and what several statistics need of it."""

    spectrogram: np.ndarray
    log_unit: float

    @cached_property
    def ascending(self) -> np.ndarray:
        """Levels (F, T), sorted in each band."""
        return np.sort(self.spectrogram, axis=1)

    @cached_property
    def loudest(self) -> np.ndarray:
        """Largest level (F,) of each band."""
        return self.spectrogram.max(axis=1)

    @cached_property
    def relative_power(self) -> np.ndarray:
        """Power (F, T) relative to that of the loudest frame of the band, which cannot overflow."""
        power = self.spectrogram - self.loudest[:, None]
        power *= self.log_unit
        return np.exp(power, out=power)

    @cached_property
    def peak_power(self) -> np.ndarray:
        """Power (F,) of the loudest frame of each band, relative to the loudest of all."""
        return np.exp(self.log_unit * (self.loudest - self.loudest.max()))


def statistic_names(names: Any, parameter: str = "statistics") -> tuple[str, ...]:
    """Names of statistics as a tuple, each of them checked.

    Parameters
    ----------
    names : sequence of str
        Names.
    parameter : str, default="statistics"
        Name of the parameter, for messages.
    """
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise TypeError(f"{parameter}={names!r} is a {type(names).__name__}; a sequence of names is expected.")
    if not names:
        raise ValueError(f"{parameter} is empty; give one or more names of statistics, such as ('r0.95', 'q0.25').")
    for name in names:
        _check_name(name, parameter)
    if len(set(names)) < len(names):
        raise ValueError(f"{parameter}={tuple(names)!r} contains a statistic twice.")
    return tuple(names)


def _check_name(name: Any, parameter: str) -> None:
    known = (
        "expected are 'r' or 'q' with a number from 0 to 1 without needless digits, such as 'r1', 'r0.95' (rank-weighted "
        "mean) or 'q0.25' (quantile), "
        f"{', '.join(map(repr, _OTHER))}"
    )
    if not isinstance(name, str):
        raise TypeError(f"{parameter} contains {name!r}, a {type(name).__name__}; {known}.")
    if name in _OTHER:
        return
    if not re.fullmatch(r"[rq](0|1|0\.\d*[1-9])", name, re.ASCII):
        raise ValueError(f"{parameter} contains {name!r}; {known}.")


def _value(name: str) -> float:
    return float(name[1:])


def _by_rank(clip: _Clip, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Rank-weighted means and quantiles (F,) over time, by name."""
    decays = [name for name in names if name[0] == "r"]
    pooled = (
        dict(zip(decays, rank_weighted(clip.ascending, [_value(name) for name in decays]), strict=True))
        if decays
        else {}
    )
    return pooled | {name: _quantile(clip.ascending, _value(name)) for name in names if name[0] == "q"}


def _quantile(ascending: np.ndarray, share: float) -> np.ndarray:
    """Quantile (F,) of sorted values (F, T), with linear interpolation."""
    place = share * (ascending.shape[1] - 1)
    below = int(place)
    above = min(below + 1, ascending.shape[1] - 1)
    return ascending[:, below] + (place - below) * (ascending[:, above] - ascending[:, below])


def _dynamics(clip: _Clip) -> np.ndarray:
    """Logarithms of how much the mean level of a group of bands changes: from frame to frame, and at three rates."""
    levels = _group_means(clip.spectrogram)
    steps = np.diff(levels, axis=1).std(axis=1) if levels.shape[1] > 1 else np.zeros_like(levels[:, 0])
    changes = _amplitudes(levels, LEVEL_RATES)
    return np.log(np.concatenate([steps, changes.T.ravel()]) + FLOOR)


def _modulation(clip: _Clip) -> np.ndarray:
    """Logarithms of how much the power of bands changes at five rates, relative to its mean; means over groups of bands."""
    changes = _amplitudes(clip.relative_power, POWER_RATES, relative=True)
    return np.log(_group_means(changes).T.ravel() + FLOOR)


def _level(clip: _Clip) -> np.ndarray:
    """Level of the whole clip, (1,), in the unit of the spectrogram: that of the mean power over time of all bands."""
    power = clip.peak_power @ clip.relative_power.mean(axis=1, keepdims=True)
    return clip.loudest.max() + np.log(power) / clip.log_unit


def _spread(clip: _Clip) -> np.ndarray:
    """Difference of the 98 % and the 25 % quantile over time of the level of eight groups of neighbouring bands, (8,)."""
    starts, sizes = groups_of_bands(len(clip.loudest), N_SPREADS)
    weights = np.zeros((len(starts), len(clip.loudest)), clip.spectrogram.dtype)
    for row, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        weights[row, start : start + size] = clip.peak_power[start : start + size]
    power = np.sort(weights @ clip.relative_power, axis=1)
    quiet, loud = (_quantile(power, share) + LEAST_POWER for share in (0.25, 0.98))
    return np.log(loud / quiet) / clip.log_unit


_OTHER: dict[str, Callable[[_Clip], np.ndarray]] = {
    "dynamics": _dynamics,
    "modulation": _modulation,
    "level": _level,
    "spread": _spread,
}


def _group_means(values: np.ndarray) -> np.ndarray:
    """Mean of values (F, n) over each of sixteen groups of neighbouring bands, (n_groups, n)."""
    starts, sizes = groups_of_bands(len(values), N_GROUPS)
    return np.add.reduceat(values, starts, axis=0) / sizes[:, None].astype(values.dtype)


@lru_cache(maxsize=64)
def groups_of_bands(n_bands: int, n_groups: int) -> tuple[np.ndarray, np.ndarray]:
    """First band and number of bands of each group; there are no more groups than bands."""
    groups = np.array_split(np.arange(n_bands), min(n_groups, n_bands))
    return np.array([group[0] for group in groups]), np.array([len(group) for group in groups])


def _amplitudes(signals: np.ndarray, rates: tuple[float, ...], *, relative: bool = False) -> np.ndarray:
    """Root mean square amplitude of signals (n, T) around their means between consecutive rates, (n, n_rates - 1).

    Scaled so that white noise of unit variance has amplitude 1 at all rates, for any number of frames. With `relative`,
    amplitudes are divided by the mean of the signal.
    """
    n_frames = signals.shape[1]
    n_fft = next_fast_len(n_frames, real=True)  # zeros are appended: 313 frames of ten seconds are a prime number
    averages = _averages(n_fft, rates).astype(signals.dtype)
    mean = signals.mean(axis=1, keepdims=True)
    amplitudes = np.empty((len(signals), len(rates) - 1), signals.dtype)
    for start in range(0, len(signals), _BANDS_AT_A_TIME):
        block = slice(start, start + _BANDS_AT_A_TIME)
        spectrum = rfft(signals[block] - mean[block], n_fft, axis=1)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        amplitudes[block] = np.sqrt(power @ averages / n_frames)
    return amplitudes / mean if relative else amplitudes


@lru_cache(maxsize=64)
def _averages(n_fft: int, rates: tuple[float, ...]) -> np.ndarray:
    """Weights (n_frequencies, n_rates - 1) that average a spectrum between consecutive rates.

    If a clip is so short that no frequency lies between two rates, the nearest one above 0 is used; one frame has none.
    """
    frequencies = rfftfreq(n_fft)
    weights = np.zeros((len(frequencies), len(rates) - 1))
    for column, (low, high) in enumerate(pairwise(rates)):
        chosen = np.flatnonzero((frequencies >= low) & (frequencies < high))
        if not len(chosen) and n_fft > 1:
            chosen = 1 + np.abs(frequencies[1:] - low).argmin(keepdims=True)
        weights[chosen, column] = 1 / max(len(chosen), 1)
    return weights
