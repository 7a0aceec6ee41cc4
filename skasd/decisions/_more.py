"""Normal clips that are added to a calibration after the fit."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from skasd.base import clips_to_score, normals_only
from skasd.clips._recordings import named_recordings
from skasd.clips._window_scores import checked_score
from skasd.decisions._groups import Group
from skasd.decisions._scored import known_groups


def with_more_clips(detector: Any, groups: Mapping[str, Group], X: Any, y: Any) -> dict[str, Group]:
    """Groups with the scores of further normal clips.

    Parameters
    ----------
    detector : CalibratedDetector
        Fitted detector.
    groups : mapping of str to Group
        Its groups.
    X : array, list of paths or clip table
        Clips.
    y : array-like of shape (n_clips,) or None
        Labels.
    """
    clips = normals_only(clips_to_score(detector, X), y)
    names, recording, score = known_groups(detector, clips), named_recordings(clips), checked_score(detector, clips)
    more, n_known = dict(groups), 0
    for name in map(str, np.unique(names)):
        rows = names == name
        is_known = np.isin(score[rows], np.r_[groups[name].calibration.score, groups[name].learnt])
        n_known += int(is_known.sum())
        new, number = score[rows][~is_known], recording[rows][~is_known]
        more[name] = groups[name].with_more(new, number) if len(new) else groups[name]
    if n_known:
        warnings.warn(
            f"{n_known} of the {len(clips)} clips have scores of clips that calibrate the detector already, and are left "
            "out: add only new clips.",
            stacklevel=3,
        )
    return more
