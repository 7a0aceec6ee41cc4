"""BaseScorer: base class of back ends, outlier detectors on embeddings of two domains."""

from abc import ABC, abstractmethod
from typing import Any, Self, final

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from skasd._atomic import restored_on_failure
from skasd._constant_scores import warn_of_constant_scores
from skasd._parameters import check_contamination, checked_names, naming
from skasd._threads import one_blas_thread

_FALSE_ALARM_SHARE = 0.1  # for contamination="auto"
_DOMAINS = ("source", "target")
_FEW = 10  # up to this many different embeddings may have equal scores because they lie symmetrically


class BaseScorer(OutlierMixin, BaseEstimator, ABC):
    """Base class of all back ends.

    A subclass implements ``__init__`` (with `contamination`) and two hooks: ``_fit(embedding, is_target)`` and
    ``_anomaly_score(embedding)``, which is high for anomalous clips.
    """

    contamination: float | str

    @abstractmethod
    def _fit(self, embedding: np.ndarray, is_target: np.ndarray) -> None:
        """Fit to embeddings (n_clips, embedding_dim) of normal clips; `is_target` (n_clips,) marks the target domain."""

    @abstractmethod
    def _anomaly_score(self, embedding: np.ndarray) -> np.ndarray:
        """Anomaly score (n_clips,) of embeddings (n_clips, embedding_dim)."""

    @final
    def fit(self, X: Any, y: Any = None, *, domain: Any = None) -> Self:
        """Fit the back end to embeddings of normal clips and set the threshold.

        Parameters
        ----------
        X : array-like of shape (n_clips, embedding_dim)
            Embeddings of normal clips.
        y : Ignored
            Not used, present for API consistency by convention.
        domain : array-like of shape (n_clips,), default=None
            Domain of each clip, ``"source"`` or ``"target"``. None assigns all clips to the source domain.

        Returns
        -------
        self : object
            The fitted back end.

        Raises
        ------
        ValueError
            If a domain is neither ``"source"`` nor ``"target"``, or a parameter is out of range.
        """
        check_contamination(self.contamination)
        with restored_on_failure(self), one_blas_thread():
            with naming("X"):
                X = validate_data(self, X, dtype=[np.float64, np.float32])
            self._dtype = X.dtype
            is_target = _is_target(X, domain)
            share = _FALSE_ALARM_SHARE if isinstance(self.contamination, str) else self.contamination
            self._fit(X, is_target)
            score = -_checked(np.asarray(self._anomaly_score(X), dtype=np.float64))
        self.offset_ = float(np.quantile(score, share))
        warn_of_constant_scores(score, fewest=_FEW if np.ptp(X, axis=0).any() else 2)
        return self

    @final
    def score_samples(self, X: Any) -> np.ndarray:
        """Normality score of each clip.

        Parameters
        ----------
        X : array-like of shape (n_clips, embedding_dim)
            Embeddings.

        Returns
        -------
        scores : ndarray of shape (n_clips,), float64
            Negative anomaly scores; high is normal.
        """
        check_is_fitted(self)
        with naming("X"):
            X = validate_data(self, X, dtype=self._dtype, reset=False)
        with one_blas_thread():
            return -_checked(np.asarray(self._anomaly_score(X), dtype=np.float64))

    @final
    def decision_function(self, X: Any) -> np.ndarray:
        """Score relative to the threshold: ``score_samples(X) - offset_``.

        Parameters
        ----------
        X : array-like of shape (n_clips, embedding_dim)
            Embeddings.

        Returns
        -------
        decisions : ndarray of shape (n_clips,), float64
            Negative for anomalies.
        """
        return self.score_samples(X) - self.offset_

    @final
    def predict(self, X: Any) -> np.ndarray:
        """Classify each clip as normal or anomalous.

        Parameters
        ----------
        X : array-like of shape (n_clips, embedding_dim)
            Embeddings.

        Returns
        -------
        labels : ndarray of shape (n_clips,), int
            +1 for normal clips, -1 for anomalies.
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)


def _checked(score: np.ndarray) -> np.ndarray:
    """The score, after a look for numbers that overflowed on the way."""
    if not np.isfinite(score).all():
        clip = int(np.argmin(np.isfinite(score)))
        raise ValueError(
            f"The score of row {clip} of X is {score[clip]}: its values, or those of the training clips, are too large, or "
            "a parameter of the scorer is too extreme."
        )
    return score


def _is_target(X: np.ndarray, domain: Any) -> np.ndarray:
    if domain is None:
        return np.zeros(len(X), dtype=bool)
    domain = checked_names("domain", domain, len(X))
    unknown = [name for name in domain if name not in _DOMAINS]
    if unknown:
        raise ValueError(f"domain contains {str(unknown[0])!r}; expected 'source' or 'target' for each clip.")
    return domain == "target"
