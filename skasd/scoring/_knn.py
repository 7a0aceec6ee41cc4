"""KNNScorer: distance to the nearest normal clips of either domain."""

from typing import Any

import numpy as np

from skasd._parameters import check_integer, check_option
from skasd._random import local_random_state
from skasd.scoring._approximate import check_neighbors
from skasd.scoring._distance import METRICS, KnownEmbeddings, finite, scaled
from skasd.scoring._scorer import BaseScorer
from skasd.scoring._smote import check_smote, grown_target


class KNNScorer(BaseScorer):
    r"""Distance to the nearest normal clips of the source or target domain.

    Fitting only stores the embeddings of the training clips. Distances to the two domains are computed separately, so the
    few clips of a target domain count as much as the many of the source domain.

    Parameters
    ----------
    n_neighbors : int, default=1
        Number of nearest clips of a domain to average over; all clips if the domain has fewer.
    metric : {"cosine", "chord", "euclidean"}, default="cosine"
        ``"cosine"`` is :math:`1 - \cos`; ``"chord"`` is the Euclidean distance of embeddings scaled to unit length,
        :math:`\sqrt{2 (1 - \cos)}`; ``"euclidean"`` does not scale the embeddings.
    smote_ratio : float, default=0.0
        Minimum size of the target domain relative to the source domain, dimensionless. Missing clips are interpolated by
        SMOTE [1]_, which needs more than `smote_neighbors` target clips. 0 disables it.
    smote_neighbors : int, default=2
        Number of nearest neighbours from which SMOTE draws the second clip of each pair.
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

    Notes
    -----
    With :math:`e_j` the training clips of domain :math:`d` and :math:`N_d(x)` the `n_neighbors` nearest of them,

    .. math:: A(x) = \min_d \frac{1}{|N_d(x)|} \sum_{j \in N_d(x)} \mathrm{dist}(x, e_j).

    An embedding that equals that of a training clip up to rounding is treated as that clip and compared with the others.
    The published code divides chords by two, which does not change the ranking.

    References
    ----------
    .. [1] N. Chawla et al., "SMOTE: synthetic minority over-sampling technique", JAIR 2002. arXiv:1106.1813.
    .. [2] M. Douze et al., "The Faiss library", 2024. arXiv:2401.08281.

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.scoring import KNNScorer
    >>> angle = np.radians([0, 40, 90])
    >>> scorer = KNNScorer().fit(np.c_[np.cos(angle), np.sin(angle)], domain=["source", "source", "target"])
    >>> scorer.score_samples([[np.cos(np.radians(42)), np.sin(np.radians(42))]]).round(6)
    array([-0.000609])
    """

    neighbors: str = "exact"  # of pickles and model files that are older than the parameter

    def __init__(
        self,
        n_neighbors: int = 1,
        *,
        metric: str = "cosine",
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
        known, generator = scaled(embedding, self.metric), local_random_state(self.random_state)
        target = grown_target(known, is_target, self.smote_ratio, self.smote_neighbors, generator)
        made = scaled(target[np.count_nonzero(is_target) :], self.metric)
        domains = (known[~is_target], np.concatenate([known[is_target], made]))
        self._domains = [
            KnownEmbeddings(domain, self.metric, neighbors=self.neighbors) for domain in domains if len(domain)
        ]

    def _anomaly_score(self, embedding: np.ndarray) -> np.ndarray:
        x = scaled(embedding, self.metric)
        distances = [known.mean_distance(x, self.n_neighbors) for known in self._domains]
        return finite(np.min(distances, axis=0))
