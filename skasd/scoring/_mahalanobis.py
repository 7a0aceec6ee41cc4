"""MahalanobisScorer: Mahalanobis distance to the mean of the nearer domain."""

import numpy as np
from sklearn.covariance import ledoit_wolf

from skasd._parameters import check_number, check_option
from skasd._row_products import row_products
from skasd.scoring._scorer import BaseScorer

_SMALLEST_VARIANCE = 1e-12


class MahalanobisScorer(BaseScorer):
    r"""Squared Mahalanobis distance to the mean of the source or target domain, whichever is smaller.

    Parameters
    ----------
    shrinkage : float or "auto", default="auto"
        Weight of the isotropic part of the shrunk covariance, in [0, 1]; ``"auto"`` uses the Ledoit-Wolf estimate [2]_,
        which is larger for fewer clips.
    contamination : float or "auto", default="auto"
        Share of training clips flagged as anomalies, in (0, 0.5]; ``"auto"`` is 0.1.

    Attributes
    ----------
    location_ : dict of str to ndarray of shape (embedding_dim,)
        Mean of each domain.
    precision_ : dict of str to ndarray of shape (embedding_dim, embedding_dim)
        Inverse covariance of each domain.
    offset_ : float
        Threshold of the decision: ``decision_function = score_samples - offset_``.
    n_features_in_ : int
        Dimension of the embeddings.

    Notes
    -----
    With :math:`S_d` the covariance of the :math:`n` clips of a domain, :math:`D` the dimension of the embeddings and
    :math:`\lambda` the shrinkage,

    .. math:: \Sigma_d = (1 - \lambda) S_d + \lambda \frac{\mathrm{tr}\, S_d}{D} I,\quad
              A(x) = \min_d\, (x - \mu_d)^T \Sigma_d^{-1} (x - \mu_d).

    Treating the domains separately follows the challenge's baseline of 2023 [1]_, which uses no shrinkage. A domain with a
    single clip uses the covariance of the other domain. If there is only one clip in total, the distance is Euclidean.

    References
    ----------
    .. [1] N. Harada et al., "First-shot anomaly sound detection for machine condition monitoring: a domain generalization
           baseline", EUSIPCO 2023. arXiv:2303.00455.
    .. [2] O. Ledoit, M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", J. Multivariate
           Analysis 88, 2004.

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.scoring import MahalanobisScorer
    >>> embedding = np.random.default_rng(0).standard_normal((500, 2))
    >>> MahalanobisScorer().fit(embedding).score_samples([[0, 0], [0, 4]]).round(1)
    array([ -0. , -16.9])
    """

    def __init__(self, *, shrinkage: float | str = "auto", contamination: float | str = "auto") -> None:
        self.shrinkage = shrinkage
        self.contamination = contamination

    def _fit(self, embedding: np.ndarray, is_target: np.ndarray) -> None:
        if isinstance(self.shrinkage, str):
            check_option("shrinkage", self.shrinkage, ("auto",))
        else:
            check_number("shrinkage", self.shrinkage, low=0, high=1)
        domains = {"source": embedding[~is_target], "target": embedding[is_target]}
        domains = {name: domain for name, domain in domains.items() if len(domain)}
        self.location_ = {name: domain.mean(axis=0) for name, domain in domains.items()}
        largest = max(domains, key=lambda name: len(domains[name]))
        self.precision_ = {
            name: self._precision(domain if len(domain) > 1 else domains[largest]) for name, domain in domains.items()
        }

    def _precision(self, domain: np.ndarray) -> np.ndarray:
        if len(domain) == 1:
            return np.eye(domain.shape[1])
        centred = domain - domain.mean(axis=0)
        if isinstance(self.shrinkage, str):
            covariance, _ = ledoit_wolf(centred, assume_centered=True)
        else:
            covariance = centred.T @ centred / len(centred)
            sphere = np.trace(covariance) / len(covariance) * np.eye(len(covariance))
            covariance = (1 - self.shrinkage) * covariance + self.shrinkage * sphere
        return np.linalg.pinv(covariance + _SMALLEST_VARIANCE * np.eye(len(covariance)), hermitian=True)

    def _anomaly_score(self, embedding: np.ndarray) -> np.ndarray:
        return np.min([self._squared_distance(embedding, name) for name in self.location_], axis=0)

    def _squared_distance(self, embedding: np.ndarray, name: str) -> np.ndarray:
        centred = embedding - self.location_[name]
        return (row_products(centred, self.precision_[name]) * centred).sum(axis=1)
