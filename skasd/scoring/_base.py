"""What a detector asks of a back end, whatever outlier detector or density model of scikit-learn it is."""

from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from skasd._threads import one_blas_thread


class BackEnd:
    """A clone of an outlier detector or density model, with its sign turned back: high is anomalous.

    Parameters
    ----------
    scorer : estimator
        Has ``fit`` and ``score_samples`` (high for normal), as scikit-learn's outlier detectors and density models do.
    seed : int
        Seeds its `random_state`, if it has one that is None.

    Raises
    ------
    TypeError
        The scorer has no ``fit`` or ``score_samples``.
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
        """Learn from embeddings (n_clips, embedding_dim) of normal clips; a model that takes domains (n_clips,) is told."""
        told = {"domain": domain} if has_fit_parameter(self.model, "domain") else {}
        with one_blas_thread():
            self.model.fit(np.asarray(embedding, dtype=np.float64), **told)
        return self

    def anomaly_score(self, embedding: np.ndarray) -> np.ndarray:
        """Anomaly score (n_clips,) of embeddings (n_clips, embedding_dim)."""
        with one_blas_thread():
            return -np.asarray(self.model.score_samples(np.asarray(embedding, dtype=np.float64)), dtype=np.float64)


def check_scorer(scorer: Any) -> None:
    """Raise unless `scorer` can be a back end."""
    if isinstance(scorer, type):
        raise TypeError(f"scorer={scorer!r} is a class; an estimator is expected: {scorer.__name__}().")
    lacking = [name for name in ("fit", "score_samples", "get_params") if not hasattr(scorer, name)]
    if lacking:
        hint = " LocalOutlierFactor needs novelty=True." if type(scorer).__name__ == "LocalOutlierFactor" else ""
        raise TypeError(
            f"scorer={scorer!r} has no {', '.join(lacking)}; an outlier detector or density model of scikit-learn is "
            f"expected, such as GaussianMixture() or LocalOutlierFactor(novelty=True).{hint}"
        )
