from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from skasd._atomic import restored_on_failure
from skasd.clustering import StatisticalClusterer
from skasd.features import TFgramTransformer, TWFRTransformer
from skasd.scoring import KNNScorer


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError])
def test_attributes_are_as_they_were_after_a_failure(error):
    estimator = SimpleNamespace(kept=1)
    with pytest.raises(error), restored_on_failure(estimator):
        estimator.kept, estimator.n_features_in_ = 2, 3
        raise error
    assert vars(estimator) == {"kept": 1}


def test_attributes_stay_after_success():
    estimator = SimpleNamespace()
    with restored_on_failure(estimator):
        estimator.n_features_in_ = 3
    assert vars(estimator) == {"n_features_in_": 3}


GOOD = np.random.default_rng(0).standard_normal((12, 4))


@pytest.mark.parametrize(
    ("estimator", "bad"),
    [
        (KNNScorer(), {"domain": ["source"] * 11 + ["elsewhere"]}),
        (StatisticalClusterer(n_clusters=2), {"domain": ["source"] * 3}),
    ],
    ids=["scorer", "clusterer"],
)
def test_other_estimators_stay_whole_too(estimator, bad):
    wide = np.random.default_rng(1).standard_normal((12, 6))
    with pytest.raises(ValueError):
        estimator.fit(GOOD, **bad)
    assert not hasattr(estimator, "n_features_in_")
    before = dict(vars(estimator.fit(GOOD)))
    with pytest.raises(ValueError):
        estimator.fit(wide, **bad)
    assert vars(estimator) == before


def test_a_transformer_that_failed_first_is_not_fitted():
    for transformer in (TWFRTransformer(r=2.0), TFgramTransformer(detector=3)):
        with pytest.raises((TypeError, ValueError)):
            transformer.fit(GOOD)
        assert not hasattr(transformer, "n_features_in_")
        with pytest.raises(NotFittedError):
            check_is_fitted(transformer)
