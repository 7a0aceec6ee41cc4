"""Clustering methods that also choose the number of clusters.

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
_CLIPS_PER_DIMENSION = 10  # with fewer clips a full covariance overfits
_CLIPS_PER_CLUSTER = 5  # if the number of clusters is chosen automatically
_CLIPS_PER_GIVEN_CLUSTER = 2


@dataclass(frozen=True)
class Counts:
    """Allowed numbers of clusters.

    Parameters
    ----------
    given : int or None
        Fixed number of clusters, limited to one per two points; None chooses the number automatically.
    most : int
        Largest number to choose from, limited to one per five points.
    """

    given: int | None
    most: int

    def among(self, x: np.ndarray) -> range:
        """Candidate numbers of clusters for points (n, d)."""
        share = _CLIPS_PER_CLUSTER if self.given is None else _CLIPS_PER_GIVEN_CLUSTER
        wanted = self.most if self.given is None else self.given
        possible = min(wanted, max(1, len(x) // share), len(np.unique(x, axis=0)))
        return range(1 if self.given is None else possible, possible + 1)


class ByMixture:
    """Assigns points to the most probable component of a Gaussian mixture over their first dimensions."""

    def __init__(self, mixture: GaussianMixture) -> None:
        self.mixture, self.centers = mixture, mixture.means_

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.mixture.predict(x[:, : self.mixture.n_features_in_])


class ByCenter:
    """Assigns points to the nearest of the centres (K, d)."""

    def __init__(self, centers: np.ndarray) -> None:
        self.centers = centers

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return pairwise_distances_argmin(x, self.centers)


@dataclass(frozen=True)
class Clusters:
    """Clusters found among a set of points.

    Parameters
    ----------
    model : ByMixture or ByCenter
        Assigns points to mixture components or centres.
    cluster_of_part : ndarray of int64
        Cluster of each component or centre, counted from 0; small ones are merged into others.
    """

    model: ByMixture | ByCenter
    cluster_of_part: np.ndarray

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return int(self.cluster_of_part.max()) + 1

    def assign(self, x: np.ndarray) -> np.ndarray:
        """Cluster (n,) of each point (n, d)."""
        return self.cluster_of_part[self.model(x)]


def find_clusters(x: np.ndarray, method: str, counts: Counts, min_share: float, seed: int) -> Clusters:
    """Find clusters of points; the result does not depend on the order of the points.

    Parameters
    ----------
    x : ndarray of shape (n, d)
        Points, with dimensions sorted by decreasing variance.
    method : {"gmm_bic", "kmeans_silhouette", "agglomerative"}
        Clustering method and criterion for the number of clusters.
    counts : Counts
        Allowed numbers of clusters.
    min_share : float
        Smallest share of points in a cluster, in [0, 1]; smaller clusters and single points are merged into the nearest.
    seed : int
        Seed of the random initialisations.

    Returns
    -------
    clusters : Clusters
        Model that assigns points to the clusters.
    """
    x = x[np.lexsort(x.T[::-1])]
    possible = counts.among(x)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ConvergenceWarning
        )  # concerns single initialisations, of which the best is used
        model = _METHODS[method](x, possible, seed) if possible[-1] > 1 else _one(x)
    return Clusters(model, _merged(model.centers, model(x), max(2.0, min_share * len(x))))


def _one(x: np.ndarray) -> ByCenter:
    return ByCenter(x.mean(axis=0, keepdims=True))


def _gmm_bic(x: np.ndarray, counts: range, seed: int) -> ByMixture:
    """Gaussian mixture with full covariances and the number of components with the lowest BIC."""
    x = x[:, : max(1, len(x) // _CLIPS_PER_DIMENSION)]
    mixtures = [GaussianMixture(k, reg_covar=1e-3, n_init=_N_INIT, random_state=seed).fit(x) for k in counts]
    return ByMixture(min(mixtures, key=lambda mixture: mixture.bic(x)))


def _kmeans_silhouette(x: np.ndarray, counts: range, seed: int) -> ByCenter:
    return _best_silhouette(x, [KMeans(k, n_init=10, random_state=seed).fit_predict(x) for k in counts if k > 1])


def _agglomerative(x: np.ndarray, counts: range, _: int) -> ByCenter:
    """Ward clustering, which is deterministic."""
    return _best_silhouette(x, [AgglomerativeClustering(k).fit_predict(x) for k in counts if k > 1])


_METHODS: dict[str, Callable[[np.ndarray, range, int], ByMixture | ByCenter]] = {
    "gmm_bic": _gmm_bic,
    "kmeans_silhouette": _kmeans_silhouette,
    "agglomerative": _agglomerative,
}
METHODS = tuple(_METHODS)


def _best_silhouette(x: np.ndarray, candidates: list[np.ndarray]) -> ByCenter:
    """Centres of the partition with the largest silhouette score."""
    usable = [found for found in candidates if 1 < len(np.unique(found)) < len(x)]
    if not usable:
        return _one(x)
    best = usable[0] if len(usable) == 1 else max(usable, key=lambda found: silhouette_score(x, found))
    return ByCenter(np.array([x[best == cluster].mean(axis=0) for cluster in np.unique(best)]))


def _merged(centers: np.ndarray, part: np.ndarray, smallest: float) -> np.ndarray:
    """Cluster (K,) of each part: its own if it has at least `smallest` points, else that of the nearest such part."""
    counts = np.bincount(part, minlength=len(centers))
    kept = np.flatnonzero(counts >= min(smallest, counts.max()))
    return pairwise_distances_argmin(centers, centers[kept])
