"""Nearest normal clips in a scaled space, relative to the density around them.

Symbols: n clips, d dimensions.
"""

from dataclasses import dataclass

import numpy as np

from skasd._row_products import row_products
from skasd.scoring._approximate import ApproximateNeighbors
from skasd.scoring._distance import are_same, is_near_copy, without_near_copies

_LEAST_DENSITY_SHARE = 0.1  # of the median, as in LocalDensityScorer
_LEAST_VARIANCE = 1e-10  # relative to the mean variance, or to the square of the mean of a feature
_SMALLEST = 1e-12
_DISTANCES_AT_A_TIME = 2**23  # 64 MiB
_FEW = 16  # neighbours that are faster found one after the other


@dataclass(frozen=True)
class Scaling:
    """A linear map to a space in which all directions have the same spread over normal clips.

    Parameters
    ----------
    location, scale : ndarray of shape (d,)
        Mean and standard deviation of each feature.
    rotation : ndarray of shape (d, d) or None
        What removes the correlations of standardised features; None keeps them.
    """

    location: np.ndarray
    scale: np.ndarray
    rotation: np.ndarray | None

    @classmethod
    def of(cls, X: np.ndarray, scaling: str) -> "Scaling":
        """Scaling learnt from normal clips (n, d)."""
        location, scale = X.mean(axis=0), X.std(axis=0)
        is_constant = (scale <= np.sqrt(_LEAST_VARIANCE) * np.abs(location)) | (scale == 0)
        scale = np.where(is_constant, 1.0, scale)
        varying = np.where(is_constant, 0.0, (X - location) / scale)  # not the rounding of what is constant
        rotation = _whitening(varying) if scaling == "whiten" else None
        return cls(location, scale, rotation)

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Scale clips (n, d)."""
        standardized = (X - self.location) / self.scale
        return standardized if self.rotation is None else row_products(standardized, self.rotation)


def _whitening(Z: np.ndarray) -> np.ndarray:
    """Symmetric square root (d, d) of the inverse Ledoit-Wolf covariance of centred features Z (n, d).

    With fewer clips than features, the eigenvectors are those of the smaller matrix of inner products of clips, and all
    other directions have the variance that shrinkage gives them.
    """
    n, d = Z.shape
    mean = float(np.square(Z).sum()) / (n * d)
    if mean == 0:
        return np.eye(d)
    from scipy.linalg import eigh
    from sklearn.covariance import ledoit_wolf_shrinkage

    shrinkage = float(ledoit_wolf_shrinkage(Z, assume_centered=True))
    if n < d:
        # of two clips it would be 0, and all other directions without any variance
        shrinkage = max(shrinkage, 1 / n**2)
        variances, clips = eigh(Z @ Z.T / n)
        is_used = variances > _LEAST_VARIANCE * variances[-1]
        variances = variances[is_used]
        vectors = Z.T @ clips[:, is_used] / np.sqrt(n * variances)
    else:
        variances, vectors = eigh(Z.T @ Z / n)
    least = _LEAST_VARIANCE * mean
    variances = np.maximum((1 - shrinkage) * np.maximum(variances, 0) + shrinkage * mean, least)
    others = 1 / np.sqrt(max(shrinkage * mean, least)) if n < d else 0.0
    return others * np.eye(d) + (vectors * (1 / np.sqrt(variances) - others)) @ vectors.T


@dataclass(frozen=True)
class ScaledNeighbors:
    """Training clips in a scaled space.

    Parameters
    ----------
    scaling : Scaling
        Map to that space.
    known : ndarray of shape (n_known, d)
        Scaled training clips.
    lengths : ndarray of shape (n_known,)
        Their squared lengths.
    density : ndarray of shape (n_known,)
        Mean distance of each training clip to its neighbours.
    n_neighbors : int
        Number of nearest clips to average over.
    index : ApproximateNeighbors or None, default=None
        What finds the nearest clips; None compares all.
    """

    scaling: Scaling
    known: np.ndarray
    lengths: np.ndarray
    density: np.ndarray
    n_neighbors: int
    index: ApproximateNeighbors | None = None

    @classmethod
    def of(
        cls, X: np.ndarray, scaling: str, *, n_neighbors: int = 2, n_density: int = 8, neighbors: str = "exact"
    ) -> "ScaledNeighbors":
        """Learn from normal clips (n, d)."""
        scaled = Scaling.of(X, scaling)
        known, index = scaled(X), None
        if neighbors == "approximate":
            known = without_near_copies(known, neighbors)
            index = ApproximateNeighbors(known)
            nearest, _ = index.kneighbors(n_neighbors=min(n_density, len(known) - 1))
        else:
            nearest = _to_nearest_others(known, n_density)
            if is_near_copy(nearest[:, :1], known).any():
                known = without_near_copies(known)
                nearest = _to_nearest_others(known, n_density)
        density = nearest.mean(axis=1) if len(known) > 1 else np.ones(1)
        density = np.maximum(density, _LEAST_DENSITY_SHARE * np.median(density)) + _SMALLEST
        return cls(scaled, known, np.square(known).sum(axis=1), density, n_neighbors, index)

    def score(self, X: np.ndarray) -> np.ndarray:
        """Anomaly score (n,) of clips (n, d)."""
        x, n_known = self.scaling(X), len(self.known)
        if self.index is None:
            found, which = _nearest(x, self.known, self.lengths, self.n_neighbors + 1)
        else:
            found, which = self.index.kneighbors(x, min(self.n_neighbors + 1, n_known))
        relative = found / self.density[which]
        if n_known == 1:
            return relative[:, 0]
        skipped = are_same(found[:, 0], x, "euclidean").astype(int)  # the clip itself is no neighbour
        taken = skipped[:, None] + np.arange(min(self.n_neighbors, n_known - 1))
        return np.take_along_axis(relative, taken, axis=1).mean(axis=1)


def _to_nearest_others(known: np.ndarray, n_neighbors: int) -> np.ndarray:
    """Distances (n, k) of each of n clips to its nearest others, ascending; k is at most the number of others."""
    n_neighbors = min(n_neighbors, len(known) - 1)
    if n_neighbors == 0:
        return np.empty((len(known), 0))
    from sklearn.neighbors import NearestNeighbors

    found, _ = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(known).kneighbors()
    return found


def _nearest(x: np.ndarray, known: np.ndarray, lengths: np.ndarray, n_neighbors: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances (n, k) to the nearest known clips, ascending, and their positions; k is at most the number of known clips.

    Distances follow from inner products, a block of clips at a time; those of a clip do not depend on the others.
    """
    step = max(1, _DISTANCES_AT_A_TIME // len(known))
    parts = []
    for start in range(0, len(x), step):
        block = x[start : start + step]
        squared = np.square(block).sum(axis=1)[:, None] + lengths
        squared -= row_products(2 * block, known.T)
        parts.append(_smallest(squared, min(n_neighbors, len(known))))
    squared, which = parts[0] if len(parts) == 1 else (np.concatenate(part) for part in zip(*parts, strict=True))
    return np.sqrt(np.maximum(squared, 0)), which


def _smallest(values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k smallest values (n, k) of each row, ascending, and their positions; what is found may be overwritten."""
    if k > _FEW:
        which = np.argpartition(values, k - 1, axis=1)[:, :k]
        found = np.take_along_axis(values, which, axis=1)
        order = np.argsort(found, axis=1, kind="stable")
        return np.take_along_axis(found, order, axis=1), np.take_along_axis(which, order, axis=1)
    rows, which = np.arange(len(values)), np.empty((len(values), k), dtype=np.intp)
    found = np.empty((len(values), k))
    for rank in range(k):
        which[:, rank] = values.argmin(axis=1)
        found[:, rank] = values[rows, which[:, rank]]
        values[rows, which[:, rank]] = np.inf
    return found, which
