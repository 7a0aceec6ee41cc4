"""Clips with their scores and groups, and what follows from them: thresholds and p-values."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from skasd.base import clips_to_score
from skasd.clips import MACHINE_COLUMNS, Clips
from skasd.clips._recordings import named_recordings
from skasd.clips._window_scores import checked_score
from skasd.decisions._calibration import fewest_recordings
from skasd.detectors._machines import refuse_unknown_machines


@dataclass(frozen=True)
class Scored:
    """Scores of clips.

    Parameters
    ----------
    score : ndarray of shape (n_clips,), float64
        Anomaly scores.
    group : ndarray of shape (n_clips,), str
        Group of each clip.
    recording : ndarray of shape (n_clips,), int
        Recording of each clip, as the column `group` of a clip table names it.
    """

    score: np.ndarray
    group: np.ndarray
    recording: np.ndarray


def scored(detector: Any, X: Any) -> Scored:
    """Score clips.

    Parameters
    ----------
    detector : CalibratedDetector
        Fitted detector.
    X : array, list of paths or clip table
        Clips.

    Raises
    ------
    ValueError
        If a clip is of a group that was not calibrated.
    """
    clips = clips_to_score(detector, X)
    return Scored(checked_score(detector, clips), known_groups(detector, clips), named_recordings(clips))


def known_groups(detector: Any, clips: Clips) -> np.ndarray:
    """Group (n_clips,) of each clip; raises for a group that was not calibrated.

    Parameters
    ----------
    detector : CalibratedDetector
        Fitted detector.
    clips : Clips
        Clips.
    """
    columns = detector._group_columns
    names = clips.group_names(columns, MACHINE_COLUMNS)
    refuse_unknown_machines(names, detector._groups, clips, columns, "group_columns")
    return names


def of_groups(values: Mapping[str, Any], names: np.ndarray) -> np.ndarray:
    """Value (n_clips,) of the group of each clip.

    Parameters
    ----------
    values : mapping of str to number
        Value of each group.
    names : ndarray of shape (n_clips,), str
        Group of each clip.
    """
    known, number = np.unique(names, return_inverse=True)
    return np.array([values[str(name)] for name in known])[number]


def ranked(detector: Any, known: Scored, uniform: np.ndarray | None = None) -> np.ndarray:
    """P-values (n_clips,) of scored clips, NaN where decisions are provisional.

    Parameters
    ----------
    detector : CalibratedDetector
        Fitted detector.
    known : Scored
        The clips.
    uniform : ndarray of shape (n_clips,) or None, default=None
        Draws that decide about ties, see :meth:`Calibration.p_values`.
    """
    p_values = np.full(len(known.score), np.nan)
    for name in map(str, np.unique(known.group)):
        if not detector.is_provisional_[name]:
            rows = known.group == name
            draws = None if uniform is None else uniform[rows]
            p_values[rows] = detector._groups[name].calibration.p_values(known.score[rows], draws)
    return p_values


def warn_of_provisional(detector: Any, names: Iterable[str], *, stacklevel: int) -> None:
    """Warn if the decisions about some of these groups are provisional.

    Parameters
    ----------
    detector : CalibratedDetector
        Fitted detector.
    names : iterable of str
        Groups.
    stacklevel : int
        As in ``warnings.warn``.
    """
    few = [name for name in map(str, names) if detector.is_provisional_[name]]
    if few:
        numbers = ", ".join(f"{name or 'all clips'}: {detector.n_calibration_[name]}" for name in few[:10])
        warnings.warn(
            "Few normal clips: decisions are provisional, by a robust z-score and without p-values, where fewer than "
            f"{max(detector._learning_period, fewest_recordings(detector.alpha_))} recordings calibrate them ({numbers}). "
            "Give more normal clips; the method calibrate adds new ones without a fit.",
            stacklevel=stacklevel,
        )
