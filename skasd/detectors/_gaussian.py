"""Gaussian mixtures with the scores that detectors need: of the nearest component, and of held-out clips.

Symbols: n clips, d dimensions, K components.
"""

import warnings
from typing import Any

import numpy as np
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import KFold

_N_FOLDS = 5


def fit_mixture(
    X: np.ndarray, *, n_components: int, reg_covar: float, random_state: np.random.RandomState
) -> GaussianMixture:
    """Fit a full-covariance Gaussian mixture, with `reg_covar` added to the variances, to X of shape (n, d)."""
    mixture = GaussianMixture(
        n_components,
        reg_covar=reg_covar,
        tol=1e-3,
        max_iter=200,
        init_params="kmeans" if n_components > 1 else "random",  # one component needs no initialisation
        random_state=random_state,
    )
    return mixture.fit(X)


def component_score(mixture: GaussianMixture, X: np.ndarray) -> np.ndarray:
    r"""Negative log density of the nearest component: :math:`-\max_k \ln N(x \mid \mu_k, \Sigma_k)`, of shape (n,).

    The weights of the components are ignored, so this is not the likelihood of the mixture.
    """
    log_densities = [
        np.log(np.diag(root)).sum() - 0.5 * np.square((X - mean) @ root).sum(axis=1)
        for mean, root in zip(mixture.means_, mixture.precisions_cholesky_, strict=True)
    ]
    return 0.5 * X.shape[1] * np.log(2 * np.pi) - np.max(log_densities, axis=0)


def mixture_score(mixture: GaussianMixture, X: np.ndarray) -> np.ndarray:
    """Negative log-likelihood of the mixture, of shape (n,)."""
    return -mixture.score_samples(X)


SCORES = {"component": component_score, "log_likelihood": mixture_score}


def held_out_scores(
    X: np.ndarray, score: str, *, n_components: int, reg_covar: float, random_state: np.random.RandomState
) -> np.ndarray:
    """Score of each clip under a mixture fitted to other clips, of shape (n,).

    With one component, one clip at a time is left out, in closed form; with several, this is cross-validation with at most
    five folds.
    """
    if n_components == 1:
        return left_out_score(X, reg_covar)
    settings: dict[str, Any] = {"n_components": n_components, "reg_covar": reg_covar, "random_state": random_state}
    n_folds = min(_N_FOLDS, len(X) // n_components)
    if n_folds < 2:
        warnings.warn(
            f"{len(X)} clips are too few to hold out any with {n_components} components, so the threshold with "
            "contamination='auto' is based on scores of training clips and gives too many false alarms; give more clips or "
            "use fewer components.",
            stacklevel=2,
        )
        return SCORES[score](fit_mixture(X, **settings), X)
    scores = np.empty(len(X))
    for rest, fold in KFold(n_folds, shuffle=True, random_state=random_state).split(X):
        scores[fold] = SCORES[score](fit_mixture(X[rest], **settings), X[fold])
    return scores


def left_out_score(X: np.ndarray, reg_covar: float) -> np.ndarray:
    r"""Negative log density of each clip under the Gaussian of all other clips, of shape (n,).

    Without clip :math:`i`, which lies at :math:`\delta` from the mean of all clips, the mean changes by
    :math:`-\delta / (n - 1)` and the covariance is

    .. math:: \Sigma_{-i} = A - c\, \delta \delta^\top, \qquad
              A = \tfrac{n}{n-1} \Sigma + \epsilon I, \quad c = \tfrac{n}{(n-1)^2},

    with :math:`\Sigma` the covariance of all clips and :math:`\epsilon` the `reg_covar`; its inverse and determinant follow
    from those of :math:`A` by the formulas for a rank-one update.
    """
    n, d = X.shape
    deviation = X - X.mean(axis=0)
    root = np.linalg.cholesky(deviation.T @ deviation / (n - 1) + reg_covar * np.eye(d))
    distance = np.square(np.linalg.solve(root, deviation.T)).sum(axis=0)
    shrink = 1.0 - n / (n - 1) ** 2 * distance
    log_determinant = 2.0 * np.log(np.diag(root)).sum() + np.log(shrink)
    return 0.5 * (d * np.log(2 * np.pi) + log_determinant + (n / (n - 1)) ** 2 * distance / shrink)
