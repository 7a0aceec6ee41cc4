"""StatisticalClusterer: clips of one machine type and domain that sound alike on average, as pseudo-labels."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.decomposition import PCA
from sklearn.utils.validation import check_is_fitted, validate_data

from skasd._parameters import check_integer, check_number, check_option, checked_names
from skasd._random import local_random_state
from skasd._threads import one_blas_thread
from skasd.clustering._models import METHODS, Clusters, Counts, find_clusters

_VARIANCE = 0.95
_FARTHEST = 20.0


class StatisticalClusterer(ClusterMixin, BaseEstimator):
    r"""Clusters of clips by simple statistics of their spectrograms.

    Where nobody wrote down in which state a machine ran, clips of one state still sound alike. Their clusters stand in for
    the missing labels [1]_. Statistics of each machine type are put on one scale and into few dimensions; then each domain
    is clustered for itself, so that a handful of target clips does not vanish among the source clips.

    Parameters
    ----------
    method : {"kmeans_silhouette", "agglomerative", "gmm_bic"}, default="kmeans_silhouette"
        ``"kmeans_silhouette"``, ``"agglomerative"`` (Ward): as many clusters as give the largest silhouette, at least two.
        ``"gmm_bic"``: Gaussian mixtures of full covariance, as many components as the Bayesian information criterion wants,
        which needs hundreds of clips.
    n_clusters : int or None, default=None
        Of each machine type and domain, at most one for every two clips; None looks for the number.
    max_clusters : int, default=4
        If it is looked for: of each machine type and domain, and at most one for every five clips.
    min_share : float, default=0.02
        A cluster of a smaller share of the clips of its domain, or of a single one, is merged into the nearest, in [0, 1].
    max_dimensions : int, default=16
        Principal components, at most; fewer where 0.95 of the variance is in fewer. A mixture takes at most one for every
        ten clips.
    scaling : {"common", "each"}, default="common"
        ``"common"``: one unit for all statistics of a machine type, right where they have one, such as levels in dB: a band
        in which states differ by 20 dB then counts more than one of noise. ``"each"``: a unit for each, right for statistics
        of different kinds.
    random_state : int, RandomState instance or None, default=None
        Seeds the random starts of mixtures and k-means.

    Attributes
    ----------
    labels_ : ndarray of shape (n_clips,), int64
        Cluster of each clip, counted from 0 through all machine types and domains.
    cluster_names_ : ndarray of shape (n_clusters,), str
        ``"valve | source | cluster 0"``; what is not known is left out.
    n_features_in_ : int
        Number of statistics.

    See Also
    --------
    skasd.features.TWFRTransformer : Makes the statistics of clips.

    Notes
    -----
    1. Statistics become (x - median) / MAD over the clips of a machine type, MAD the median distance from the median, of
       each statistic or the median over all; values beyond 20 are set to 20, so that one strange clip takes no component.
    2. Principal components of the clips of the machine type.
    3. Clusters of the clips of each domain.
    4. Small clusters are merged.

    The report [1]_ names neither statistics nor algorithm nor numbers; these are ours. With a unit for each statistic, the
    usual way, states that differ in a few bands only drown in the noise of all others: MAD grows with the very difference.
    The same clips in another order get the same clusters.

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
        """Find clusters.

        Parameters
        ----------
        X : array-like of shape (n_clips, n_statistics)
            Statistics of the clips.
        y : Ignored
            Not used, present by convention.
        machine_type, domain : array-like of shape (n_clips,), default=None
            Names: clips of different ones are never put together. None takes all clips as of one.

        Returns
        -------
        self : object
        """
        self._check_parameters()
        X = validate_data(self, X, dtype=np.float64)
        seed = local_random_state(self.random_state).randint(2**31 - 1)
        machines, domains = _names(X, machine_type, "machine_type"), _names(X, domain, "domain")
        self._spaces: dict[str, _Space] = {}
        self._clusters: dict[tuple[str, str], Clusters] = {}
        with one_blas_thread():
            for machine in np.unique(machines):
                self._fit_machine(str(machine), X[machines == machine], domains[machines == machine], seed)
        self._number()
        self.labels_ = self._assigned(X, machines, domains)
        return self

    def predict(self, X: Any, *, machine_type: Any = None, domain: Any = None) -> np.ndarray:
        """Cluster of each clip.

        Parameters
        ----------
        X : array-like of shape (n_clips, n_statistics)
            Statistics of the clips.
        machine_type, domain : array-like of shape (n_clips,), default=None
            As in ``fit``.

        Returns
        -------
        labels : ndarray of shape (n_clips,), int64

        Raises
        ------
        ValueError
            A clip is of a machine type and domain that had no clips in ``fit``.
        """
        check_is_fitted(self)
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
        """Count the clusters through all machine types and domains, and name them."""
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
                    f"No clips of {_spelt((machine, domain))} were given to fit, but of: {known}. Give machine_type and "
                    "domain as in fit."
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
    """Robust scale and principal components of the clips of one machine type."""

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
        """Points (n, d) of statistics (n, n_statistics)."""
        if self.pca is None:
            return np.zeros((len(X), 1))
        return self.pca.transform(self._scaled(X))[:, : self.n_dimensions]


def _spelt(group: tuple[str, str]) -> str:
    """Machine type and domain, as far as they are known."""
    return " | ".join(name for name in group if name) or "no machine type and domain"


def _names(X: np.ndarray, names: Any, parameter: str) -> np.ndarray:
    return np.full(len(X), "") if names is None else checked_names(parameter, names, len(X))
