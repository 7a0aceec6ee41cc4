"""LocalDensityScorer: distance to the nearest normal clips, normalised by the distances of their own neighbours."""

from functools import partial
from typing import Any

import numpy as np
from sklearn.metrics import pairwise_distances_chunked

from skasd._parameters import check_integer, check_option
from skasd._random import local_random_state
from skasd.scoring._approximate import DensityLayers, check_neighbors
from skasd.scoring._distance import METRICS, KnownEmbeddings, are_same, distance, finite, scaled, without_near_copies
from skasd.scoring._scorer import BaseScorer
from skasd.scoring._smote import check_smote, grown_target

_MEBIBYTES = 64  # memory for one chunk of distances
_SMALLEST_SPREAD = 1e-12
_LAYER, _NEAREST_OF_LAYER = (
    1.25,
    16,
)  # ratio of spreads in a layer of an approximate search, and what is compared of each
_LEAST_DENSITY_SHARE = 0.1  # of the median; far below what separates the domains of a machine


class LocalDensityScorer(BaseScorer):
    r"""Distance to the nearest normal clip, relative to the density around that clip.

    A clip of a sparse domain, such as a target domain with few clips, is far from all others without being anomalous. This
    scorer divides the distance to each training clip by the mean distance of that clip to its own neighbours [1]_.

    Parameters
    ----------
    n_neighbors : int, default=4
        Number of neighbours, of either domain, used for the density around a training clip; all if there are fewer.
    metric : {"chord", "cosine", "euclidean"}, default="chord"
        ``"chord"`` is the Euclidean distance of embeddings scaled to unit length, as published; ``"cosine"`` is
        :math:`1 - \cos`; ``"euclidean"`` does not scale the embeddings.
    smote_ratio : float, default=0.0
        Minimum size of the target domain relative to the source domain, as in :class:`KNNScorer`.
    smote_neighbors : int, default=2
        Number of neighbours for SMOTE, as in :class:`KNNScorer`.
    neighbors : {"exact", "approximate"}, default="exact"
        ``"exact"`` compares each clip with every training clip, so that the time of a fit grows with the square of their
        number. ``"approximate"`` compares it with those of 64 cells of about :math:`\sqrt{n} / 2` clips [2]_: for more than
        100 000. It misses a few neighbours, and needs ``pip install "skasd[approximate]"``.
    contamination : float or "auto", default="auto"
        Share of training clips flagged as anomalies, in (0, 0.5]; ``"auto"`` is 0.1.
    random_state : int, RandomState instance or None, default=None
        Seeds SMOTE.

    Attributes
    ----------
    offset_ : float
        Threshold of the decision: ``decision_function = score_samples - offset_``.
    n_features_in_ : int
        Dimension of the embeddings.

    See Also
    --------
    KNNScorer : Distance without density normalisation, computed separately for each domain.

    Notes
    -----
    With :math:`c_j` the mean distance of training clip :math:`j` to its `n_neighbors` nearest neighbours,

    .. math:: A(x) = \min_j \frac{\mathrm{dist}(x, e_j)}{c_j}.

    An embedding that equals that of a training clip up to rounding is treated as that clip and compared with the others.
    Departures from the published code, so that no :math:`c_j` is next to zero: training clips that are copies of each other
    but for dither or rounding (closer than 0.001 of the root mean square distance to the mean) count as one, and
    :math:`c_j` is at least a tenth of its median over the training clips (a hundredth with ``metric="cosine"``, whose
    distance is a square).

    References
    ----------
    .. [1] K. Wilkinghoff et al., "Local density-based anomaly score normalization for domain generalization", 2025.
           arXiv:2509.10951.
    .. [2] M. Douze et al., "The Faiss library", 2024. arXiv:2401.08281.

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.scoring import LocalDensityScorer
    >>> angle = np.radians([0, 2, 4, 6, 8, 60, 9, 50])
    >>> embedding = np.c_[np.cos(angle), np.sin(angle)]
    >>> LocalDensityScorer().fit(embedding[:6]).score_samples(embedding[6:]).round(4)
    array([-0.2001, -0.1888])
    """

    neighbors: str = "exact"  # of pickles and model files that are older than the parameter
    _layers: DensityLayers | None = None

    def __init__(
        self,
        n_neighbors: int = 4,
        *,
        metric: str = "chord",
        smote_ratio: float = 0.0,
        smote_neighbors: int = 2,
        neighbors: str = "exact",
        contamination: float | str = "auto",
        random_state: Any = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.smote_ratio = smote_ratio
        self.smote_neighbors = smote_neighbors
        self.neighbors = neighbors
        self.contamination = contamination
        self.random_state = random_state

    def _fit(self, embedding: np.ndarray, is_target: np.ndarray) -> None:
        check_integer("n_neighbors", self.n_neighbors, low=1)
        check_option("metric", self.metric, METRICS)
        check_smote(self.smote_ratio, self.smote_neighbors)
        check_neighbors(self.neighbors)
        x, generator = scaled(embedding, self.metric), local_random_state(self.random_state)
        target = grown_target(x, is_target, self.smote_ratio, self.smote_neighbors, generator)
        made = scaled(target[np.count_nonzero(is_target) :], self.metric)
        self._known = without_near_copies(np.unique(np.concatenate([x, made]), axis=0), self.neighbors)
        self._spread = self._mean_to_others()
        step = _LAYER**2 if self.metric == "cosine" else _LAYER
        self._layers = DensityLayers(self._known, self._spread, step) if self.neighbors == "approximate" else None

    def _mean_to_others(self) -> np.ndarray:
        """Mean distance (n_known,) of each known clip to its nearest neighbours."""
        n_neighbors = min(self.n_neighbors, len(self._known) - 1)
        if n_neighbors == 0:
            return np.ones(1)
        spread = KnownEmbeddings(self._known, self.metric, neighbors=self.neighbors).spread(n_neighbors)
        share = _LEAST_DENSITY_SHARE**2 if self.metric == "cosine" else _LEAST_DENSITY_SHARE
        return np.maximum(spread, share * np.median(spread)) + _SMALLEST_SPREAD

    def _anomaly_score(self, embedding: np.ndarray) -> np.ndarray:
        x = scaled(embedding, self.metric)
        if self._layers is not None:
            found, which = self._layers.kneighbors(x, _NEAREST_OF_LAYER)
            return finite(self._smallest(x, found, self._spread[which]))
        nearest = partial(self._nearest_of, x)
        parts = pairwise_distances_chunked(x, self._known, reduce_func=nearest, working_memory=_MEBIBYTES)
        return finite(np.concatenate(list(parts)))

    def _nearest_of(self, x: np.ndarray, euclidean: np.ndarray, start: int) -> np.ndarray:
        """Smallest relative distance (n_part,) in a chunk (n_part, n_known) of the distance matrix."""
        return self._smallest(x[start : start + len(euclidean)], euclidean, self._spread)

    def _smallest(self, x: np.ndarray, euclidean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """Smallest relative distance (n,) of embeddings x, given distances (n, n_found) and the spread of what is found."""
        relative = distance(euclidean, self.metric) / spread
        nearest = euclidean.argmin(axis=1)
        is_same = are_same(euclidean.min(axis=1), x, self.metric)
        relative[is_same, nearest[is_same]] = np.inf
        return relative.min(axis=1)
