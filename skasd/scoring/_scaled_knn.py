"""ScaledKNNScorer: nearest normal clips in a scaled space, relative to the density around them.

Symbols: n clips, d dimensions.
"""

import numpy as np

from skasd._parameters import check_integer, check_option
from skasd.scoring._approximate import check_neighbors
from skasd.scoring._scaled_neighbors import ScaledNeighbors
from skasd.scoring._scorer import BaseScorer

SCALINGS = ("whiten", "standardize")


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
    neighbors : {"exact", "approximate"}, default="exact"
        ``"exact"`` compares each clip with every training clip, so that the time of a fit grows with the square of their
        number. ``"approximate"`` compares it with those of 64 cells of about :math:`\sqrt{n} / 2` clips [2]_: for more than
        100 000. It misses a few neighbours, and needs ``pip install "skasd[approximate]"``.
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
    .. [2] M. Douze et al., "The Faiss library", 2024. arXiv:2401.08281.

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.scoring import ScaledKNNScorer
    >>> hertz_and_decibel = np.random.default_rng(0).normal([1000, 40], [100, 1], size=(50, 2))
    >>> scorer = ScaledKNNScorer().fit(hertz_and_decibel)
    >>> scorer.predict([[1100, 40], [1000, 48]])
    array([ 1, -1])
    """

    neighbors: str = "exact"  # of pickles and model files that are older than the parameter

    def __init__(
        self,
        scaling: str = "whiten",
        *,
        n_neighbors: int = 2,
        n_density_neighbors: int = 8,
        n_subbands: int = 1,
        neighbors: str = "exact",
        contamination: float | str = "auto",
    ) -> None:
        self.scaling = scaling
        self.n_neighbors = n_neighbors
        self.n_density_neighbors = n_density_neighbors
        self.n_subbands = n_subbands
        self.neighbors = neighbors
        self.contamination = contamination

    def _fit(self, embedding: np.ndarray, is_target: np.ndarray) -> None:
        check_option("scaling", self.scaling, SCALINGS)
        for name in ("n_neighbors", "n_density_neighbors", "n_subbands"):
            check_integer(name, getattr(self, name), low=1)
        check_neighbors(self.neighbors)
        n_features = embedding.shape[1]
        if self.n_subbands > n_features:
            raise ValueError(
                f"n_subbands={self.n_subbands} exceeds n_features = {n_features}; each needs one at least."
            )
        self._groups = np.array_split(np.arange(n_features), self.n_subbands)
        self._spaces = [
            ScaledNeighbors.of(
                embedding[:, group],
                self.scaling,
                n_neighbors=self.n_neighbors,
                n_density=self.n_density_neighbors,
                neighbors=self.neighbors,
            )
            for group in self._groups
        ]

    def _anomaly_score(self, embedding: np.ndarray) -> np.ndarray:
        scores = [space.score(embedding[:, group]) for space, group in zip(self._spaces, self._groups, strict=True)]
        return np.mean(scores, axis=0)
