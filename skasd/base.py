"""BaseDetector: the public verbs of every detector, and the one minus sign between anomaly score and `score_samples`."""

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.validation import check_is_fitted

from skasd._constant_scores import warn_of_constant_scores
from skasd._parameters import check_contamination, check_option, naming
from skasd._threshold import THRESHOLDS, alarm_threshold
from skasd.clips import Clips, check_clips
from skasd.clips._training_clips import file_formats, warn_of_other_formats, warn_of_training_clips

__all__ = ["BaseDetector", "NormalScores", "normals_only"]

_FALSE_ALARM_SHARE = 0.1  # false alarm rate of contamination="auto", as in the DCASE baselines


@dataclass(frozen=True)
class NormalScores:
    """Anomaly scores of normal clips, from which the threshold is computed.

    Parameters
    ----------
    held_out : ndarray of shape (n_held_out,)
        Scores of clips that the detector was not trained on, computed as for new clips; scores of the training clips if
        none are held out.
    training : ndarray of shape (n_clips,) or None, default=None
        Scores of all training clips: the negative of what ``score_samples`` returns for them. If None, ``fit`` computes
        them when it needs them, which reads every clip a second time.
    """

    held_out: np.ndarray
    training: np.ndarray | None = None


class BaseDetector(OutlierMixin, BaseEstimator, ABC):
    """Base class of all detectors.

    A subclass implements ``__init__`` (with `contamination` and `threshold`) and two hooks. ``_fit(clips)`` learns from
    normal clips, sets attributes that end in "_", and returns the :class:`NormalScores` it has computed on the way, or None.
    ``_anomaly_score(clips)`` returns one number per clip, high for anomalous clips. With :math:`A` the anomaly score,

    - ``score_samples`` is :math:`-A`: high is normal;
    - ``offset_``, the threshold, is the `contamination` quantile of ``score_samples`` over the training clips. With
      ``contamination="auto"`` it is the 10 % quantile over held-out clips, and with ``threshold="gamma"`` the quantile of a
      gamma distribution fitted to the :math:`A` of held-out clips;
    - ``decision_function`` is ``score_samples - offset_``: negative is anomalous;
    - ``predict`` is its sign: +1 normal, -1 anomaly.

    A detector with a parameter `feature` reads that column of a clip table; a detector without it reads the feature column
    if there is exactly one.
    """

    contamination: float | str
    threshold: str
    feature: Any = "auto"

    @abstractmethod
    def _fit(self, clips: Clips) -> NormalScores | None:
        """Learn from normal clips; return the scores that determine the threshold, or None to have ``fit`` compute them."""

    @abstractmethod
    def _anomaly_score(self, clips: Clips) -> np.ndarray:
        """Anomaly score of shape (n_clips,), high for anomalous clips."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    @final
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from the normal clips and set the threshold.

        Parameters
        ----------
        X : array, list of paths or clip table
            Clips: waveforms (n_clips, n_timepoints), features (n_clips, n_mels, n_frames), paths, or a table.
        y : array-like of shape (n_clips,), default=None
            +1 for normal clips, -1 for anomalies, which are left out. None treats all clips as normal.

        Returns
        -------
        self : object
            The fitted detector.
        """
        check_contamination(self.contamination)
        check_option("threshold", self.threshold, THRESHOLDS)
        clips = normals_only(check_clips(self, X, reset=True, feature=self.feature), y)
        warn_of_training_clips(self, clips)
        self._threshold_rule = self.contamination, self.threshold
        self._file_formats = file_formats(clips)
        scores = self._fit(clips)
        if scores is None:
            score = self._checked_score(clips)
            scores = NormalScores(score, score)
        elif not isinstance(scores, NormalScores):
            raise TypeError(
                f"{type(self).__name__}._fit returned a {type(scores).__name__}; NormalScores or None is expected."
            )
        self.offset_ = self._offset(clips, scores)
        warn_of_constant_scores(scores.held_out)
        return self

    def _checked_score(self, clips: Clips) -> np.ndarray:
        """Anomaly score (n_clips,), after a look at what the hook of the detector returned."""
        score = np.asarray(self._anomaly_score(clips), dtype=np.float64)
        if score.shape != (len(clips),):
            raise ValueError(
                f"{type(self).__name__}._anomaly_score returned shape {score.shape} for {len(clips)} clips; "
                f"({len(clips)},) is expected."
            )
        return score

    def _offset(self, clips: Clips | None, scores: NormalScores) -> float:
        """Threshold on ``score_samples``; `clips` is used only if `scores` lacks the scores of the training clips."""
        contamination, rule = self._threshold_rule
        share = _FALSE_ALARM_SHARE if isinstance(contamination, str) else contamination
        score = scores.held_out if isinstance(contamination, str) or rule == "gamma" else scores.training
        if score is None:
            score = self._checked_score(clips)  # type: ignore[arg-type]
        return -alarm_threshold(np.asarray(score, dtype=np.float64), share, rule)

    @final
    def fit_predict(self, X: Any, y: Any = None) -> np.ndarray:
        """Fit on the clips of X that are not labelled -1, then predict all clips of X.

        Parameters
        ----------
        X : array, list of paths or clip table
            Clips.
        y : array-like of shape (n_clips,), default=None
            Labels, as in ``fit``.

        Returns
        -------
        labels : ndarray of shape (n_clips,), int
            +1 for normal clips, -1 for anomalies.
        """
        return self.fit(X, y).predict(X)

    @final
    def score_samples(self, X: Any) -> np.ndarray:
        """Normality score of each clip, the negative of its anomaly score.

        Parameters
        ----------
        X : array, list of paths or clip table
            Clips.

        Returns
        -------
        scores : ndarray of shape (n_clips,), float64
            Scores; high is normal.
        """
        check_is_fitted(self)
        clips = check_clips(self, X, reset=False, feature=self.feature)
        warn_of_other_formats(clips, self._file_formats)
        return -self._checked_score(clips)

    @final
    def decision_function(self, X: Any) -> np.ndarray:
        """Distance of each score from the threshold: ``score_samples(X) - offset_``.

        Parameters
        ----------
        X : array, list of paths or clip table
            Clips.

        Returns
        -------
        decisions : ndarray of shape (n_clips,), float64
            Negative for anomalies, 0 or positive for normal clips.
        """
        return self.score_samples(X) - self.offset_

    @final
    def predict(self, X: Any) -> np.ndarray:
        """Decide for each clip whether it is normal.

        Parameters
        ----------
        X : array, list of paths or clip table
            Clips.

        Returns
        -------
        labels : ndarray of shape (n_clips,), int
            +1 for normal clips, -1 for anomalies.
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)


def _strange_labels(y: np.ndarray) -> str:
    return "NaN" if y.dtype.kind == "f" else f"labels of type {type(y[0]).__name__}, such as {y[0]!r}"


def normals_only(clips: Clips, y: Any) -> Clips:
    """Clips that are not labelled -1.

    Parameters
    ----------
    clips : Clips
        Clips given to ``fit``.
    y : array-like of shape (n_clips,) or None
        +1 for normal clips, -1 for anomalies; None treats all clips as normal.

    Returns
    -------
    normals : Clips
        The clips without the anomalies.

    Raises
    ------
    ValueError
        If the labels are not numbers, or all of them are -1.
    """
    if y is None:
        return clips
    with naming("y"):
        check_consistent_length(clips, y)
        y = column_or_1d(y)
    if y.dtype.kind not in "iuf" or np.isnan(y).any():
        raise ValueError(
            f"Unknown label type: y contains {_strange_labels(y)}; use +1 for normal clips and -1 for anomalies."
        )
    if not np.isin(y, (-1, 1)).all():
        warnings.warn(
            "y contains labels other than +1 (normal) and -1 (anomaly); every clip not labelled -1 is treated as normal, "
            "including clips without ground truth, which loaders label 0. Leave them out with X[y == 1] if they may be "
            "anomalies. If 1 means anomaly in your labels, pass y=np.where(labels == 1, -1, 1).",
            stacklevel=3,
        )
    normal = np.flatnonzero(y != -1)
    if not len(normal):
        raise ValueError(
            f"All {len(clips)} clips given to fit are anomalies (y == -1); a detector learns from normal clips, which are "
            "labelled +1 or not labelled."
        )
    return clips if len(normal) == len(clips) else clips.take(normal)
