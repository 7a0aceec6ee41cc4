"""Gaussian mixtures with the scores that detectors need: of the nearest component, and of held-out clips.

Symbols: n clips, d dimensions, K components.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from skasd._row_products import row_products
from skasd._threshold import threshold_is_used

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

_N_FOLDS = 5


def fit_mixture(
    X: np.ndarray, *, n_components: int, reg_covar: float, random_state: np.random.RandomState
) -> GaussianMixture:
    """Fit a full-covariance Gaussian mixture, with `reg_covar` added to the variances, to X of shape (n, d)."""
    from sklearn.mixture import GaussianMixture

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
        np.log(np.diag(root)).sum() - 0.5 * np.square(row_products(X - mean, root)).sum(axis=1)
        for mean, root in zip(mixture.means_, mixture.precisions_cholesky_, strict=True)
    ]
    return 0.5 * X.shape[1] * np.log(2 * np.pi) - np.max(log_densities, axis=0)


def split_score(mixture: GaussianMixture, pooled: np.ndarray, weights: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    r"""How much each place adds to the score of the nearest component.

    With :math:`P` the inverse covariance of the component, :math:`W` the symmetric root of :math:`D^{1/2} P D^{1/2}` times
    :math:`D^{-1/2}` where :math:`D` is the diagonal of the covariance, and :math:`\delta` the deviation from the mean, the
    score is a constant and

    .. math:: \tfrac{1}{2} \delta^\top P \delta = \tfrac{1}{2} \sum_b (W \delta)_b^2.

    Parameters
    ----------
    mixture : GaussianMixture
        Mixture of d-dimensional spectra.
    pooled : ndarray of shape (d,)
        Spectrum of a clip.
    weights, deviation : ndarray of shape (d, T)
        Weight of each frame in the spectrum, and its deviation from normal clips. What then lacks to the deviation of the
        spectrum from the mean of the component is added to all frames of a band alike.

    Returns
    -------
    split : ndarray of shape (d, T)
        Parts whose sum is the score without its constant.
    """
    root, of_clip = _nearest_component(mixture, pooled)
    missing = of_clip - (weights * deviation).sum(axis=1)
    mapping = _decorrelation(root)
    return 0.5 * (mapping @ of_clip)[:, None] * (mapping @ (weights * (deviation + missing[:, None])))


def _nearest_component(mixture: GaussianMixture, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Root (d, d) of the inverse covariance of the nearest component, and the deviation (d,) of x from its mean."""
    found = [
        (np.log(np.diag(root)).sum() - 0.5 * np.square((x - mean) @ root).sum(), root, x - mean)
        for mean, root in zip(mixture.means_, mixture.precisions_cholesky_, strict=True)
    ]
    return max(found, key=lambda one: one[0])[1:]


def _decorrelation(root: np.ndarray) -> np.ndarray:
    """Matrix (d, d) to uncorrelated values of unit variance, each as close to one of the bands as possible."""
    precision = root @ root.T
    scale = np.sqrt(np.diag(np.linalg.inv(precision)))
    values, vectors = np.linalg.eigh(scale[:, None] * precision * scale)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T / scale


def mixture_score(mixture: GaussianMixture, X: np.ndarray) -> np.ndarray:
    """Negative log-likelihood of the mixture, of shape (n,)."""
    return -mixture.score_samples(X)


SCORES = {"component": component_score, "log_likelihood": mixture_score}


def held_out_scores(
    X: np.ndarray,
    score: str,
    *,
    recording: np.ndarray,
    n_components: int,
    reg_covar: float,
    random_state: np.random.RandomState,
) -> np.ndarray:
    """Score of each clip under a mixture fitted to clips of other recordings, of shape (n,).

    With one component, one recording at a time is left out, in closed form; with several, this is cross-validation with at
    most five folds.
    """
    n_recordings = len(np.unique(recording))
    settings: dict[str, Any] = {"n_components": n_components, "reg_covar": reg_covar, "random_state": random_state}
    n_folds = min(_N_FOLDS, len(X) // n_components, n_recordings)
    if n_folds < 2:
        what = f"{len(X)} clips" if n_recordings == len(X) else f"{len(X)} clips of {n_recordings} different recordings"
        if threshold_is_used():
            warnings.warn(
                f"Few normal clips: {what} are too few to hold out any with n_components={n_components}, so the threshold "
                "is set on scores of training clips and gives too many false alarms; give more clips, or use fewer "
                "components.",
                stacklevel=2,
            )
        return SCORES[score](fit_mixture(X, **settings), X)
    if n_components == 1:
        return left_out_score(X, reg_covar, recording)
    scores = np.empty(len(X))
    for rest, fold in folds(n_folds, recording, random_state):
        scores[fold] = SCORES[score](fit_mixture(X[rest], **settings), X[fold])
    return scores


def folds(
    n_folds: int, recording: np.ndarray, random_state: np.random.RandomState
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Positions to fit to and to score in each fold; clips of one recording are in the same fold."""
    from sklearn.model_selection import GroupKFold, KFold

    if len(np.unique(recording)) == len(recording):
        return KFold(n_folds, shuffle=True, random_state=random_state).split(recording)
    return GroupKFold(n_folds, shuffle=True, random_state=random_state).split(recording, groups=recording)


def left_out_score(X: np.ndarray, reg_covar: float, recording: np.ndarray) -> np.ndarray:
    r"""Negative log density of each clip under the Gaussian of the clips of all other recordings, of shape (n,).

    Without clip :math:`i`, which lies at :math:`\delta` from the mean of all clips, the mean changes by
    :math:`-\delta / (n - 1)` and the covariance is

    .. math:: \Sigma_{-i} = A - c\, \delta \delta^\top, \qquad
              A = \tfrac{n}{n-1} \Sigma + \epsilon I, \quad c = \tfrac{n}{(n-1)^2},

    with :math:`\Sigma` the covariance of all clips and :math:`\epsilon` the `reg_covar`; its inverse and determinant follow
    from those of :math:`A` by the formulas for a rank-one update. This holds for recordings of one clip; for one of several,
    the Gaussian of the others is computed.
    """
    n, d = X.shape
    deviation = X - X.mean(axis=0)
    scatter = deviation.T @ deviation
    root = np.linalg.cholesky(scatter / (n - 1) + reg_covar * np.eye(d))
    distance = np.square(np.linalg.solve(root, deviation.T)).sum(axis=0)
    _, number, sizes = np.unique(recording, return_inverse=True, return_counts=True)
    shrink = np.where(sizes[number] > 1, 1.0, 1.0 - n / (n - 1) ** 2 * distance)
    log_determinant = 2.0 * np.log(np.diag(root)).sum() + np.log(shrink)
    score = 0.5 * (d * np.log(2 * np.pi) + log_determinant + (n / (n - 1)) ** 2 * distance / shrink)
    for value in np.flatnonzero(sizes > 1):
        own = number == value
        score[own] = _score_without(deviation[own], scatter, n, reg_covar)
    return score


def _score_without(own: np.ndarray, scatter: np.ndarray, n: int, reg_covar: float) -> np.ndarray:
    """Negative log density of k of n clips, given as deviations from the mean of all, under the Gaussian of the others."""
    n_left = n - len(own)
    mean = -own.sum(axis=0) / n_left
    covariance = (scatter - own.T @ own) / n_left - np.outer(mean, mean) + reg_covar * np.eye(len(mean))
    root = np.linalg.cholesky(covariance)
    distance = np.square(np.linalg.solve(root, (own - mean).T)).sum(axis=0)
    return 0.5 * (len(mean) * np.log(2 * np.pi) + 2.0 * np.log(np.diag(root)).sum() + distance)
