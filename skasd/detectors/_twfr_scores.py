"""What scores clips in a fitted TWFRDetector: it needs no scikit-learn, whose import takes longer than the scoring."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from skasd._rank_pooling import rank_weighted
from skasd._threads import one_blas_thread
from skasd.clips import MACHINE_COLUMNS, Clips
from skasd.detectors._machines import refuse_unknown_machines
from skasd.detectors._spectrum_models import SpectrumModels
from skasd.inputs._frontend import Frontend


class TWFRScores:
    """Anomaly scores by the parts of a fitted TWFRDetector, which inherits them."""

    _values: tuple[float, ...]
    _frontend: Frontend
    _group_columns: tuple[str, ...]
    _models: SpectrumModels
    _machines: dict[str, "Machine"]
    n_jobs: int | None
    verbose: int

    def _anomaly_score(self, clips: Clips) -> np.ndarray:
        names = clips.group_names(self._group_columns, MACHINE_COLUMNS)
        refuse_unknown_machines(names, self._machines, clips, self._group_columns, "group_columns")
        pooled = np.stack(self._of_clips(clips, partial(spectra, r=self._values)))
        return self._scored(names, pooled)

    def _scored(self, names: np.ndarray, spectra: np.ndarray) -> np.ndarray:
        """Anomaly score (n_clips,) of clips of these machines."""
        scores = np.empty(len(names))
        with one_blas_thread():
            for name in np.unique(names):
                group = names == name
                scores[group] = self._machines[str(name)].anomaly_score(spectra[group], self._models)
        return scores

    def _of_clips(self, clips: Clips, function: Callable[[np.ndarray], Any]) -> list[Any]:
        """What a function makes of the spectrogram of each clip."""
        return list(self._frontend.map(clips, function, n_jobs=self.n_jobs, verbose=self.verbose))


@dataclass(frozen=True)
class Machine:
    """The fitted parts of one machine: a model for each r, and the mean and spread of its scores."""

    r: tuple[float, ...]
    kept: list[int]
    mixtures: list[Any]
    location: np.ndarray
    spread: np.ndarray

    def anomaly_score(self, spectra: np.ndarray, models: SpectrumModels) -> np.ndarray:
        """Largest normalised score (n_clips,) over r of spectra (n_clips, n_r, n_mels)."""
        scores = [models.score(model, spectra[:, index]) for index, model in zip(self.kept, self.mixtures, strict=True)]
        return self.combined(np.array(scores))

    def combined(self, scores: np.ndarray) -> np.ndarray:
        """Normalise scores (n_r, n_clips), and return their largest (n_clips,)."""
        return ((scores - self.location[:, None]) / self.spread[:, None]).max(axis=0)


def spectra(spectrogram: np.ndarray, *, r: tuple[float, ...]) -> np.ndarray:
    """TWFR spectra (n_r, n_mels) in float64; sorted before they are, as float32 sorts faster."""
    return rank_weighted(np.sort(spectrogram, axis=1).astype(np.float64, copy=False), r)
