"""ScaledKNNScorer: nearest normal clips in a scaled space, relative to the density around them.

Symbols: n clips, d dimensions.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh
from sklearn.covariance import ledoit_wolf_shrinkage

from skasd._parameters import check_integer, check_option
from skasd.scoring._distance import are_same, is_near_copy, without_near_copies
from skasd.scoring._scorer import BaseScorer

SCALINGS = ("whiten", "standardize")
_LEAST_DENSITY_SHARE = 0.1  # of the median, as in LocalDensityScorer
_LEAST_VARIANCE = 1e-10  # relative to the mean variance, or to the square of the mean of a feature
_SMALLEST = 1e-12
_DISTANCES_AT_A_TIME = 2**23  # 64 MiB


class ScaledKNNScorer(BaseScorer):
    r"""Mean distance to the nearest normal clips in a scaled space, relative to the density around each of them.

    For statistics of sound, whose values have units and different spreads, unlike embeddings of a network. Domains are not
    distinguished: the division by the local density lets the few clips of a sparse domain count like the others.

    Parameters
    ----------
    scaling : {"whiten", "standardize"}, default="whiten"
        ``"standardize"`` divides each feature by its standard deviation over the training clips; ``"whiten"`` then also
        removes the correlations, by a covariance that is shrunk towards a multiple of the identity [1]_, so that there may
        be fewer clips than features.
    n_neighbors : int, default=2
        Number of nearest training clips to average over, at most all but one.
    n_density_neighbors : int, default=8
        Number of neighbours used for the density around a training clip; all others if there are fewer.
    n_subbands : int, default=1
        Number of groups of neighbouring features. Each has its own space, and their scores are averaged.
    contamination : float or "auto", default="auto"
        Share of training clips flagged as anomalies, in (0, 0.5]; ``"auto"`` is 0.1.

    Attributes
    ----------
    offset_ : float
        Threshold of the decision: ``decision_function = score_samples - offset_``.
    n_features_in_ : int
        Number of features.

    See Also
    --------
    LocalDensityScorer : For embeddings of networks, whose directions matter rather than their lengths.
    skasd.features.StatisticsTransformer : Computes statistics of sound.

    Notes
    -----
    With :math:`N(x)` the `n_neighbors` training clips nearest to :math:`x` in the scaled space, and :math:`c_j` the mean
    distance of training clip :math:`j` to its own `n_density_neighbors` nearest neighbours,

    .. math:: A(x) = \frac{1}{|N(x)|} \sum_{j \in N(x)} \frac{\lVert x - x_j \rVert}{c_j}.

    A clip that equals a training clip up to rounding is compared with the others; near copies among the training clips
    count once as neighbours, but each in the scaling; :math:`c_j` is at least a tenth of its median, as in
    :class:`LocalDensityScorer`. A feature that is constant over the training clips keeps its unit. With fewer clips than
    features the covariance is shrunk by at least the reciprocal of the square of the number of clips.

    References
    ----------
    .. [1] O. Ledoit, M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", Journal of
           Multivariate Analysis 88, 2004, Eq. (14).

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.scoring import ScaledKNNScorer
    >>> hertz_and_decibel = np.random.default_rng(0).normal([1000, 40], [100, 1], size=(50, 2))
    >>> scorer = ScaledKNNScorer().fit(hertz_and_decibel)
    >>> scorer.predict([[1100, 40], [1000, 48]])
    array([ 1, -1])
    """

    def __init__(
        self,
        scaling: str = "whiten",
        *,
        n_neighbors: int = 2,
        n_density_neighbors: int = 8,
        n_subbands: int = 1,
        contamination: float | str = "auto",
    ) -> None:
        self.scaling = scaling
        self.n_neighbors = n_neighbors
        self.n_density_neighbors = n_density_neighbors
        self.n_subbands = n_subbands
        self.contamination = contamination

    def _fit(self, embedding: np.ndarray, is_target: np.ndarray) -> None:
        check_option("scaling", self.scaling, SCALINGS)
        for name in ("n_neighbors", "n_density_neighbors", "n_subbands"):
            check_integer(name, getattr(self, name), low=1)
        n_features = embedding.shape[1]
        if self.n_subbands > n_features:
            raise ValueError(
                f"n_subbands={self.n_subbands} exceeds n_features = {n_features}; each needs one at least."
            )
        self._groups = np.array_split(np.arange(n_features), self.n_subbands)
        self._spaces = [
            ScaledNeighbors.of(
                embedding[:, group], self.scaling, n_neighbors=self.n_neighbors, n_density=self.n_density_neighbors
            )
            for group in self._groups
        ]

    def _anomaly_score(self, embedding: np.ndarray) -> np.ndarray:
        scores = [space.score(embedding[:, group]) for space, group in zip(self._spaces, self._groups, strict=True)]
        return np.mean(scores, axis=0)


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
        is_constant = scale <= np.sqrt(_LEAST_VARIANCE) * np.abs(location)
        scale = np.where(is_constant | (scale == 0), 1.0, scale)
        rotation = _whitening((X - location) / scale) if scaling == "whiten" else None
        return cls(location, scale, rotation)

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Scale clips (n, d)."""
        standardized = (X - self.location) / self.scale
        return standardized if self.rotation is None else standardized @ self.rotation


def _whitening(Z: np.ndarray) -> np.ndarray:
    """Symmetric square root (d, d) of the inverse Ledoit-Wolf covariance of centred features Z (n, d).

    With fewer clips than features, the eigenvectors are those of the smaller matrix of inner products of clips, and all
    other directions have the variance that shrinkage gives them.
    """
    n, d = Z.shape
    mean = float(np.square(Z).sum()) / (n * d)
    if mean == 0:
        return np.eye(d)
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
    """

    scaling: Scaling
    known: np.ndarray
    lengths: np.ndarray
    density: np.ndarray
    n_neighbors: int

    @classmethod
    def of(cls, X: np.ndarray, scaling: str, *, n_neighbors: int = 2, n_density: int = 8) -> "ScaledNeighbors":
        """Learn from normal clips (n, d)."""
        scaled = Scaling.of(X, scaling)
        known = scaled(X)
        nearest, _ = _nearest_others(known, n_density)
        if is_near_copy(nearest[:, :1], known).any():
            known = without_near_copies(known)
            nearest, _ = _nearest_others(known, n_density)
        density = nearest.mean(axis=1) if len(known) > 1 else np.ones(1)
        density = np.maximum(density, _LEAST_DENSITY_SHARE * np.median(density)) + _SMALLEST
        return cls(scaled, known, np.square(known).sum(axis=1), density, n_neighbors)

    def score(self, X: np.ndarray) -> np.ndarray:
        """Anomaly score (n,) of clips (n, d)."""
        x, n_known = self.scaling(X), len(self.known)
        found, which = _nearest(x, self.known, self.lengths, self.n_neighbors + 1)
        relative = found / self.density[which]
        if n_known == 1:
            return relative[:, 0]
        skipped = are_same(found[:, 0], x, "euclidean").astype(int)  # the clip itself is no neighbour
        taken = skipped[:, None] + np.arange(min(self.n_neighbors, n_known - 1))
        return np.take_along_axis(relative, taken, axis=1).mean(axis=1)


def _nearest_others(known: np.ndarray, n_neighbors: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances (n, k) of each of n clips to its nearest others, ascending, and their positions."""
    found, which = _nearest(known, known, np.square(known).sum(axis=1), n_neighbors + 1, leave_out=True)
    return found[:, :-1], which[:, :-1]


def _nearest(
    x: np.ndarray, known: np.ndarray, lengths: np.ndarray, n_neighbors: int, *, leave_out: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Distances (n, k) to the nearest known clips, ascending, and their positions; k is at most the number of known clips.

    Distances follow from inner products, a block of clips at a time. With `leave_out`, x are the known clips, and each is
    last among its own neighbours.
    """
    step = max(1, _DISTANCES_AT_A_TIME // len(known))
    parts = []
    for start in range(0, len(x), step):
        block = x[start : start + step]
        squared = np.square(block).sum(axis=1)[:, None] + lengths - 2 * block @ known.T
        if leave_out:
            squared[np.arange(len(block)), np.arange(start, start + len(block))] = np.inf
        parts.append(_smallest(squared, min(n_neighbors, len(known))))
    squared, which = parts[0] if len(parts) == 1 else (np.concatenate(part) for part in zip(*parts, strict=True))
    return np.sqrt(np.maximum(squared, 0)), which


def _smallest(values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k smallest values (n, k) of each row, ascending, and their positions."""
    rows = np.arange(len(values))[:, None]
    which = np.argpartition(values, k - 1, axis=1)[:, :k]
    which = which[rows, np.argsort(values[rows, which], axis=1, kind="stable")]
    return values[rows, which], which
