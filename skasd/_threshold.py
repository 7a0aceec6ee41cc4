"""Decision thresholds on anomaly scores, estimated from scores of normal clips."""

import warnings

import numpy as np
from scipy import stats

THRESHOLDS = ("quantile", "gamma")
_FEWEST = 10  # minimum number of distinct scores for fitting a distribution
_UNLIKELY = 0.001  # p-value of a Kolmogorov-Smirnov test below which the fit is rejected


def alarm_threshold(score: np.ndarray, share: float, rule: str) -> float:
    r"""Anomaly score that a given share of normal clips exceeds.

    Parameters
    ----------
    score : ndarray of shape (n_clips,)
        Anomaly scores of normal clips.
    share : float
        Desired false alarm rate, in (0, 0.5].
    rule : {"quantile", "gamma"}
        ``"quantile"`` uses the empirical quantile of the scores. ``"gamma"`` uses the quantile of a gamma distribution
        fitted by maximum likelihood with free shape, location and scale, as in the DCASE baselines; if the fit fails it
        warns and uses the empirical quantile.

    Returns
    -------
    threshold : float
        Clips with a higher anomaly score are anomalies.

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
            f"No gamma distribution fits the {len(score)} scores of normal clips ({len(np.unique(score))} distinct values); "
            "the threshold is their empirical quantile. Give more clips, or use threshold='quantile'.",
            stacklevel=4,
        )
        return quantile
    return fitted


def _gamma_quantile(score: np.ndarray, share: float) -> float | None:
    """Quantile of the fitted gamma distribution; None if there are too few distinct scores or the fit is poor."""
    n_different = len(np.unique(score))
    if n_different < max(_FEWEST, len(score) / 2):
        return None
    mean, spread = score.mean(), score.std()
    scaled = (score - mean) / spread  # makes the fit independent of their unit
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # from intermediate steps of the optimiser; its result is checked below
            parameters = stats.gamma.fit(scaled)
            fitted = float(stats.gamma.ppf(1 - share, *parameters))
            likelihood = stats.kstest(
                scaled, "gamma", parameters
            ).pvalue  # biased upwards by the fit, but still low for a poor one
    except (ValueError, RuntimeError, FloatingPointError):  # includes stats.FitError
        return None
    return float(mean + spread * fitted) if np.isfinite(fitted) and likelihood > _UNLIKELY else None
