"""Where normal ends: the threshold on anomaly scores, from scores of normal clips."""

import warnings

import numpy as np
from scipy import stats

THRESHOLDS = ("quantile", "gamma")
_FEWEST = 10  # different scores that a distribution is fitted to
_UNLIKELY = 0.001  # of a Kolmogorov-Smirnov test, below which the distribution is not taken


def alarm_threshold(score: np.ndarray, share: float, rule: str) -> float:
    r"""Anomaly score that a share of normal clips is above.

    Parameters
    ----------
    score : ndarray of shape (n_clips,)
        Anomaly scores of normal clips.
    share : float
        In (0, 0.5].
    rule : {"quantile", "gamma"}
        ``"quantile"``: of these scores. ``"gamma"``: of a gamma distribution fitted to them by maximum likelihood, with
        shape, place and scale free, as in the baselines of the challenge; the quantile where that cannot be fitted, with a
        warning.

    Examples
    --------
    >>> import numpy as np
    >>> score = stats.gamma.ppf((np.arange(1000) + 0.5) / 1000, 2, scale=3)
    >>> round(alarm_threshold(score, 0.1, "quantile"), 1), round(alarm_threshold(score, 0.1, "gamma"), 1)
    (11.7, 11.7)
    """
    quantile = float(np.quantile(score, 1 - share))
    if rule == "quantile":
        return quantile
    fitted = _gamma_quantile(score, share)
    if fitted is None:
        warnings.warn(
            f"No gamma distribution fits {len(score)} scores of normal clips, of which {len(np.unique(score))} differ; the "
            "threshold is their quantile. Give more clips, or threshold='quantile'.",
            stacklevel=4,
        )
        return quantile
    return fitted


def _gamma_quantile(score: np.ndarray, share: float) -> float | None:
    """The quantile, or None if the scores are too few, too often equal, or nothing like a gamma distribution."""
    n_different = len(np.unique(score))
    if n_different < max(_FEWEST, len(score) / 2):
        return None
    mean, spread = score.mean(), score.std()
    scaled = (score - mean) / spread  # whatever their unit
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # of steps of the search; what it finds is looked at
            parameters = stats.gamma.fit(scaled)
            fitted = float(stats.gamma.ppf(1 - share, *parameters))
            likelihood = stats.kstest(scaled, "gamma", parameters).pvalue  # too high after a fit, and low all the same
    except (ValueError, RuntimeError, FloatingPointError):  # stats.FitError is a RuntimeError
        return None
    return float(mean + spread * fitted) if np.isfinite(fitted) and likelihood > _UNLIKELY else None
