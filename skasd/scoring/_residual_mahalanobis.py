"""Mahalanobis distance of the residuals of a clip, with their covariance on normal clips.

N. Harada et al., "First-shot anomaly sound detection for machine condition monitoring: a domain generalization baseline",
EUSIPCO 2023, arXiv:2303.00455.

Axes: P frames of a patch, F mel bands, R rows (frames of all patches).
"""

from collections.abc import Iterable

import numpy as np

RESIDUALS = ("clip_mean", "frame", "frame_minimum")
CENTERINGS = ("batch", "global")


def covariance_of_batches(batches: Iterable[np.ndarray], *, centering: str = "batch") -> np.ndarray:
    r"""Covariance (F, F) of the rows of residuals, computed as in the DCASE baselines or as the sample covariance.

    Parameters
    ----------
    batches : iterable of ndarray of shape (n_patches, P, F)
        Residuals, in batches as for training.
    centering : {"batch", "global"}, default="batch"
        ``"batch"`` subtracts the mean of each batch and divides the sum of products by the number of *patches* minus one, as
        the code of the baselines does; the result is about P times the covariance, and too small if batches have few rows.
        ``"global"`` computes the sample covariance of all rows.

    Returns
    -------
    covariance : ndarray of shape (F, F)
        Covariance of the mel bands.

    Examples
    --------
    >>> rows = np.tile(np.arange(5.0), 2).reshape(2, 5, 1)
    >>> [float(covariance_of_batches([rows], centering=way)[0, 0].round(4)) for way in ("batch", "global")]
    [20.0, 2.2222]
    """
    total: np.ndarray | float = 0.0
    sums: np.ndarray | float = 0.0
    n_patches = n_rows = 0
    for residual in batches:
        rows = residual.reshape(-1, residual.shape[2]).astype(np.float64)
        centred = rows - rows.mean(axis=0) if centering == "batch" else rows
        total = total + centred.T @ centred
        sums = sums + rows.sum(axis=0)
        n_patches, n_rows = n_patches + len(residual), n_rows + len(rows)
    if centering == "batch":
        return np.asarray(total) / max(n_patches - 1, 1)
    return (np.asarray(total) - np.outer(sums, sums) / n_rows) / max(n_rows - 1, 1)


def shrunk_inverse(covariance: np.ndarray, shrinkage: float) -> np.ndarray:
    r"""Inverse of :math:`\Sigma + \lambda \frac{\mathrm{tr} \Sigma}{F} I`, or the pseudo-inverse if that is singular."""
    n_bands = len(covariance)
    return np.linalg.pinv(covariance + shrinkage * np.trace(covariance) / n_bands * np.eye(n_bands), hermitian=True)


def mahalanobis_score(residual: np.ndarray, inverses: np.ndarray, form: str = "clip_mean") -> float:
    r"""Squared Mahalanobis distance of the residual of a clip, the smaller of the distances in both domains.

    Parameters
    ----------
    residual : ndarray of shape (n_patches, P, F)
        Residual of the clip.
    inverses : ndarray of shape (n_domains, F, F)
        Inverse covariances of the domains.
    form : {"clip_mean", "frame", "frame_minimum"}, default="clip_mean"
        With :math:`r_i` the rows of the residual and :math:`\bar r` their mean, ``"clip_mean"`` is
        :math:`\min_d \bar r^\top \Sigma_d^{-1} \bar r`, as in the baselines; ``"frame"`` is
        :math:`\min_d \frac{1}{R} \sum_i r_i^\top \Sigma_d^{-1} r_i`; ``"frame_minimum"`` takes the minimum over domains for
        each row before averaging.

    Returns
    -------
    score : float
        Anomaly score, high = anomalous.

    Examples
    --------
    >>> residual = np.array([[[1.0, 0.0], [-1.0, 0.0], [2.0, 1.0], [0.0, -1.0]]])
    >>> inverse = np.diag([2.0, 0.5])[None]
    >>> float(mahalanobis_score(residual, inverse)), float(mahalanobis_score(residual, inverse, "frame"))
    (0.5, 3.25)
    """
    rows = residual.reshape(-1, residual.shape[2]).astype(np.float64)
    if form == "clip_mean":
        rows = rows.mean(axis=0, keepdims=True)
    lengths = np.einsum("rf,dfg,rg->dr", rows, inverses, rows, optimize=True)  # (n_domains, R)
    return float(lengths.min(axis=0).mean() if form == "frame_minimum" else lengths.mean(axis=1).min())


def mahalanobis_parts(residual: np.ndarray, inverses: np.ndarray, form: str = "clip_mean") -> np.ndarray:
    r"""How much each value of the residual of a clip adds to its :func:`mahalanobis_score`.

    A square :math:`r^\top \Sigma^{-1} r` is the sum over bands of :math:`r_b (\Sigma^{-1} r)_b`.

    Parameters
    ----------
    residual : ndarray of shape (n_patches, P, F)
        Residual of the clip.
    inverses : ndarray of shape (n_domains, F, F)
        Inverse covariances of the domains.
    form : {"clip_mean", "frame", "frame_minimum"}, default="clip_mean"
        As of the score.

    Returns
    -------
    parts : ndarray of shape (n_patches, P, F)
        Parts whose sum is the score.
    """
    rows = residual.reshape(-1, residual.shape[2]).astype(np.float64)
    against = rows.mean(axis=0, keepdims=True) if form == "clip_mean" else rows
    products = [rows * (against @ inverse) / len(rows) for inverse in inverses]  # (R, F) of each domain
    if form == "frame_minimum":
        lengths = np.array([product.sum(axis=1) for product in products])
        return np.array(products)[lengths.argmin(axis=0), np.arange(len(rows))].reshape(residual.shape)
    return min(products, key=np.sum).reshape(residual.shape)
