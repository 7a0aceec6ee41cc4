"""Deciding: the threshold of a detector, by the scores of normal clips that it was not trained on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skasd._constant_scores import warn_of_constant_scores
from skasd._threshold import alarm_threshold, threshold_is_used, warn_of_copies, warn_of_few_clips
from skasd.clips import MACHINE_COLUMNS, Clips

_FALSE_ALARM_SHARE = 0.1  # false alarm rate of contamination="auto", as in the DCASE baselines


@dataclass(frozen=True)
class NormalScores:
    """Anomaly scores of normal clips, from which the threshold is computed.

    Parameters
    ----------
    held_out : ndarray of shape (n_scores,)
        Scores of clips that the detector was not trained on, computed as for new clips; scores of the training clips if
        none can be held out.
    recording : ndarray of shape (n_scores,), int, or None, default=None
        Recording of each scored clip, see :class:`skasd.clips.Recordings`; equal scores of one recording count once. None
        treats each clip as a recording of its own.
    is_learnt : bool, default=False
        Whether the scores are of training clips because there were too few to hold any out, of which ``fit`` warns.
    n_copies : int, default=0
        Number of training clips that are equal to others, of which ``fit`` warns.
    position : ndarray of shape (n_scores,), int, or None, default=None
        Position of each scored clip among the training clips; None if each of them has a score, in their order.
    """

    held_out: np.ndarray
    recording: np.ndarray | None = None
    is_learnt: bool = False
    n_copies: int = 0
    position: np.ndarray | None = None

    def distinct(self) -> np.ndarray:
        """Leave out the scores of copies.

        Returns
        -------
        scores : ndarray of shape (n_distinct,), float64
            Each score of a recording once, in the order of the clips.
        """
        score = np.asarray(self.held_out, dtype=np.float64)
        if self.recording is None:
            return score
        _, first = np.unique(np.column_stack([self.recording, score]), axis=0, return_index=True)
        return score[np.sort(first)]

    @property
    def n_recordings(self) -> int:
        """Number of different recordings."""
        return len(self.held_out) if self.recording is None else len(np.unique(self.recording))


class Deciding:
    """Hooks by which a detector sets its threshold, with one threshold for all clips.

    A detector that decides in another way overrides ``_learn_threshold`` and ``_offset_of``.
    """

    contamination: float | str
    threshold: str
    offset_: float
    _threshold_scores: NormalScores | None = None
    _held_out_scores: np.ndarray | None = None  # ascending

    def _learn_threshold(self, scores: NormalScores, clips: Clips) -> None:
        """Set the threshold by the scores of the normal clips of a fit, and warn of what is wrong with them."""
        share = _FALSE_ALARM_SHARE if isinstance(self.contamination, str) else self.contamination
        self._threshold_rule = share, self.threshold
        self._set_threshold(scores)
        if threshold_is_used():
            _warn_of_normal_scores(self, scores, clips)

    def _offset_of(self, clips: Clips) -> Any:
        """Threshold on ``score_samples`` for these clips: one number, or one for each clip."""
        return self.offset_

    def _set_threshold(self, scores: NormalScores) -> None:
        """Set the threshold on ``score_samples``, and keep the scores by which those of long clips are corrected."""
        self._threshold_scores = scores
        self._held_out_scores = np.sort(scores.distinct())
        self.offset_ = -alarm_threshold(scores.distinct(), *self._threshold_rule)


def _warn_of_normal_scores(detector: Deciding, scores: NormalScores, clips: Clips) -> None:
    """Say what is wrong with the scores from which the threshold is computed."""
    warn_of_constant_scores(scores.held_out, stacklevel=5)
    warn_of_copies(scores.n_copies, len(clips), stacklevel=4)
    share, rule = detector._threshold_rule
    warn_of_few_clips(_fewest(clips), scores.n_recordings, share, rule, is_learnt=scores.is_learnt, stacklevel=4)


def _fewest(clips: Clips) -> tuple[str, int]:
    """Name of the machine with the fewest clips, and their number."""
    table = pd.DataFrame() if clips.table is None else clips.table
    columns = [column for column in MACHINE_COLUMNS if column in table.columns and table[column].notna().any()]
    if not columns:
        return "", len(clips)
    counts = table[columns].astype(str).value_counts(dropna=False)
    return "/".join(map(str, counts.index[-1])), int(counts.iloc[-1])
