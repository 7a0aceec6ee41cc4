"""Normal clips that are added to a calibration after the fit."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from skasd.base import clips_to_score, normals_only
from skasd.clips import Clips
from skasd.clips._recordings import named_recordings, recording_names
from skasd.clips._training_data import digests
from skasd.clips._window_scores import checked_score
from skasd.decisions._groups import Group
from skasd.decisions._scored import known_groups


@dataclass(frozen=True)
class KnownClips:
    """The clips that a calibrated detector was trained on or calibrated with.

    Parameters
    ----------
    digest : ndarray of shape (n_clips,), int
        Number that equal clips have in common.
    recordings : frozenset of str
        Names of recordings.
    """

    digest: np.ndarray
    recordings: frozenset[str]

    @classmethod
    def of(cls, clips: Clips) -> Self:
        """Those of a fit.

        Parameters
        ----------
        clips : Clips
            Normal clips.
        """
        return cls(digests(clips), frozenset(map(str, recording_names(clips))) - {""})

    def has(self, clips: Clips) -> np.ndarray:
        """Whether each clip (n_clips,) is known, of a known recording, or a copy of one before it.

        Parameters
        ----------
        clips : Clips
            Clips.
        """
        own = digests(clips)
        is_copy = np.ones(len(own), dtype=bool)
        is_copy[np.unique(own, return_index=True)[1]] = False
        return is_copy | np.isin(own, self.digest) | np.isin(recording_names(clips), list(self.recordings))

    def joined(self, other: "KnownClips") -> "KnownClips":
        """These clips and others.

        Parameters
        ----------
        other : KnownClips
            Other clips.
        """
        return KnownClips(np.r_[self.digest, other.digest], self.recordings | other.recordings)


def with_more_clips(
    detector: Any, groups: Mapping[str, Group], known: KnownClips, X: Any, y: Any
) -> tuple[dict[str, Group], KnownClips]:
    """Groups with the scores of further normal clips, and the clips that are known then.

    Parameters
    ----------
    detector : CalibratedDetector
        Fitted detector.
    groups : mapping of str to Group
        Its groups.
    known : KnownClips
        The clips that it knows.
    X : array, list of paths or clip table
        Clips.
    y : array-like of shape (n_clips,) or None
        Labels.
    """
    clips = normals_only(clips_to_score(detector, X), y)
    is_known = known.has(clips)
    if is_known.any():
        warnings.warn(
            f"{is_known.sum()} of the {len(clips)} clips are left out: they are copies, or the detector was trained on them "
            "or on their recording, or is calibrated with these already. Add only new recordings, each of them as a whole.",
            stacklevel=3,
        )
    if is_known.all():
        return dict(groups), known
    clips = clips.take(np.flatnonzero(~is_known))
    names, recording, score = known_groups(detector, clips), named_recordings(clips), checked_score(detector, clips)
    more = dict(groups)
    for name in map(str, np.unique(names)):
        rows = names == name
        more[name] = groups[name].with_more(score[rows], recording[rows])
    return more, known.joined(KnownClips.of(clips))
