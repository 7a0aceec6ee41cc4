"""LocalDensityScorer: the distance to a normal clip, in units of how far that clip's own neighbours are."""

from functools import partial
from typing import Any

import numpy as np
from sklearn.metrics import pairwise_distances_chunked

from skasd._parameters import check_integer, check_option
from skasd._random import local_random_state
from skasd.scoring._distance import METRICS, KnownEmbeddings, are_same, distance, finite, scaled
from skasd.scoring._scorer import BaseScorer
from skasd.scoring._smote import check_smote, grown_target

_MEBIBYTES = 64  # of distances at a time
_SMALLEST_SPREAD = 1e-12


class LocalDensityScorer(BaseScorer):
    r"""Distance to the nearest normal clip, relative to the density around that clip.

    A clip of a sparse domain, such as a target domain of a few clips, is far from all others without being anomalous. Here
    the distance to each training clip is divided by the mean distance of that clip to its own neighbours [1]_.

    Parameters
    ----------
    n_neighbors : int, default=4
        Others, of whatever domain, over which the density around a training clip is averaged; all if there are fewer.
    metric : {"chord", "cosine", "euclidean"}, default="chord"
        ``"chord"`` is the length of the difference of embeddings scaled to unit length, as published; ``"cosine"`` is
        :math:`1 - \cos`; ``"euclidean"`` scales nothing.
    smote_ratio : float, default=0.0
        How many clips the target domain has at least, as in :class:`KNNScorer`.
    smote_neighbors : int, default=2
        As in :class:`KNNScorer`.
    contamination : float or "auto", default="auto"
        Share of training clips below the threshold, in (0, 0.5]; ``"auto"`` is one in ten.
    random_state : int, RandomState instance or None, default=None
        Seeds the clips that are made.

    Attributes
    ----------
    offset_ : float
        Threshold: ``decision_function = score_samples - offset_``.
    n_features_in_ : int
        Length of the embeddings.

    See Also
    --------
    KNNScorer : Without the density; domains apart.

    Notes
    -----
    With :math:`c_j` the mean distance of training clip :math:`j` to its `n_neighbors` nearest others,

    .. math:: A(x) = \min_j \frac{\mathrm{dist}(x, e_j)}{c_j}.

    An embedding that is that of a training clip, but for rounding, is taken for that clip, and compared with the others.
    Departure from the published code: equal training clips count as one, so that no :math:`c_j` is zero.

    References
    ----------
    .. [1] K. Wilkinghoff et al., "Local density-based anomaly score normalization for domain generalization", 2025.
           arXiv:2509.10951.

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.scoring import LocalDensityScorer
    >>> angle = np.radians([0, 2, 4, 6, 8, 60, 9, 50])
    >>> embedding = np.c_[np.cos(angle), np.sin(angle)]
    >>> LocalDensityScorer().fit(embedding[:6]).score_samples(embedding[6:]).round(4)
    array([-0.2001, -0.1888])
    """

    def __init__(
        self,
        n_neighbors: int = 4,
        *,
        metric: str = "chord",
        smote_ratio: float = 0.0,
        smote_neighbors: int = 2,
        contamination: float | str = "auto",
        random_state: Any = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.smote_ratio = smote_ratio
        self.smote_neighbors = smote_neighbors
        self.contamination = contamination
        self.random_state = random_state

    def _fit(self, embedding: np.ndarray, is_target: np.ndarray) -> None:
        check_integer("n_neighbors", self.n_neighbors, low=1)
        check_option("metric", self.metric, METRICS)
        check_smote(self.smote_ratio, self.smote_neighbors)
        x, generator = scaled(embedding, self.metric), local_random_state(self.random_state)
        target = grown_target(x, is_target, self.smote_ratio, self.smote_neighbors, generator)
        made = scaled(target[np.count_nonzero(is_target) :], self.metric)
        self._known = np.unique(np.concatenate([x, made]), axis=0)
        self._spread = self._mean_to_others()

    def _mean_to_others(self) -> np.ndarray:
        """Mean distance (n_known,) of each known clip to its nearest others."""
        n_neighbors = min(self.n_neighbors, len(self._known) - 1)
        if n_neighbors == 0:
            return np.ones(1)
        return KnownEmbeddings(self._known, self.metric).spread(n_neighbors) + _SMALLEST_SPREAD

    def _anomaly_score(self, embedding: np.ndarray) -> np.ndarray:
        x = scaled(embedding, self.metric)
        nearest = partial(self._nearest_of, x)
        parts = pairwise_distances_chunked(x, self._known, reduce_func=nearest, working_memory=_MEBIBYTES)
        return finite(np.concatenate(list(parts)))

    def _nearest_of(self, x: np.ndarray, euclidean: np.ndarray, start: int) -> np.ndarray:
        """Smallest relative distance (n_part,) of a part (n_part, n_known) of all distances."""
        relative = distance(euclidean, self.metric) / self._spread
        nearest = euclidean.argmin(axis=1)
        is_same = are_same(euclidean.min(axis=1), x[start : start + len(nearest)], self.metric)
        relative[is_same, nearest[is_same]] = np.inf
        return relative.min(axis=1)
