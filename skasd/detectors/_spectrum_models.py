"""What is fitted to the spectra of one machine: a Gaussian mixture, or any scorer, with scores of clips that were held out.

Symbols: n clips, d values of a spectrum.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from skasd._threshold import threshold_is_used
from skasd.detectors._gaussian import SCORES, fit_mixture, folds, held_out_scores

if TYPE_CHECKING:
    from skasd.scoring import BackEnd

_N_FOLDS = 5


class SpectrumModels(Protocol):
    """A kind of model of spectra."""

    def fit(self, X: np.ndarray, domain: np.ndarray) -> Any:
        """Fit a model to spectra X (n, d) of clips of these domains (n,)."""

    def score(self, model: Any, X: np.ndarray) -> np.ndarray:
        """Anomaly score (n,) of spectra X (n, d) by a model."""

    def splits(self, model: Any) -> bool:
        """Whether the score of a model splits into parts of the values of a spectrum."""

    def held_out(self, X: np.ndarray, domain: np.ndarray, recording: np.ndarray) -> np.ndarray:
        """Anomaly score (n,) of each spectrum by a model of clips of other recordings."""


@dataclass(frozen=True)
class Mixtures:
    """Gaussian mixtures, which know no domains.

    Parameters
    ----------
    score_by : {"component", "log_likelihood"}
        Kind of score.
    settings : dict
        Parameters of :func:`fit_mixture`.
    """

    score_by: str
    settings: dict[str, Any]

    def fit(self, X: np.ndarray, domain: np.ndarray) -> Any:
        return fit_mixture(X, **self.settings)

    def score(self, model: Any, X: np.ndarray) -> np.ndarray:
        return SCORES[self.score_by](model, X)

    def splits(self, model: Any) -> bool:
        return self.score_by == "component" or len(model.means_) == 1

    def held_out(self, X: np.ndarray, domain: np.ndarray, recording: np.ndarray) -> np.ndarray:
        return held_out_scores(X, self.score_by, recording=recording, **self.settings)


@dataclass(frozen=True)
class Scorers:
    """Clones of a scorer.

    Parameters
    ----------
    scorer : estimator
        Outlier detector or density model.
    random_state : RandomState
        Assigns clips to folds, and seeds scorers.
    """

    scorer: Any
    random_state: np.random.RandomState

    def fit(self, X: np.ndarray, domain: np.ndarray) -> BackEnd:
        from skasd.scoring import BackEnd

        return BackEnd(self.scorer, seed=int(self.random_state.randint(2**31 - 1))).fit(X, domain)

    def score(self, model: BackEnd, X: np.ndarray) -> np.ndarray:
        return model.anomaly_score(X)

    def splits(self, model: BackEnd) -> bool:
        return False

    def held_out(self, X: np.ndarray, domain: np.ndarray, recording: np.ndarray) -> np.ndarray:
        n_folds = min(_N_FOLDS, len(np.unique(recording)))
        if n_folds < 2:
            if threshold_is_used():
                warnings.warn(
                    f"Few normal clips: {len(X)} clips of one recording, so none could be held out, and the threshold is "
                    "set on scores of training clips and gives too many false alarms; give more recordings.",
                    stacklevel=2,
                )
            return self.fit(X, domain).anomaly_score(X)
        scores = np.empty(len(X))
        for rest, fold in folds(n_folds, recording, self.random_state):
            scores[fold] = self.fit(X[rest], domain[rest]).anomaly_score(X[fold])
        return scores
