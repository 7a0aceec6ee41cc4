"""StatisticalClusterer: pseudo-labels from clusters of clips of one machine type and domain."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.decomposition import PCA
from sklearn.utils.validation import check_is_fitted, validate_data

from skasd._atomic import restored_on_failure
from skasd._parameters import check_integer, check_number, check_option, checked_names, naming
from skasd._random import local_random_state
from skasd._threads import one_blas_thread
from skasd.clustering._models import METHODS, Clusters, Counts, find_clusters

_VARIANCE = 0.95
_FARTHEST = 20.0


class StatisticalClusterer(ClusterMixin, BaseEstimator):
    r"""Cluster clips by simple statistics of their spectrograms.

    Clips of one operating state of a machine sound alike, so clusters can replace missing labels of the state [1]_. The
    statistics of each machine type are scaled and reduced by PCA. Each domain is then clustered separately, so that the few
    target clips are not absorbed by the source clips.

    Parameters
    ----------
    method : {"kmeans_silhouette", "agglomerative", "gmm_bic"}, default="kmeans_silhouette"
        ``"kmeans_silhouette"`` and ``"agglomerative"`` (Ward) choose the number of clusters, at least two, by the largest
        silhouette score. ``"gmm_bic"`` fits Gaussian mixtures with full covariances and chooses the number of components by
        the Bayesian information criterion (BIC), which needs hundreds of clips.
    n_clusters : int or None, default=None
        Number of clusters per machine type and domain, limited to one per two clips. None chooses it automatically.
    max_clusters : int, default=4
        Largest number of clusters per machine type and domain if `n_clusters` is None, also limited to one per five clips.
    min_share : float, default=0.02
        Smallest share of the clips of a domain in a cluster, in [0, 1]. Smaller clusters and single clips are merged into
        the nearest cluster.
    max_dimensions : int, default=16
        Largest number of principal components; fewer are used if they explain 95 % of the variance. A mixture uses at most
        one per ten clips.
    scaling : {"common", "each"}, default="common"
        ``"common"`` scales all statistics of a machine type by one factor, for statistics in one unit such as levels in dB:
        a band in which states differ by 20 dB then counts more than a noisy one. ``"each"`` scales each statistic by its
        own factor, for statistics in different units.
    random_state : int, RandomState instance or None, default=None
        Seeds the initialisation of mixtures and k-means.

    Attributes
    ----------
    labels_ : ndarray of shape (n_clips,), int64
        Cluster of each clip, numbered from 0 across all machine types and domains.
    cluster_names_ : ndarray of shape (n_clusters,), str
        Names such as ``"valve | source | cluster 0"``, without machine type or domain if that was not given.
    n_features_in_ : int
        Number of statistics.

    See Also
    --------
    skasd.features.TWFRTransformer : Computes such statistics of clips.

    Notes
    -----
    1. Scale the statistics of a machine type to (x - median) / MAD, where the median absolute deviation (MAD) is that of
       each statistic or the median over all. Limit values to [-20, 20], so that no single outlier dominates a component.
    2. Compute the principal components of the clips of the machine type.
    3. Cluster the clips of each domain.
    4. Merge small clusters.

    The report [1]_ specifies neither the statistics nor the algorithm nor the numbers; these choices are ours. Scaling each
    statistic by its own MAD, as is usual, hides states that differ in a few bands only, because the MAD grows with that very
    difference. The clusters do not depend on the order of the clips.

    References
    ----------
    .. [1] J. Tian et al., "Self-supervised anomalous sound detection with statistical clustering and contrastive learning",
           DCASE 2024 technical report.

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.clustering import StatisticalClusterer
    >>> statistics = np.random.default_rng(0).standard_normal((200, 2))
    >>> statistics[100:, 0] += 10
    >>> clusterer = StatisticalClusterer(random_state=0).fit(statistics)
    >>> np.bincount(clusterer.labels_[:100]), np.bincount(clusterer.labels_[100:])
    (array([100]), array([  0, 100]))
    >>> clusterer.cluster_names_
    array(['cluster 0', 'cluster 1'], dtype='<U9')
    """

    def __init__(
        self,
        method: str = "kmeans_silhouette",
        *,
        n_clusters: int | None = None,
        max_clusters: int = 4,
        min_share: float = 0.02,
        max_dimensions: int = 16,
        scaling: str = "common",
        random_state: Any = None,
    ) -> None:
        self.method = method
        self.n_clusters = n_clusters
        self.max_clusters = max_clusters
        self.min_share = min_share
        self.max_dimensions = max_dimensions
        self.scaling = scaling
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, *, machine_type: Any = None, domain: Any = None) -> Self:
        """Find the clusters.

        Parameters
        ----------
        X : array-like of shape (n_clips, n_statistics)
            Statistics of the clips.
        y : Ignored
            Not used, present for API consistency by convention.
        machine_type, domain : array-like of shape (n_clips,), default=None
            Name for each clip; clips with different names are never in one cluster. None puts all clips into one group.

        Returns
        -------
        self : object
            The fitted clusterer.
        """
        self._check_parameters()
        with restored_on_failure(self), one_blas_thread():
            with naming("X"):
                X = validate_data(self, X, dtype=np.float64)
            seed = local_random_state(self.random_state).randint(2**31 - 1)
            machines, domains = _names(X, machine_type, "machine_type"), _names(X, domain, "domain")
            self._spaces: dict[str, _Space] = {}
            self._clusters: dict[tuple[str, str], Clusters] = {}
            for machine in np.unique(machines):
                self._fit_machine(str(machine), X[machines == machine], domains[machines == machine], seed)
            self._number()
            self.labels_ = self._assigned(X, machines, domains)
        return self

    def predict(self, X: Any, *, machine_type: Any = None, domain: Any = None) -> np.ndarray:
        """Assign each clip to a cluster.

        Parameters
        ----------
        X : array-like of shape (n_clips, n_statistics)
            Statistics of the clips.
        machine_type, domain : array-like of shape (n_clips,), default=None
            Name for each clip, as in ``fit``.

        Returns
        -------
        labels : ndarray of shape (n_clips,), int64
            Index of the cluster of each clip, see ``cluster_names_``.

        Raises
        ------
        ValueError
            If ``fit`` saw no clips of the machine type and domain of a clip.
        """
        check_is_fitted(self)
        with naming("X"):
            X = validate_data(self, X, dtype=np.float64, reset=False)
        return self._assigned(X, _names(X, machine_type, "machine_type"), _names(X, domain, "domain"))

    def _fit_machine(self, machine: str, X: np.ndarray, domains: np.ndarray, seed: int) -> None:
        space = self._spaces[machine] = _Space(X, self.max_dimensions, self.scaling)
        x = space.reduced(X)
        for domain in np.unique(domains):
            points = x[domains == domain]
            counts = Counts(self.n_clusters, self.max_clusters)
            found = find_clusters(points, self.method, counts, self.min_share, seed)
            self._clusters[machine, str(domain)] = found

    def _number(self) -> None:
        """Number the clusters across all machine types and domains, and name them."""
        self._first: dict[tuple[str, str], int] = {}
        names: list[str] = []
        for group, clusters in self._clusters.items():
            self._first[group] = len(names)
            known = [name for name in group if name]
            names += [" | ".join([*known, f"cluster {number}"]) for number in range(clusters.n_clusters)]
        self.cluster_names_ = np.array(names)

    def _assigned(self, X: np.ndarray, machines: np.ndarray, domains: np.ndarray) -> np.ndarray:
        labels = np.empty(len(X), dtype=np.int64)
        for machine, domain in {(str(machine), str(domain)) for machine, domain in zip(machines, domains, strict=True)}:
            if (machine, domain) not in self._clusters:
                known = ", ".join(map(_spelt, self._clusters))
                raise ValueError(
                    f"fit saw no clips of {_spelt((machine, domain))}, only of: {known}. Pass machine_type and domain as in "
                    "fit."
                )
            rows = (machines == machine) & (domains == domain)
            clusters = self._clusters[machine, domain]
            labels[rows] = self._first[machine, domain] + clusters.assign(self._spaces[machine].reduced(X[rows]))
        return labels

    def _check_parameters(self) -> None:
        check_option("method", self.method, METHODS)
        if self.n_clusters is not None:
            check_integer("n_clusters", self.n_clusters, low=1, other="None")
        check_integer("max_clusters", self.max_clusters, low=1)
        check_number("min_share", self.min_share, low=0, high=1)
        check_integer("max_dimensions", self.max_dimensions, low=1)
        check_option("scaling", self.scaling, ("common", "each"))


class _Space:
    """Robust scaling and principal components of the clips of one machine type."""

    def __init__(self, X: np.ndarray, max_dimensions: int, scaling: str) -> None:
        self.center = np.median(X, axis=0)
        spread = np.median(np.abs(X - self.center), axis=0)
        if scaling == "common" and spread.any():
            spread = np.full(len(spread), np.median(spread[spread > 0]))
        self.spread = np.where(spread > 0, spread, 1)
        scaled = self._scaled(X)
        scaled = scaled[np.lexsort(scaled.T[::-1])]
        self.pca = None
        if np.ptp(scaled, axis=0).any():
            self.pca = PCA(min(max_dimensions, *scaled.shape), svd_solver="full").fit(scaled)
            enough = int(np.searchsorted(np.cumsum(self.pca.explained_variance_ratio_), _VARIANCE)) + 1
            self.n_dimensions = min(enough, self.pca.n_components_)

    def _scaled(self, X: np.ndarray) -> np.ndarray:
        return ((X - self.center) / self.spread).clip(-_FARTHEST, _FARTHEST)

    def reduced(self, X: np.ndarray) -> np.ndarray:
        """Points (n, d) for statistics (n, n_statistics)."""
        if self.pca is None:
            return np.zeros((len(X), 1))
        return self.pca.transform(self._scaled(X))[:, : self.n_dimensions]


def _spelt(group: tuple[str, str]) -> str:
    """Machine type and domain as text, without unknown parts."""
    return " | ".join(name for name in group if name) or "an unknown machine type and domain"


def _names(X: np.ndarray, names: Any, parameter: str) -> np.ndarray:
    return np.full(len(X), "") if names is None else checked_names(parameter, names, len(X))
