"""Near copies: clips that differ by dither, by a tenth of a decibel, or by a cut a sample later."""

import numpy as np
from scipy.fft import rfft
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.neighbors import KDTree, NearestNeighbors

# Measured on independent clips of 80 draws of synthetic and real machines by three statistics, and on copies of clips of six
# machines with dither, noise at -40 dB, 0.1 dB of gain or a shift of one sample. The nearest distance, relative
# to that of the next clip, was 0.148 and more of independent clips, and 0.13 and less of copies; relative to the usual
# distance between two clips, it was 0.05 and more, and 0.03 and less.
_GAP = 0.15
_TYPICAL = 0.04
_MANY_CLIPS = 5000  # of more, only those with another one nearby are compared with all
_FEWEST_VALUES = 8  # of a clip; fewer may be alike by chance
_MOST_COPIES = 4  # of one clip; a tight cluster of more clips is taken for an operating state of the machine
_N_DIRECTIONS = 32  # to which values are projected, which changes distances by about a tenth
_N_BANDS = 64  # of equal width, in which the level of a waveform is measured
_FLOOR = 1e-10  # added to their power, relative to full scale: dither is below it
_CONSTANT = 1e-9  # relative spread of values that differ only by rounding


def near_copies(values: np.ndarray) -> np.ndarray:
    """Find clips that are almost equal.

    A clip and its m nearest clips are near copies if the farthest of them is much closer than the next clip, and than clips
    usually are, with m at most 4. The distance is Euclidean between values divided by their standard deviation. Fewer than
    three clips, or fewer than eight values that vary, show no near copies.

    Parameters
    ----------
    values : ndarray of shape (n_clips, n_values)
        Numbers computed from each clip of one machine.

    Returns
    -------
    number : ndarray of shape (n_clips,), int
        Near copies have equal numbers, other clips have different ones.
    """
    n_neighbors = min(_MOST_COPIES + 1, len(values) - 1)
    x = _projected(values)
    if n_neighbors < 2 or x.shape[1] < _FEWEST_VALUES:
        return np.arange(len(values))
    typical = np.sqrt(2) * np.median(np.linalg.norm(x - np.median(x, axis=0), axis=1))
    compared, distance, neighbor = _nearest(x, n_neighbors, _TYPICAL * typical)
    is_gap = (distance[:, :-1] < _GAP * distance[:, 1:]) & (distance[:, :-1] < _TYPICAL * typical)
    is_copy = np.logical_or.accumulate(is_gap[:, ::-1], axis=1)[:, ::-1]  # so are all that are closer than a copy
    row, rank = np.nonzero(is_copy)
    pairs = compared[row].astype(np.int32), neighbor[row, rank].astype(np.int32)  # as SciPy 1.11.1 needs them
    links = coo_array((np.ones(len(row), dtype=np.int8), pairs), shape=(len(x), len(x)))
    return connected_components(links, directed=False)[1]


def _nearest(x: np.ndarray, n_neighbors: int, radius: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions (m,) of clips to compare, and distances and positions (m, n_neighbors) of their nearest other clips.

    Of many clips, those with another one within the radius, which a search tree finds in n log n: all others are no copies.
    """
    index = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(x)
    if len(x) <= _MANY_CLIPS:
        return np.arange(len(x)), *index.kneighbors()
    compared = np.flatnonzero(KDTree(x).query_radius(x, radius, count_only=True) > 1)
    if not len(compared):
        return compared, np.empty((0, n_neighbors)), np.empty((0, n_neighbors), dtype=int)
    distance, neighbor = index.kneighbors(x[compared], n_neighbors + 1)
    is_other = neighbor != compared[:, None]
    is_other[is_other.all(axis=1), -1] = False
    return compared, distance[is_other].reshape(-1, n_neighbors), neighbor[is_other].reshape(-1, n_neighbors)


def _projected(values: np.ndarray) -> np.ndarray:
    """Values divided by their standard deviation, along a fixed set of random directions if there are more than those."""
    spread = values.std(axis=0, dtype=np.float64)
    varies = spread > _CONSTANT * np.abs(values).max(axis=0)
    x = (values[:, varies] - values[:, varies].mean(axis=0, dtype=np.float64)) / spread[varies]
    if x.shape[1] <= _N_DIRECTIONS:
        return x
    return x @ np.random.RandomState(0).standard_normal((x.shape[1], _N_DIRECTIONS))


def spectrum_levels(waveform: np.ndarray) -> np.ndarray:
    """Logarithm (64,) of the mean power of a waveform (n_timepoints,) in bands of equal width."""
    power = np.square(np.abs(rfft(waveform)) / len(waveform))
    return np.log([band.sum(dtype=np.float64) + _FLOOR for band in np.array_split(power, _N_BANDS)])


def feature_levels(feature: np.ndarray) -> np.ndarray:
    """Mean and standard deviation over time (2 F,) of a feature (F, T)."""
    return np.concatenate([feature.mean(axis=1, dtype=np.float64), feature.std(axis=1, dtype=np.float64)])
