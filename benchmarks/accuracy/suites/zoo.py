"""The detector to start with, what one would pick instead, and what each part of it is worth.

Twenty synthetic machines, with three seeds; and real recordings, with the split of the data set and with random draws of as
many normal clips to train on. ``pip install ".[benchmark]"`` installs what the peers need; PyOD is imported when one of its
detectors is fitted.
"""

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path

import librosa
import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skasd.benchmark import Entry, Suite
from skasd.detectors import StatisticsDetector, TWFRDetector
from skasd.detectors._experts import EXPERTS

shared = run_path(str(Path(__file__).with_name("recordings.py")))

DATA = {
    "valve2023, its split": {**shared["VALVE"], "seeds": (0,)},
    "valve2023, random draws": {**shared["VALVE"], "draw": True, "seeds": tuple(range(10))},
    "toycar2020_logmel, its split": {**shared["TOYCAR"], "seeds": (0,)},
    "toycar2020_logmel, random draws": {**shared["TOYCAR"], "draw": True, "seeds": (0, 1, 2)},
    **shared["ZOO"],
}


class OfMachines(OutlierMixin, BaseEstimator):
    """A detector of its own for each machine; `_new` makes one, fits it to clips and returns it."""

    def fit(self, X, y=None):
        self.detectors_ = {machine: self._new(clips) for machine, clips in X.groupby(["machine_type", "section"])}
        return self

    def score_samples(self, X):
        score = np.empty(len(X))
        for machine, rows in X.groupby(["machine_type", "section"]).indices.items():
            score[rows] = self._score(self.detectors_[machine], X.iloc[rows])
        return score


def mfcc(clips):
    """Mean and standard deviation over time of twenty coefficients."""
    coefficients = [librosa.feature.mfcc(S=log_mel, n_mfcc=20) for log_mel in clips["log_mel"]]
    return np.array([np.concatenate([values.mean(axis=1), values.std(axis=1)]) for values in coefficients])


class MFCCDetector(OfMachines):
    """What a tutorial ends with: the nearest neighbour, or an isolation forest, on statistics of MFCC."""

    def __init__(self, model="knn", random_state=None):
        self.model = model
        self.random_state = random_state

    def _new(self, clips):
        scaler = StandardScaler().fit(mfcc(clips))
        model = (
            NearestNeighbors(n_neighbors=1) if self.model == "knn" else IsolationForest(random_state=self.random_state)
        )
        return scaler, model.fit(scaler.transform(mfcc(clips)))

    def _score(self, fitted, clips):
        scaler, model = fitted
        values = scaler.transform(mfcc(clips))
        return -model.kneighbors(values)[0][:, 0] if self.model == "knn" else model.score_samples(values)


class PyODDetector(OfMachines):
    """A detector of PyOD with its defaults, on the same statistics of MFCC.

    The audio features of PyOD need waveforms, and of the toy cars there are log-mels only.
    """

    def __init__(self, model="knn", random_state=None):
        self.model = model
        self.random_state = random_state

    def _new(self, clips):
        from pyod.models.auto_encoder import AutoEncoder  # here, so that the suite loads without PyOD
        from pyod.models.knn import KNN

        model = KNN() if self.model == "knn" else AutoEncoder(random_state=self.random_state, device="cpu", verbose=0)
        return make_pipeline(StandardScaler(), model).fit(mfcc(clips))

    def _score(self, fitted, clips):
        return -fitted.decision_function(mfcc(clips))


class Ablated(OfMachines):
    """StatisticsDetector with other experts than "auto" chooses: those of one regime, or without a statistic or back end."""

    def __init__(self, regime=None, without=None, together=False):
        self.regime = regime
        self.without = without
        self.together = together

    def _new(self, clips):
        regime = (
            self.regime
            or StatisticsDetector().fit(clips).regime_[clips["machine_type"].iloc[0] + "/" + clips["section"].iloc[0]]
        )
        experts = [[pair for pair in expert if self.without not in pair] for expert in EXPERTS[regime]]
        experts = [expert for expert in experts if expert]
        if self.together:
            experts = [list(dict.fromkeys(pair for expert in experts for pair in expert))]
        return StatisticsDetector(list(map(tuple, dict.fromkeys(map(tuple, experts))))).fit(clips)

    def _score(self, fitted, clips):
        return fitted.score_samples(clips)


DETECTORS = {
    "statistics": StatisticsDetector(),
    "TWFR, auto": TWFRDetector(),
    "Gaussian on the time mean": TWFRDetector(r=1.0),
    "MFCC, kNN": MFCCDetector(),
    "MFCC, isolation forest": MFCCDetector("forest"),
    "MFCC, PyOD kNN": PyODDetector(),
    "MFCC, PyOD autoencoder": PyODDetector("autoencoder"),
    "experts of steady machines": Ablated("steady"),
    "experts of intermittent machines": Ablated("intermittent"),
    "experts of impulsive machines": Ablated("impulsive"),
    "without level": StatisticsDetector(level=False),
    "without standardize": Ablated(without="standardize"),
    "without dynamics": Ablated(without="dynamics"),
    "without modulation": Ablated(without="modulation"),
    "without q0.25": Ablated(without="q0.25"),
    "one expert with all pairs": Ablated(together=True),
}

PYOD = {"pyod": version("pyod")} if find_spec("pyod") else {}  # which results record beside the versions of skasd
suite = Suite(
    "zoo",
    DATA,
    {
        name: Entry(detector, features=shared["MEL"], tags=PYOD if isinstance(detector, PyODDetector) else {})
        for name, detector in DETECTORS.items()
    },
)
