"""Several ways to score with one fitted detector: its own `score_with`, and other back ends on its embeddings."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from skasd.clips._machine_names import machine_names
from skasd.scoring import BackEnd

Score = Callable[[pd.DataFrame], np.ndarray]


def parameter_name(detector: Any, name: str) -> str:
    """Name of a parameter of a detector, or of the last step of a pipeline, for ``set_params``."""
    return f"{detector.steps[-1][0]}__{name}" if hasattr(detector, "steps") else name


def way_names(score_with: Sequence[str], back_ends: Mapping[str, Any]) -> list[str]:
    """Names of all ways to score, in order; empty for an entry that scores in one way."""
    return [*score_with, *(f"embedding, {name}" for name in back_ends)]


def ways_to_score(detector: Any, score_with: Sequence[str], back_ends: Mapping[str, Any], train: pd.DataFrame) -> dict:
    """Functions from clips to ``score_samples`` by the name of the way; one without a name if there is only one way.

    Parameters
    ----------
    detector : estimator
        Fitted.
    score_with : sequence of str
        Values of the parameter `score_with`.
    back_ends : mapping of str to estimator
        Outlier detectors to fit to the embeddings of each machine type and section.
    train : DataFrame
        Clips that the detector was fitted on.

    Returns
    -------
    ways : dict of str or None to callable
        Functions to call one after the other, since they change a parameter of the detector.
    """
    ways: dict[str | None, Score] = {way: _ScoreWith(detector, way) for way in score_with}
    for name, scorer in back_ends.items():
        ways[f"embedding, {name}"] = _ScoreEmbedding(detector, scorer, train)
    return ways or {None: detector.score_samples}


class _ScoreWith:
    """Sets `score_with` of a fitted detector and scores."""

    def __init__(self, detector: Any, way: str) -> None:
        self.detector, self.way = detector, way

    def __call__(self, clips: pd.DataFrame) -> np.ndarray:
        self.detector.set_params(**{parameter_name(self.detector, "score_with"): self.way})
        return self.detector.score_samples(clips)


class _ScoreEmbedding:
    """Scores embeddings by a back end for each machine type and section."""

    def __init__(self, detector: Any, scorer: Any, train: pd.DataFrame) -> None:
        self.detector, self.scorer, self.train = detector, scorer, train
        self.fitted: dict[str, BackEnd] = {}

    def __call__(self, clips: pd.DataFrame) -> np.ndarray:
        if not self.fitted:
            self._fit()
        embedding, score = self.detector.transform(clips), np.empty(len(clips))
        for machine, rows in _rows_by_machine(clips).items():
            score[rows] = -self.fitted[machine].anomaly_score(embedding[rows])
        return score

    def _fit(self) -> None:
        embedding = self.detector.transform(self.train)
        for machine, rows in _rows_by_machine(self.train).items():
            self.fitted[machine] = BackEnd(self.scorer, seed=0).fit(embedding[rows])


def _rows_by_machine(clips: pd.DataFrame) -> dict[str, np.ndarray]:
    machine = machine_names(clips)
    return {name: np.flatnonzero(machine == name) for name in machine.unique()}
