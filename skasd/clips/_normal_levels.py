"""NormalLevels: how loud normal clips of a machine are in each band, from their quietest moments to their loudest.

Axes: F bands, T frames, K ranks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from skasd.clips._arrays import as_float

# Ranks as shares of the frames, from the quietest to the loudest; dense where a click of a few frames is found.
_SHARES = (
    *(0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85),
    *(0.9, 0.925, 0.95, 0.965, 0.98, 0.99, 0.995, 1.0),
)


_FEWEST = 3  # clips of a domain that is told apart


@dataclass(frozen=True)
class NormalLevels:
    """Levels of the bands of normal clips by rank over time: mean and standard deviation over clips.

    A frame of another clip is compared with normal frames of the same rank in their band, the loudest with the loudest, so
    that the clicks of a machine that clicks are nothing unusual, whenever they come. Clips of two domains are kept apart,
    and a clip is compared with the domain that it is closer to.

    Parameters
    ----------
    level, spread : ndarray of shape (n_domains, F, K), float32
        Mean level and its standard deviation over clips, in the unit of the spectrograms.
    n_clips : int
        Number of normal clips.

    Examples
    --------
    >>> normal = NormalLevels.of([np.array([[0.0, 20.0, 0.0]]), np.array([[22.0, 0.0, 0.0]])])
    >>> level, spread = normal.at(np.array([[0.0, 0.5, 30.0]]))
    >>> level
    array([[ 0.,  0., 21.]])
    >>> spread
    array([[0., 0., 1.]])
    """

    level: np.ndarray
    spread: np.ndarray
    n_clips: int

    @classmethod
    def of(cls, spectrograms: Iterable[np.ndarray], domains: Sequence[str] | None = None) -> Self:
        """Levels of normal clips.

        Parameters
        ----------
        spectrograms : iterable of ndarray of shape (F, T)
            Spectrograms of at least one clip, of any lengths.
        domains : sequence of str or None, default=None
            Domain of each clip. Domains of fewer than three clips are not told apart from the others.
        """
        ranked = np.array([ranked_levels(spectrogram) for spectrogram in spectrograms])
        domain = np.full(len(ranked), "") if domains is None else np.asarray(domains).astype(str)
        names, counts = np.unique(domain, return_counts=True)
        groups = [ranked[domain == name] for name in names] if counts.min() >= _FEWEST else [ranked]
        level, spread = (np.array([of(group, axis=0) for group in groups]) for of in (np.mean, np.std))
        return cls(level.astype(np.float32), spread.astype(np.float32), len(ranked))

    @property
    def n_bands(self) -> int:
        """Number of bands F."""
        return self.level.shape[1]

    def at(self, spectrogram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Level and spread (F, T) that normal clips have at the ranks of the frames of a clip (F, T)."""
        order = np.argsort(spectrogram, axis=1, kind="stable")
        ascending = np.take_along_axis(spectrogram, order, axis=1)
        between = _between(np.asarray(_SHARES), shares(spectrogram.shape[1]))
        level, spread = self.level.astype(np.float64) @ between, self.spread.astype(np.float64) @ between
        nearest = int(np.argmin([_distance(ascending - one) for one in level]))
        placed = np.empty((2, *spectrogram.shape))
        for values, by_rank in zip(placed, (level[nearest], spread[nearest]), strict=True):
            np.put_along_axis(values, order, by_rank, axis=1)
        return placed[0], placed[1]


def loudness_offset(deviation: np.ndarray) -> float:
    """Median over bands of the mean deviation (F, T) of a clip, which a fault in few of the bands hardly changes."""
    return float(np.median(deviation.mean(axis=1)))


def _distance(deviation: np.ndarray) -> float:
    """Mean distance of a clip from normal levels that are as loud on the whole, by the deviation (F, T) from them."""
    return float(np.abs(deviation - loudness_offset(deviation)).mean())


def ranked_levels(spectrogram: np.ndarray) -> np.ndarray:
    """Level (F, K) of a clip (F, T) at each rank, interpolated between its frames."""
    ascending = np.sort(as_float(spectrogram).astype(np.float64), axis=1)
    return ascending @ _between(shares(spectrogram.shape[1]), np.asarray(_SHARES))


def shares(n_frames: int) -> np.ndarray:
    """Ranks (T,) of frames in ascending order as shares: 0 is the quietest, 1 the loudest; a single frame is in between."""
    return np.linspace(0.0, 1.0, n_frames) if n_frames > 1 else np.array([0.5])


def _between(known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Weights (n_known, n_wanted) of linear interpolation between ascending places."""
    if len(known) == 1:
        return np.ones((1, len(wanted)))
    above = np.clip(np.searchsorted(known, wanted), 1, len(known) - 1)
    share = (wanted - known[above - 1]) / (known[above] - known[above - 1])
    weights = np.zeros((len(known), len(wanted)))
    column = np.arange(len(wanted))
    weights[above - 1, column], weights[above, column] = 1 - share, share
    return weights
