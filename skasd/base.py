"""BaseDetector: the public verbs of every detector, and the one minus sign between anomaly score and `score_samples`."""

import warnings
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self, final

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.validation import check_is_fitted

from skasd._atomic import restored_on_failure
from skasd._deciding import Deciding, NormalScores
from skasd._explained import Explained
from skasd._extremes import as_of_one_window
from skasd._interrupt import noted_interrupts
from skasd._parameters import check_contamination, check_option, naming, numeric_labels
from skasd._threshold import THRESHOLDS
from skasd.clips import Clips, check_clips
from skasd.clips._file_formats import file_formats, warn_of_other_formats
from skasd.clips._readers import readers_of
from skasd.clips._training_clips import warn_of_training_clips
from skasd.clips._training_data import TrainingData
from skasd.clips._usable import UsablePart, skips
from skasd.clips._window_scores import checked_score, largest_score
from skasd.clips._windows import TrainingLength

__all__ = ["BaseDetector", "NormalScores", "normals_only"]


class BaseDetector(OutlierMixin, Deciding, Explained, BaseEstimator, ABC):
    """Base class of all detectors.

    A subclass implements ``__init__`` (with `contamination` and `threshold`) and two hooks. ``_fit(clips)`` learns from
    normal clips, sets attributes that end in "_", and returns the :class:`NormalScores` it has computed on the way, or None.
    ``_anomaly_score(clips)`` returns one number per clip, high for anomalous clips. With :math:`A` the anomaly score,

    - ``score_samples`` is :math:`-A`: high is normal;
    - ``offset_``, the threshold, is the `contamination` quantile of ``score_samples`` over normal clips that were held out;
      with ``threshold="gamma"``, the quantile of a gamma distribution fitted to their :math:`A`. ``contamination="auto"`` is
      10 %;
    - ``decision_function`` is ``score_samples - offset_``: negative is anomalous;
    - ``predict`` is its sign: +1 normal, -1 anomaly.

    A subclass that decides in another way overrides ``_learn_threshold`` and ``_offset_of``, and needs neither parameter.

    A detector decides about *new* clips, like scikit-learn's ``LocalOutlierFactor(novelty=True)``: `contamination` is the
    share of new normal clips that may raise an alarm. Only ``fit_predict`` decides about the training clips themselves.

    After ``fit``, ``interrupted_`` says whether Ctrl-C ended a training inside it early; a detector without one has False.

    A detector with a parameter `feature` reads that column of a clip table; a detector without it reads the feature column
    if there is exactly one.

    A clip longer than 1.1 times the median length of the training clips is given to ``_anomaly_score`` in windows of that
    length. Its score is the largest of them, made comparable with the score of one window, see :ref:`clips_length`.
    """

    feature: Any = "auto"
    novelty = True  # predict is about new clips, as scikit-learn's common checks need to know
    _leaves_out: str | None = None  # "cross" or "leave_one_out" if `_fit` scores each clip by what it learnt of others
    _hears_long_clips: ClassVar[bool] = False  # whether `_anomaly_score` takes care of clips of any length itself
    _training_length: TrainingLength | None = None
    _file_formats: frozenset[str] = frozenset()

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
        check_contamination(getattr(self, "contamination", "auto"))
        check_option("threshold", getattr(self, "threshold", "quantile"), THRESHOLDS)
        if skips(on_error):
            usable = UsablePart.of(self, X, reset=True)
            return self.fit(usable.X, usable.labels(y))
        with restored_on_failure(self):
            clips = normals_only(check_clips(self, X, reset=True, feature=self.feature), y)
            warn_of_training_clips(self, clips)
            self._learn_threshold(_learnt(self, clips), clips)
            self._training_data = TrainingData.of(clips)
        return self

    @final
    def fit_predict(self, X: Any, y: Any = None, *, on_error: str = "raise") -> np.ndarray:
        """Fit on the clips of X that are not labelled -1, then decide about all clips of X.

        With a number for `contamination`, that share of the clips of the fit is flagged, by their own scores: those clips
        that are least like the others. ``predict`` instead accepts that share of false alarms among *new* normal clips, and
        so flags fewer of the clips of the fit. With ``contamination="auto"`` this is ``fit(X, y).predict(X)``.

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
        self.fit(X, y)
        contamination = getattr(self, "contamination", "auto")
        if isinstance(contamination, str):
            return self.predict(X)
        scores = self.score_samples(X)
        normal = slice(None) if y is None else numeric_labels(column_or_1d(y)) != -1
        return np.where(scores >= np.quantile(scores[normal], contamination), 1, -1)

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
        return -checked_score(self, clips_to_score(self, X))

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
        check_is_fitted(self)
        if skips(on_error):
            usable = UsablePart.of(self, X, reset=False)
            return usable.spread(self.decision_function(usable.X), np.nan)
        clips = clips_to_score(self, X)
        return -checked_score(self, clips) - self._offset_of(clips)

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


def clips_to_score(detector: BaseDetector, X: Any) -> Clips:
    """Clips of X for a fitted detector, with warnings about those that it was not fitted for.

    Parameters
    ----------
    detector : BaseDetector
        Fitted detector.
    X : array, list of paths or clip table
        Clips.
    """
    clips = check_clips(detector, X, reset=False, feature=detector.feature)
    if detector._training_length is not None:
        detector._training_length.warn_of_short(clips, type(detector).__name__, stacklevel=3)
    warn_of_other_formats(clips, detector._file_formats)
    return clips


def _learnt(detector: BaseDetector, clips: Clips) -> NormalScores:
    """Have a detector learn from normal clips, and return the scores that determine the threshold."""
    detector._training_length = detector._held_out_scores = detector._threshold_scores = None
    detector._file_formats = file_formats(clips)
    with noted_interrupts() as interrupts:
        scores = detector._fit(clips)
    detector.interrupted_ = bool(interrupts)
    detector._learn_normal_levels(clips)
    if not detector._hears_long_clips:
        detector._training_length = TrainingLength.of(clips, readers_of(detector)[0])
    if scores is None:
        return NormalScores(_score_of_learnt(detector, clips))
    if not isinstance(scores, NormalScores):
        raise TypeError(
            f"{type(detector).__name__}._fit returned a {type(scores).__name__}; NormalScores or None is expected."
        )
    return scores


def _score_of_learnt(detector: BaseDetector, clips: Clips) -> np.ndarray:
    """Anomaly score (n_clips,) of training clips that set the threshold themselves, on the scale of one window."""
    score, share = largest_score(detector, clips)
    of_one_window = score[share == 1]  # some are, as the median training length is that of a window
    return as_of_one_window(score, share, np.sort(of_one_window))


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
