"""Scores of clips that are heard in several windows: the largest, made comparable with the score of one window."""

import numpy as np

TAIL = 0.8  # level above which the distribution of normal scores is continued as an exponential one
FAR = 30.0  # mean excesses above the threshold from which on the ratio of two probabilities is that of the limit


def as_of_one_window(score: np.ndarray, share: np.ndarray, normal: np.ndarray) -> np.ndarray:
    r"""Turn the largest score of several windows into the score of one window that is as improbable.

    The largest of k independent normal scores is below s with probability :math:`F(s)^k`, so it counts as the score

    .. math:: s' = F^{-1}(F(s)^k),

    where F is the distribution of the scores of normal clips of one window: their empirical distribution, linear between
    neighbouring scores, and above its 80 % quantile u an exponential one with the mean excess :math:`\sigma` of the scores
    above u, :math:`F(s) = 1 - 0.2\, e^{-(s - u) / \sigma}`. A large score is therefore lowered by about
    :math:`\sigma \ln k`. The result never decreases with s. Scores at or below the smallest normal score, and clips of one
    window, keep their score.

    Parameters
    ----------
    score : ndarray of shape (n_clips,)
        Largest anomaly score of the windows of each clip.
    share : ndarray of shape (n_clips,)
        Length of each clip in windows, k; at least 1, and no integer for windows that overlap.
    normal : ndarray of shape (n_normal,)
        Anomaly scores of normal clips of one window, ascending.

    Returns
    -------
    score : ndarray of shape (n_clips,)
        Scores on the scale of one window.

    Examples
    --------
    >>> normal = np.linspace(0, 1, 101)
    >>> as_of_one_window(np.array([0.5, 0.5, 0.9]), np.array([1.0, 2.0, 7.0]), normal).round(2)
    array([0.5 , 0.25, 0.57])
    """
    threshold = float(np.quantile(normal, TAIL))
    excess = normal[normal > threshold] - threshold
    is_changed = (share > 1) & (score > normal[0])
    if not len(excess) or not is_changed.any():  # scores that are all alike have no scale
        return score
    result = score.copy()
    result[is_changed] = _changed(score[is_changed], share[is_changed], normal, threshold, float(excess.mean()))
    return result


def _changed(score: np.ndarray, share: np.ndarray, normal: np.ndarray, threshold: float, scale: float) -> np.ndarray:
    level = np.linspace(0, 1, len(normal))
    distance = np.maximum(score - threshold, 0) / scale
    tail = (1 - TAIL) * np.exp(-distance)  # probability of a larger score of one window, above the threshold
    with np.errstate(divide="ignore"):  # the probability of the smallest score is 0
        log_level = np.where(score > threshold, np.log1p(-tail), np.log(np.interp(score, normal, level)))
    above = -np.expm1(share * log_level)  # probability of a larger score of any window
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(distance < FAR, above / tail, share)  # its limit, where the probabilities vanish
    in_tail = np.maximum(score, threshold) - scale * np.log(ratio)
    return np.where(above < 1 - TAIL, in_tail, np.interp(1 - above, level, normal))
