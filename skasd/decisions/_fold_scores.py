"""Scores of a fold by a network that was trained on the other folds, on the scale of the network that was trained on all.

Trainings that differ in a few clips end at different networks, whose scores differ in location and spread. A network is
compared with another one by what both were trained on.
"""

from typing import Any

import numpy as np
from sklearn.base import clone

from skasd._interrupt import was_interrupted
from skasd._threshold import threshold_unused
from skasd.clips import Clips
from skasd.detectors._held_out_fits import anomaly_score, container, held_out_score


def is_trained_in_epochs(detector: Any) -> bool:
    """Whether a detector, or one inside of it, is a network.

    Parameters
    ----------
    detector : estimator
        Detector.
    """
    return any(name.rpartition("__")[2] == "max_epochs" for name in detector.get_params())


@threshold_unused()
def fold_score(detector: Any, clips: Clips, part: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, bool]:
    r"""Score a fold by a copy of a detector that is fitted to the others.

    Where training is in epochs, the scores :math:`A` of a group become

    .. math:: A' = m + \frac{s}{s_k} (A - m_k)

    with the mean :math:`m_k` and the standard deviation :math:`s_k` of the scores that the copy gives to the clips it was
    fitted to, and :math:`m`, :math:`s` of those that the detector gives to them.

    Parameters
    ----------
    detector : estimator
        Detector that was fitted to all clips; it stays as it is.
    clips : Clips
        Normal clips.
    part : ndarray of shape (n_held_out,), int
        Positions of the clips of the fold.
    groups : ndarray of shape (n_clips,), str
        Group of each clip.

    Returns
    -------
    score : ndarray of shape (n_held_out,)
        Anomaly scores of the fold.
    is_cut : bool
        Whether an interrupt ended the training early.
    """
    if not is_trained_in_epochs(detector):
        return held_out_score(detector, clips, part)
    rest = np.setdiff1d(np.arange(len(clips)), part)
    learnt = container(clips.take(rest))
    trial = clone(detector).fit(learnt)
    score = anomaly_score(trial, container(clips.take(part)))
    own, wanted = anomaly_score(trial, learnt), anomaly_score(detector, learnt)
    for name in np.unique(groups[part]):
        rows, known = groups[part] == name, groups[rest] == name
        score[rows] = _aligned(score[rows], own[known], wanted[known])
    return score, was_interrupted(trial)


def _aligned(score: np.ndarray, own: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Scores (n,) on the scale on which `own` scores of learnt clips are those `wanted`; as they are if those are equal."""
    (location, spread), (wanted_location, wanted_spread) = _scale(own), _scale(wanted)
    if not spread or not wanted_spread:
        return score
    return wanted_location + wanted_spread / spread * (score - location)


def _scale(score: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of scores: of the same clips by two networks, outliers are outliers of both."""
    return float(score.mean()), float(score.std())
