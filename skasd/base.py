"""BaseDetector: the public verbs of every detector, and the one minus sign between anomaly score and `score_samples`."""

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, final

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.validation import check_is_fitted

from skasd._atomic import restored_on_failure
from skasd._extremes import as_of_one_window
from skasd._interrupt import noted_interrupts
from skasd._parameters import check_number, check_option, numeric_labels
from skasd._threshold import THRESHOLDS, alarm_threshold
from skasd.clips import Clips, check_clips
from skasd.clips._readers import readers_of
from skasd.clips._usable import UsablePart, skips
from skasd.clips._windows import TrainingLength

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

    After ``fit``, ``interrupted_`` says whether Ctrl-C ended a training inside it early; a detector without one has False.

    A detector with a parameter `feature` reads that column of a clip table; a detector without it reads the feature column
    if there is exactly one.

    A clip longer than 1.1 times the median length of the training clips is given to ``_anomaly_score`` in windows of that
    length. Its score is the largest of them, made comparable with the score of one window, see :ref:`clips_length`.
    """

    contamination: float | str
    threshold: str
    feature: Any = "auto"
    _hears_long_clips: ClassVar[bool] = False  # whether `_anomaly_score` takes care of clips of any length itself
    _training_length: TrainingLength | None = None
    _held_out_scores: np.ndarray | None = None  # ascending

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
    def fit(self, X: Any, y: Any = None, *, on_error: str = "raise") -> Self:
        """Learn from the normal clips and set the threshold.

        A fit that fails or is interrupted leaves the detector as it was before: fitted as a whole, or not fitted.

        Parameters
        ----------
        X : array, list of paths or clip table
            Clips: waveforms (n_clips, n_timepoints), features (n_clips, n_mels, n_frames), paths, or a table.
        y : array-like of shape (n_clips,), default=None
            +1 for normal clips, -1 for anomalies, which are left out. None treats all clips as normal.
        on_error : {"raise", "skip"}, default="raise"
            What happens to clips that cannot be read, or hold NaN or nothing: an error that lists them, or a warning.
            With "skip", the rest is learnt from. See :ref:`clips_skip`.

        Returns
        -------
        self : object
            The fitted detector.
        """
        if self.contamination != "auto":
            check_number("contamination", self.contamination, low=0, high=0.5, above=True)
        check_option("threshold", self.threshold, THRESHOLDS)
        if skips(on_error):
            usable = UsablePart.of(self, X, reset=True)
            return self.fit(usable.X, usable.labels(y))
        with restored_on_failure(self):
            clips = normals_only(check_clips(self, X, reset=True, feature=self.feature), y)
            self._threshold_rule = self.contamination, self.threshold
            self.offset_ = self._offset(clips, self._learn_scores(clips))
        return self

    def _learn_scores(self, clips: Clips) -> NormalScores:
        """Learn from normal clips, and return the scores that determine the threshold."""
        self._training_length = self._held_out_scores = None
        with noted_interrupts() as interrupts:
            scores = self._fit(clips)
        self.interrupted_ = bool(interrupts)
        if not self._hears_long_clips:
            self._training_length = TrainingLength.of(clips, readers_of(self)[0])
        if scores is None:
            score = self._checked_score(clips)
            scores = NormalScores(score, score)
        elif not isinstance(scores, NormalScores):
            raise TypeError(
                f"{type(self).__name__}._fit returned a {type(scores).__name__}; NormalScores or None is expected."
            )
        self._held_out_scores = np.sort(scores.held_out)
        if self._training_length is not None and self._training_length.windows(clips) is not None:
            scores = replace(scores, training=None)  # of whole clips
        return scores

    def _checked_score(self, clips: Clips) -> np.ndarray:
        """Anomaly score (n_clips,), after a look at what the hook of the detector returned."""
        windows = None if self._training_length is None else self._training_length.windows(clips)
        heard = clips if windows is None else windows.clips
        score = np.asarray(self._anomaly_score(heard), dtype=np.float64)
        if score.shape != (len(heard),):
            raise ValueError(
                f"{type(self).__name__}._anomaly_score returned shape {score.shape} for {len(heard)} clips; "
                f"({len(heard)},) is expected."
            )
        if not np.isfinite(score).all():
            position = int(np.argmin(np.isfinite(score)))
            raise ValueError(
                f"The anomaly score of {heard.name(position)} is {score[position]}. Its values are out of the range that "
                f"{type(self).__name__} can compute with; look at the clip, and at parameters with extreme values."
            )
        if windows is None:
            return score
        normal = self._held_out_scores
        largest = windows.largest(score)
        return largest if normal is None else as_of_one_window(largest, windows.share, normal)

    def _offset(self, clips: Clips | None, scores: NormalScores) -> float:
        """Threshold on ``score_samples``; `clips` is used only if `scores` lacks the scores of the training clips."""
        contamination, rule = self._threshold_rule
        share = _FALSE_ALARM_SHARE if isinstance(contamination, str) else contamination
        score = scores.held_out if isinstance(contamination, str) or rule == "gamma" else scores.training
        if score is None:
            score = self._checked_score(clips)  # type: ignore[arg-type]
        return -alarm_threshold(np.asarray(score, dtype=np.float64), share, rule)

    @final
    def fit_predict(self, X: Any, y: Any = None, *, on_error: str = "raise") -> np.ndarray:
        """Fit on the clips of X that are not labelled -1, then predict all clips of X.

        Parameters
        ----------
        X : array, list of paths or clip table
            Clips.
        y : array-like of shape (n_clips,), default=None
            Labels, as in ``fit``.
        on_error : {"raise", "skip"}, default="raise"
            What happens to clips that cannot be read, or hold NaN or nothing: an error that lists them, or a warning.
            With "skip", their label is 0. See :ref:`clips_skip`.

        Returns
        -------
        labels : ndarray of shape (n_clips,), int
            +1 for normal clips, -1 for anomalies, 0 for clips that are skipped.
        """
        if skips(on_error):
            usable = UsablePart.of(self, X, reset=True)
            return usable.spread(self.fit_predict(usable.X, usable.labels(y)), 0)
        return self.fit(X, y).predict(X)

    @final
    def score_samples(self, X: Any, *, on_error: str = "raise") -> np.ndarray:
        """Normality score of each clip, the negative of its anomaly score.

        Parameters
        ----------
        X : array, list of paths or clip table
            Clips.
        on_error : {"raise", "skip"}, default="raise"
            What happens to clips that cannot be read, or hold NaN or nothing: an error that lists them, or a warning.
            With "skip", their score is NaN. See :ref:`clips_skip`.

        Returns
        -------
        scores : ndarray of shape (n_clips,), float64
            Scores; high is normal.
        """
        check_is_fitted(self)
        if skips(on_error):
            usable = UsablePart.of(self, X, reset=False)
            return usable.spread(self.score_samples(usable.X), np.nan)
        clips = check_clips(self, X, reset=False, feature=self.feature)
        if self._training_length is not None:
            self._training_length.warn_of_short(clips, type(self).__name__, stacklevel=2)
        return -self._checked_score(clips)

    @final
    def decision_function(self, X: Any, *, on_error: str = "raise") -> np.ndarray:
        """Distance of each score from the threshold: ``score_samples(X) - offset_``.

        Parameters
        ----------
        X : array, list of paths or clip table
            Clips.
        on_error : {"raise", "skip"}, default="raise"
            What happens to clips that cannot be read, or hold NaN or nothing: an error that lists them, or a warning.
            With "skip", their decision is NaN. See :ref:`clips_skip`.

        Returns
        -------
        decisions : ndarray of shape (n_clips,), float64
            Negative for anomalies, 0 or positive for normal clips.
        """
        return self.score_samples(X, on_error=on_error) - self.offset_

    @final
    def predict(self, X: Any, *, on_error: str = "raise") -> np.ndarray:
        """Decide for each clip whether it is normal.

        Parameters
        ----------
        X : array, list of paths or clip table
            Clips.
        on_error : {"raise", "skip"}, default="raise"
            What happens to clips that cannot be read, or hold NaN or nothing: an error that lists them, or a warning.
            With "skip", their label is 0. See :ref:`clips_skip`.

        Returns
        -------
        labels : ndarray of shape (n_clips,), int
            +1 for normal clips, -1 for anomalies, 0 for clips that are skipped.
        """
        decision = self.decision_function(X, on_error=on_error)
        return np.where(np.isnan(decision), 0, np.where(decision >= 0, 1, -1))


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
    check_consistent_length(clips, y)
    y = numeric_labels(column_or_1d(y))
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
