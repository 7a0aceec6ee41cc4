"""Ways to find clusters among points, and how many there are.

Axes: n points, d dimensions, K clusters.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import pairwise_distances_argmin, silhouette_score
from sklearn.mixture import GaussianMixture

_N_INIT = 5
_CLIPS_PER_DIMENSION = 10  # below, a full covariance follows the single clips
_CLIPS_PER_CLUSTER = 5  # where the number of clusters is looked for
_CLIPS_PER_GIVEN_CLUSTER = 2


@dataclass(frozen=True)
class Counts:
    """How many clusters there may be.

    Attributes
    ----------
    given : int or None
        So many, and at most one for every two points; None looks for the number.
    most : int
        Then at most so many, and at most one for every five points.
    """

    given: int | None
    most: int

    def among(self, x: np.ndarray) -> range:
        """Numbers of clusters that points (n, d) may have."""
        share = _CLIPS_PER_CLUSTER if self.given is None else _CLIPS_PER_GIVEN_CLUSTER
        wanted = self.most if self.given is None else self.given
        possible = min(wanted, max(1, len(x) // share), len(np.unique(x, axis=0)))
        return range(1 if self.given is None else possible, possible + 1)


class ByMixture:
    """The component of a Gaussian mixture that a point is most probably of; on the first dimensions of the points."""

    def __init__(self, mixture: GaussianMixture) -> None:
        self.mixture, self.centers = mixture, mixture.means_

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.mixture.predict(x[:, : self.mixture.n_features_in_])


class ByCenter:
    """The nearest of some centres (K, d)."""

    def __init__(self, centers: np.ndarray) -> None:
        self.centers = centers

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return pairwise_distances_argmin(x, self.centers)


@dataclass(frozen=True)
class Clusters:
    """Clusters found among some points.

    Attributes
    ----------
    model : ByMixture or ByCenter
        Which of its parts a point is of.
    cluster_of_part : ndarray of int64
        Cluster that a part was made into, counted from 0.
    """

    model: ByMixture | ByCenter
    cluster_of_part: np.ndarray

    @property
    def n_clusters(self) -> int:
        """How many there are."""
        return int(self.cluster_of_part.max()) + 1

    def assign(self, x: np.ndarray) -> np.ndarray:
        """Cluster (n,) of each point (n, d)."""
        return self.cluster_of_part[self.model(x)]


def find_clusters(x: np.ndarray, method: str, counts: Counts, min_share: float, seed: int) -> Clusters:
    """Clusters of points, the same in whatever order the points are.

    Parameters
    ----------
    x : ndarray of shape (n, d)
        Points, the dimensions in the order of their variance.
    method : {"gmm_bic", "kmeans_silhouette", "agglomerative"}
        How they are found and counted.
    counts : Counts
        How many there may be.
    min_share : float
        A cluster of a smaller share of the points, or of a single one, is merged into the nearest.
    seed : int
        Of the random starts.
    """
    x = x[np.lexsort(x.T[::-1])]
    possible = counts.among(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # one of several starts; the best counts
        model = _METHODS[method](x, possible, seed) if possible[-1] > 1 else _one(x)
    return Clusters(model, _merged(model.centers, model(x), max(2.0, min_share * len(x))))


def _one(x: np.ndarray) -> ByCenter:
    return ByCenter(x.mean(axis=0, keepdims=True))


def _gmm_bic(x: np.ndarray, counts: range, seed: int) -> ByMixture:
    """Full covariances; as many components as the Bayesian information criterion wants."""
    x = x[:, : max(1, len(x) // _CLIPS_PER_DIMENSION)]
    mixtures = [GaussianMixture(k, reg_covar=1e-3, n_init=_N_INIT, random_state=seed).fit(x) for k in counts]
    return ByMixture(min(mixtures, key=lambda mixture: mixture.bic(x)))


def _kmeans_silhouette(x: np.ndarray, counts: range, seed: int) -> ByCenter:
    return _best_silhouette(x, [KMeans(k, n_init=10, random_state=seed).fit_predict(x) for k in counts if k > 1])


def _agglomerative(x: np.ndarray, counts: range, _: int) -> ByCenter:
    """Ward's method; nothing in it is random."""
    return _best_silhouette(x, [AgglomerativeClustering(k).fit_predict(x) for k in counts if k > 1])


_METHODS: dict[str, Callable[[np.ndarray, range, int], ByMixture | ByCenter]] = {
    "gmm_bic": _gmm_bic,
    "kmeans_silhouette": _kmeans_silhouette,
    "agglomerative": _agglomerative,
}
METHODS = tuple(_METHODS)


def _best_silhouette(x: np.ndarray, candidates: list[np.ndarray]) -> ByCenter:
    """Centres of the partition whose clusters are farthest apart for their size."""
    usable = [found for found in candidates if 1 < len(np.unique(found)) < len(x)]
    if not usable:
        return _one(x)
    best = usable[0] if len(usable) == 1 else max(usable, key=lambda found: silhouette_score(x, found))
    return ByCenter(np.array([x[best == cluster].mean(axis=0) for cluster in np.unique(best)]))


def _merged(centers: np.ndarray, part: np.ndarray, smallest: float) -> np.ndarray:
    """Cluster of each part (K,): its own if enough points (n,) are of it, else that of the nearest that has enough."""
    counts = np.bincount(part, minlength=len(centers))
    kept = np.flatnonzero(counts >= min(smallest, counts.max()))
    return pairwise_distances_argmin(centers, centers[kept])
