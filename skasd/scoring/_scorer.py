"""BaseScorer: a back end as an outlier detector of embeddings that knows which clips are of the target domain."""

from abc import ABC, abstractmethod
from typing import Any, Self, final

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from skasd._parameters import check_number, checked_names
from skasd._threads import one_blas_thread

_FALSE_ALARM_SHARE = 0.1  # of contamination="auto"
_DOMAINS = ("source", "target")


class BaseScorer(OutlierMixin, BaseEstimator, ABC):
    """What every back end shares.

    A back end writes ``__init__`` (with `contamination`) and two hooks: ``_fit(embedding, is_target)`` and
    ``_anomaly_score(embedding)``, high for anomalous clips.
    """

    contamination: float | str

    @abstractmethod
    def _fit(self, embedding: np.ndarray, is_target: np.ndarray) -> None:
        """Learn from embeddings (n_clips, embedding_dim) of normal clips, some of the target domain (n_clips,)."""

    @abstractmethod
    def _anomaly_score(self, embedding: np.ndarray) -> np.ndarray:
        """Anomaly score (n_clips,) of embeddings (n_clips, embedding_dim)."""

    @final
    def fit(self, X: Any, y: Any = None, *, domain: Any = None) -> Self:
        """Learn what embeddings of normal clips are like.

        Parameters
        ----------
        X : array-like of shape (n_clips, embedding_dim)
            Embeddings of normal clips.
        y : Ignored
            Not used, present by convention.
        domain : array-like of shape (n_clips,), default=None
            ``"source"`` or ``"target"`` for each clip. None takes all clips as of the source domain.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            A domain is neither of the two, or a parameter is out of range.
        """
        if self.contamination != "auto":
            check_number("contamination", self.contamination, low=0, high=0.5, above=True)
        X = validate_data(self, X, dtype=[np.float64, np.float32])
        self._dtype = X.dtype
        is_target = _is_target(X, domain)
        share = _FALSE_ALARM_SHARE if isinstance(self.contamination, str) else self.contamination
        with one_blas_thread():
            self._fit(X, is_target)
            self.offset_ = float(np.quantile(-self._anomaly_score(X), share))
        return self

    @final
    def score_samples(self, X: Any) -> np.ndarray:
        """How normal each clip is.

        Parameters
        ----------
        X : array-like of shape (n_clips, embedding_dim)
            Embeddings.

        Returns
        -------
        scores : ndarray of shape (n_clips,), float64
            High is normal.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=self._dtype, reset=False)
        with one_blas_thread():
            return -np.asarray(self._anomaly_score(X), dtype=np.float64)

    @final
    def decision_function(self, X: Any) -> np.ndarray:
        """``score_samples(X) - offset_`` of shape (n_clips,): negative for anomalies.

        Parameters
        ----------
        X : array-like of shape (n_clips, embedding_dim)
            Embeddings.

        Returns
        -------
        decisions : ndarray of shape (n_clips,), float64
        """
        return self.score_samples(X) - self.offset_

    @final
    def predict(self, X: Any) -> np.ndarray:
        """+1 for clips taken as normal, -1 for anomalies.

        Parameters
        ----------
        X : array-like of shape (n_clips, embedding_dim)
            Embeddings.

        Returns
        -------
        labels : ndarray of shape (n_clips,), int
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)


def _is_target(X: np.ndarray, domain: Any) -> np.ndarray:
    if domain is None:
        return np.zeros(len(X), dtype=bool)
    domain = checked_names("domain", domain, len(X))
    unknown = [name for name in domain if name not in _DOMAINS]
    if unknown:
        raise ValueError(f"domain holds {str(unknown[0])!r}; each clip is of the 'source' or of the 'target'.")
    return domain == "target"
