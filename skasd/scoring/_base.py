"""BackEnd: the common interface to outlier detectors and density models that score embeddings."""

from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from skasd._threads import one_blas_thread


class BackEnd:
    """A clone of an outlier detector or density model, with the sign of its scores reversed: high is anomalous.

    Parameters
    ----------
    scorer : estimator
        Estimator with ``fit`` and ``score_samples`` (high is normal), such as the outlier detectors and density models of
        scikit-learn.
    seed : int
        Value of its `random_state` if that is None, also in the steps of a pipeline.

    Raises
    ------
    TypeError
        If the scorer has no ``fit`` or ``score_samples``.
    """

    def __init__(self, scorer: Any, *, seed: int) -> None:
        check_scorer(scorer)
        self.model = clone(scorer)
        unseeded = [name for name, value in self.model.get_params().items() if value is None]
        seeds = {
            name: seed for name in unseeded if name.split("__")[-1] == "random_state"
        }  # of steps of a pipeline too
        self.model.set_params(**seeds)

    def fit(self, embedding: np.ndarray, domain: np.ndarray | None = None) -> Self:
        """Fit the model to embeddings of normal clips.

        Parameters
        ----------
        embedding : ndarray of shape (n_clips, embedding_dim)
            Embeddings.
        domain : ndarray of shape (n_clips,), str, or None, default=None
            ``"source"`` or ``"target"``; used only if ``fit`` of the model has a parameter `domain`.

        Returns
        -------
        self : BackEnd
            The fitted back end.
        """
        told = {"domain": domain} if has_fit_parameter(self.model, "domain") else {}
        with one_blas_thread():
            self.model.fit(np.asarray(embedding, dtype=np.float64), **told)
        return self

    def anomaly_score(self, embedding: np.ndarray) -> np.ndarray:
        """Anomaly score of each clip.

        Parameters
        ----------
        embedding : ndarray of shape (n_clips, embedding_dim)
            Embeddings.

        Returns
        -------
        score : ndarray of shape (n_clips,), float64
            Anomaly scores, high is anomalous.
        """
        with one_blas_thread():
            score = np.asarray(self.model.score_samples(np.asarray(embedding, dtype=np.float64)), dtype=np.float64)
        if score.shape != (len(embedding),):
            raise ValueError(
                f"scorer={self.model!r}: score_samples returned shape {score.shape} for {len(embedding)} embeddings; "
                f"({len(embedding)},) is expected."
            )
        return -score


def check_scorer(scorer: Any) -> None:
    """Raise unless `scorer` can be a back end.

    Parameters
    ----------
    scorer : object
        Value to check.
    """
    if isinstance(scorer, type):
        raise TypeError(f"scorer={scorer!r} is a class; an instance is expected: {scorer.__name__}().")
    lacking = [name for name in ("fit", "score_samples", "get_params") if not hasattr(scorer, name)]
    if lacking:
        hint = " LocalOutlierFactor needs novelty=True." if type(scorer).__name__ == "LocalOutlierFactor" else ""
        raise TypeError(
            f"scorer={scorer!r} has no {', '.join(lacking)}; an outlier detector or density model of scikit-learn is "
            f"expected, such as GaussianMixture() or LocalOutlierFactor(novelty=True).{hint}"
        )
