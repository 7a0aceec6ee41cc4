"""Decision thresholds on anomaly scores, estimated from scores of normal clips."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

THRESHOLDS = ("quantile", "gamma")
_FEW_CLIPS = 10  # of a machine: with up to so many, few faults are found
_USEFUL_CLIPS = 30  # of a machine: with so many, most of what more clips would find is found
_ROUNDING = 1e-6  # relative; the clip that sets the threshold is normal whatever the rounding of its score
_FEWEST = 10  # minimum number of distinct scores for fitting a distribution
_UNLIKELY = 0.001  # p-value of a Kolmogorov-Smirnov test below which the fit is rejected
_IS_USED = ContextVar("_IS_USED", default=True)


@contextmanager
def threshold_unused() -> Iterator[None]:
    """Give no warnings about thresholds that nobody uses, such as those of the detectors of an ensemble, within a block."""
    token = _IS_USED.set(False)
    try:
        yield
    finally:
        _IS_USED.reset(token)


def threshold_is_used() -> bool:
    """Whether the threshold of a detector that is being fitted matters to anyone."""
    return _IS_USED.get()


def alarm_threshold(score: np.ndarray, share: float, rule: str) -> float:
    r"""Anomaly score that a given share of normal clips exceeds.

    Parameters
    ----------
    score : ndarray of shape (n_clips,)
        Anomaly scores of normal clips.
    share : float
        Desired false alarm rate, in (0, 0.5].
    rule : {"quantile", "gamma"}
        ``"quantile"`` uses the score of rank :math:`\lceil (m + 1)(1 - a) \rceil` among :math:`m` scores: the lowest above
        which no more than the share :math:`a` of new scores is expected. Fewer than :math:`1 / a - 1` scores have no such
        rank; the largest score is used then. ``"gamma"`` uses the quantile of a gamma distribution fitted by maximum
        likelihood with free shape, location and scale, as in the DCASE baselines; if the fit fails it warns and uses the
        quantile.

    Returns
    -------
    threshold : float
        Clips with a higher anomaly score are anomalies.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import stats
    >>> score = stats.gamma.ppf((np.arange(1000) + 0.5) / 1000, 2, scale=3)
    >>> round(alarm_threshold(score, 0.1, "quantile"), 1), round(alarm_threshold(score, 0.1, "gamma"), 1)
    (11.7, 11.7)
    """
    n_above = max(_allowed_above(len(score), share), 1)
    quantile = float(np.sort(score)[-n_above])
    quantile += _ROUNDING * max(abs(quantile), float(np.ptp(score)))
    if rule == "quantile":
        return quantile
    fitted = _gamma_quantile(score, share)
    if fitted is not None:
        return fitted
    if threshold_is_used():
        warnings.warn(
            f"No gamma distribution fits the {len(score)} scores of normal clips ({len(np.unique(score))} distinct values); "
            "the threshold is their quantile. Give more clips, or use threshold='quantile'.",
            stacklevel=4,
        )
    return quantile


def _allowed_above(n_scores: int, share: float) -> int:
    """How many of so many scores and a new one may lie at or above the threshold; 0 if there are too few scores."""
    return int((n_scores + 1) * share + 1e-9)


def _fewest_scores(share: float) -> int:
    return int(np.ceil(1 / share - 1e-9)) - 1


def warn_of_few_clips(
    fewest: tuple[str, int], n_scores: int, share: float, rule: str, *, is_learnt: bool, stacklevel: int
) -> None:
    """Warn if there are too few normal clips to find faults, or to set the threshold.

    Parameters
    ----------
    fewest : tuple of str and int
        The machine with the fewest training clips, and their number.
    n_scores : int
        Number of independent scores from which the threshold is computed.
    share : float
        Desired false alarm rate.
    rule : {"quantile", "gamma"}
        How the threshold is computed from them.
    is_learnt : bool
        Whether the scores are of clips that the detector was trained on, because there were too few to hold any out.
    stacklevel : int
        As in ``warnings.warn``.
    """
    machine, n_clips = fewest
    reasons = []
    if n_clips <= _FEW_CLIPS:
        whose = f" of {machine}" if machine else ""
        reasons.append(
            f"fit was given {n_clips}{whose}, from which few faults can be told from normal sound; give at least "
            f"{_USEFUL_CLIPS} of each machine"
        )
    if is_learnt:
        reasons.append(
            "none could be held out, so the threshold was set on clips that the detector was trained on and most new normal "
            "clips may raise an alarm"
        )
    elif rule == "quantile" and not _allowed_above(n_scores, share):
        reasons.append(
            f"a false alarm rate of {100 * share:g} % takes at least {_fewest_scores(share)} normal clips that the detector "
            f"was not trained on, but there were {n_scores}, so about 1 in {n_scores + 1} new normal clips will raise an "
            "alarm; give more clips, or allow more false alarms by a larger contamination"
        )
    if reasons:
        warnings.warn(f"Few normal clips: {'. Also, '.join(reasons)}.", stacklevel=stacklevel + 1)


def warn_of_copies(n_copies: int, n_clips: int, *, stacklevel: int) -> None:
    """Warn if training clips are equal to others, or almost equal."""
    if n_copies:
        warnings.warn(
            f"{n_copies} of the {n_clips} training clips are equal to others, or almost equal, for example because a table "
            "was joined twice or files were converted. Copies are held out together and count as one for the threshold, but "
            "each of them is trained on; leave them out unless they are meant as weights.",
            stacklevel=stacklevel + 1,
        )


def _gamma_quantile(score: np.ndarray, share: float) -> float | None:
    """Quantile of the fitted gamma distribution; None if there are too few distinct scores or the fit is poor."""
    n_different = len(np.unique(score))
    if n_different < max(_FEWEST, len(score) / 2):
        return None
    mean, spread = score.mean(), score.std()
    scaled = (score - mean) / spread  # makes the fit independent of their unit
    from scipy import stats

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
