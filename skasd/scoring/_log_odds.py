"""Log-odds that a clip does not belong to the classes it is labelled with.

Axes: n patches or clips, K classes.
"""

import numpy as np


def log_odds(logits: np.ndarray, is_own: np.ndarray) -> np.ndarray:
    r"""Log-odds (n,) against the labelled classes, :math:`\ln((1 - p) / p)`, computed from logits without saturation.

    .. math:: A = \ln \sum_{k \notin Y} e^{z_k} - \ln \sum_{k \in Y} e^{z_k}

    Parameters
    ----------
    logits : ndarray of shape (n, K)
        Logits :math:`z` of patches.
    is_own : ndarray of shape (K,), bool
        Mask of the classes :math:`Y` that the patches are labelled with, usually one.

    Returns
    -------
    log_odds : ndarray of shape (n,)
        Anomaly score :math:`A` in nats, high = anomalous.

    Examples
    --------
    >>> log_odds(np.array([[2.0, 0.0, -1.0], [40.0, 0.0, 0.0]]), np.array([True, False, False])).round(6)
    array([ -1.686738, -39.306853])
    """
    return np.logaddexp.reduce(logits[:, ~is_own], axis=1) - np.logaddexp.reduce(logits[:, is_own], axis=1)


def cross_entropies(logits: np.ndarray) -> np.ndarray:
    """Cross-entropy (n, K) of each class, accurate even for tiny values.

    Parameters
    ----------
    logits : ndarray of shape (n, K)
        Logits of clips.

    Returns
    -------
    cross_entropies : ndarray of shape (n, K)
        Cross-entropies in nats.

    Examples
    --------
    >>> cross_entropies(np.array([[50.0, 0.0]])).round(3)
    array([[ 0., 50.]])
    >>> bool(cross_entropies(np.array([[50.0, 0.0]]))[0, 0] > 0)
    True
    """
    one_hot = np.eye(logits.shape[1], dtype=bool)
    return np.logaddexp(0, np.stack([log_odds(logits, is_own) for is_own in one_hot], axis=1))
