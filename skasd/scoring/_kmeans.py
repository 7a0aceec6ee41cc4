"""KMeansScorer: distance to the nearest k-means centre of the source domain or clip of the target domain."""

import warnings
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from skasd._parameters import check_integer
from skasd._random import local_random_state
from skasd.scoring._distance import KnownEmbeddings, finite, scaled
from skasd.scoring._scorer import BaseScorer

_CLIPS_PER_CENTER = 5


class KMeansScorer(BaseScorer):
    r"""Cosine distance to the nearest k-means centre of the source domain or clip of the target domain.

    The source domain with its hundreds of clips is summarised by a few centres; the handful of clips of the target domain
    are all kept [1]_.

    Parameters
    ----------
    n_clusters : int, default=16
        Number of centres of the source domain, limited to one per five source clips.
    contamination : float or "auto", default="auto"
        Share of training clips flagged as anomalies, in (0, 0.5]; ``"auto"`` is 0.1.
    random_state : int, RandomState instance or None, default=None
        Seeds the clustering.

    Attributes
    ----------
    centers_ : ndarray of shape (n_centers, embedding_dim)
        Centres followed by the clips of the target domain, all of unit length.
    offset_ : float
        Threshold of the decision: ``decision_function = score_samples - offset_``.
    n_features_in_ : int
        Dimension of the embeddings.

    Notes
    -----
    .. math:: A(x) = \min\left(\min_k 1 - x \cdot \mu_k,\ \min_{j \in \mathrm{target}} 1 - x \cdot e_j\right)

    with all embeddings and the centres :math:`\mu_k` scaled to unit length. An embedding that equals that of a training clip
    of the target domain up to rounding is treated as that clip and compared with the others.

    Departures from published code: some does not normalise the centres; being shorter than one, they make all source clips
    look anomalous. k-means is started ten times and the best result is kept, where published code leaves the number of
    starts to scikit-learn, which since version 1.4 is one; and it has the same number of centres for any number of clips.

    References
    ----------
    .. [1] K. Wilkinghoff, "Self-supervised learning for anomalous sound detection", ICASSP 2024. arXiv:2312.09578.

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.scoring import KMeansScorer
    >>> angle = np.radians([0, 90] * 5 + [30, 40])
    >>> embedding = np.c_[np.cos(angle), np.sin(angle)]
    >>> scorer = KMeansScorer(2, random_state=0).fit(embedding[:11], domain=["source"] * 10 + ["target"])
    >>> scorer.score_samples(embedding[11:]).round(6)
    array([-0.015192])
    """

    def __init__(self, n_clusters: int = 16, *, contamination: float | str = "auto", random_state: Any = None) -> None:
        self.n_clusters = n_clusters
        self.contamination = contamination
        self.random_state = random_state

    def _fit(self, embedding: np.ndarray, is_target: np.ndarray) -> None:
        check_integer("n_clusters", self.n_clusters, low=1)
        x = scaled(embedding, "cosine")
        centers = self._centers_of(x[~is_target])
        self.centers_ = np.concatenate([centers, x[is_target]])
        kinds = (centers, False), (x[is_target], True)
        self._known = [KnownEmbeddings(some, "cosine", are_clips=clips) for some, clips in kinds if len(some)]

    def _centers_of(self, source: np.ndarray) -> np.ndarray:
        if not len(source):
            return source
        kmeans = KMeans(
            min(self.n_clusters, max(1, len(source) // _CLIPS_PER_CENTER)),
            n_init=10,
            random_state=local_random_state(self.random_state),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct clips than clusters
            return scaled(kmeans.fit(source).cluster_centers_, "cosine")

    def _anomaly_score(self, embedding: np.ndarray) -> np.ndarray:
        x = scaled(embedding, "cosine")
        return finite(np.min([known.mean_distance(x, 1) for known in self._known], axis=0))
