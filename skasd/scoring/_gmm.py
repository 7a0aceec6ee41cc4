"""GMMScorer: negative log-density of embeddings under a Gaussian mixture of normal clips."""

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from skasd._parameters import check_integer, check_number, check_option
from skasd._random import local_random_state
from skasd.scoring._scorer import BaseScorer
from skasd.scoring._smote import check_smote, grown_target

_COVARIANCES = ("full", "tied", "diag", "spherical")
_DENSITIES = ("mixture", "component")


class GMMScorer(BaseScorer):
    r"""Negative log-density under a Gaussian mixture fitted to normal clips, in nats.

    Parameters
    ----------
    n_components : int, default=1
        Number of Gaussians, limited to the number of training clips. Published back ends use 16 for about 1000 clips.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        Shape of the covariances, as in :class:`~sklearn.mixture.GaussianMixture`.
    reg_covar : float, default=1e-3
        Regularisation added to the variances, in squared units of the embeddings.
    density : {"mixture", "component"}, default="mixture"
        ``"mixture"`` uses the density of the whole mixture. ``"component"`` uses the largest component density without its
        weight [1]_, as published code of STgram-MFN does too, so that a rare operating state counts as normal as a frequent
        one. scikit-learn's own mixture has only the former.
    smote_ratio : float, default=0.0
        Minimum size of the target domain relative to the source domain, as in :class:`KNNScorer`.
    smote_neighbors : int, default=2
        Number of neighbours for SMOTE, as in :class:`KNNScorer`.
    contamination : float or "auto", default="auto"
        Share of training clips flagged as anomalies, in (0, 0.5]; ``"auto"`` is 0.1.
    random_state : int, RandomState instance or None, default=None
        Seeds the initialisation of the mixture and SMOTE.

    Attributes
    ----------
    mixture_ : GaussianMixture
        Mixture fitted to the clips of both domains.
    offset_ : float
        Threshold of the decision: ``decision_function = score_samples - offset_``.
    n_features_in_ : int
        Dimension of the embeddings.

    Notes
    -----
    .. math:: A(x) = -\log \sum_k w_k N(x \mid \mu_k, \Sigma_k) \quad\text{or}\quad
              A(x) = -\max_k \log N(x \mid \mu_k, \Sigma_k).

    References
    ----------
    .. [1] J. Guan et al., "Time-weighted frequency domain audio representation with GMM estimator for anomalous sound
           detection", ICASSP 2023. arXiv:2305.03328.

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.scoring import GMMScorer
    >>> embedding = np.random.default_rng(0).standard_normal((500, 2))
    >>> GMMScorer(random_state=0).fit(embedding).score_samples([[0, 0], [0, 4]]).round(1)
    array([ -1.8, -10.4])
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        reg_covar: float = 1e-3,
        density: str = "mixture",
        smote_ratio: float = 0.0,
        smote_neighbors: int = 2,
        contamination: float | str = "auto",
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        self.density = density
        self.smote_ratio = smote_ratio
        self.smote_neighbors = smote_neighbors
        self.contamination = contamination
        self.random_state = random_state

    def _fit(self, embedding: np.ndarray, is_target: np.ndarray) -> None:
        self._check_parameters()
        generator = local_random_state(self.random_state)
        target = grown_target(embedding, is_target, self.smote_ratio, self.smote_neighbors, generator)
        x = np.concatenate([embedding, target[np.count_nonzero(is_target) :]])
        if len(x) == 1:
            x = np.repeat(x, 2, axis=0)  # the mixture needs at least two
        mixture = GaussianMixture(
            min(self.n_components, len(x)),
            covariance_type=self.covariance_type,
            reg_covar=self.reg_covar,
            random_state=generator,
        )
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "Number of distinct clusters", ConvergenceWarning
            )  # fewer than components
            self.mixture_ = mixture.fit(x)

    def _anomaly_score(self, embedding: np.ndarray) -> np.ndarray:
        if self.density == "mixture":
            return -self.mixture_.score_samples(embedding)
        weighted = self.mixture_._estimate_weighted_log_prob(embedding)  # (n_clips, n_components)
        return -(weighted - np.log(self.mixture_.weights_)).max(axis=1)

    def _check_parameters(self) -> None:
        check_integer("n_components", self.n_components, low=1)
        check_option("covariance_type", self.covariance_type, _COVARIANCES)
        check_number("reg_covar", self.reg_covar, low=0)
        check_option("density", self.density, _DENSITIES)
        check_smote(self.smote_ratio, self.smote_neighbors)
