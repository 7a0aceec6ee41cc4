import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, OutlierMixin


class CenterDetector(OutlierMixin, BaseEstimator):
    """Score: minus the distance to the mean of the clips it was fitted on; refuses anomalies."""

    def __init__(self, power=1):
        self.power = power

    def fit(self, X, y=None):
        if y is not None and (np.asarray(y) == -1).any():
            raise ValueError("an anomaly came into fit")
        self.center_ = self._features(X).mean(axis=0)
        return self

    def score_samples(self, X):
        distance = np.abs(self._features(X) - self.center_).sum(axis=1)
        return -(distance**self.power)

    @staticmethod
    def _features(X):
        return X[["a", "b"]].to_numpy() if isinstance(X, pd.DataFrame) else np.asarray(X)


@pytest.fixture
def detector():
    return CenterDetector()


@pytest.fixture
def clips():
    """Clip table of two machine types with two sections, and y: 11 normal clips and 7 anomalies in each section."""
    cells = [(m, s, y) for m in ("fan", "pump") for s in ("00", "02") for y in [1] * 11 + [-1] * 7]
    order = np.random.default_rng(0).permutation(len(cells))
    table = pd.DataFrame([cells[k] for k in order], columns=["machine_type", "section", "y"])
    y = table.pop("y").to_numpy()
    features = np.random.default_rng(1).normal(np.where(y == 1, 0, 2)[:, None], size=(len(y), 2))
    return table.assign(a=features[:, 0], b=features[:, 1]), y
