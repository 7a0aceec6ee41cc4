"""Warning about scores that do not differ between clips."""

import warnings

import numpy as np

_ROUNDING = 1e-7  # relative; scores of equal clips differ by the rounding of float32


def warn_of_constant_scores(score: np.ndarray, *, fewest: int = 3, stacklevel: int = 3) -> None:
    """Warn if all normal clips have the same score, so that neither ranking nor threshold mean anything.

    Parameters
    ----------
    score : ndarray of shape (n_clips,)
        Scores of normal clips.
    fewest : int, default=3
        Smallest number of scores for a warning, since a few may be equal by symmetry.
    stacklevel : int, default=3
        Frames up to the caller whose line is shown.
    """
    if len(score) >= fewest and np.ptp(score) <= _ROUNDING * np.abs(score).max():
        warnings.warn(
            f"Constant scores: all {len(score)} normal clips have the score {score[0]:.6g}, so the threshold means nothing. "
            "Either the clips are equal or silent, or parameters are so extreme that differences between clips vanish.",
            stacklevel=stacklevel,
        )
