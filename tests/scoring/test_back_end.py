import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LinearRegression
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity, LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from skasd.scoring import BackEnd, KNNScorer, check_scorer

X = np.random.default_rng(0).standard_normal((60, 3)).astype(np.float32)
OUTLIER = np.full((1, 3), 9.0, dtype=np.float32)


def scores(scorer, seed=0):
    return BackEnd(scorer, seed=seed).fit(X).anomaly_score(X)


@pytest.mark.parametrize(
    "scorer",
    [
        GaussianMixture(2),
        IsolationForest(n_estimators=20),
        LocalOutlierFactor(novelty=True),
        OneClassSVM(),
        make_pipeline(StandardScaler(), GaussianMixture(2)),
    ],
    ids=lambda scorer: type(scorer).__name__,
)
def test_high_is_anomalous(scorer):
    back_end = BackEnd(scorer, seed=0).fit(X)
    assert back_end.anomaly_score(OUTLIER)[0] > back_end.anomaly_score(X).max()


def test_score_is_the_negative_of_that_of_the_model():
    expected = -GaussianMixture(2, random_state=7).fit(X.astype(np.float64)).score_samples(X.astype(np.float64))
    np.testing.assert_allclose(scores(GaussianMixture(2), seed=7), expected, rtol=1e-9)


def test_scores_are_float64_one_a_clip():
    made = scores(GaussianMixture(1))
    assert made.dtype == np.float64
    assert made.shape == (60,)


def test_the_estimator_of_the_user_is_untouched():
    scorer = GaussianMixture(2)
    back_end = BackEnd(scorer, seed=3).fit(X)
    assert back_end.model is not scorer
    assert scorer.random_state is None
    assert not hasattr(scorer, "means_")


def test_an_estimator_that_is_fitted_already_is_fitted_anew():
    scorer = GaussianMixture(1, random_state=0).fit(X + 100)
    assert BackEnd(scorer, seed=0).fit(X).model.means_.max() < 1
    assert scorer.means_.min() > 99


def test_a_random_state_that_is_none_is_filled_in():
    assert BackEnd(IsolationForest(), seed=3).model.random_state == 3


def test_a_random_state_of_the_user_is_kept():
    assert BackEnd(IsolationForest(random_state=8), seed=3).model.random_state == 8


def test_an_estimator_without_a_random_state_is_taken():
    assert np.isfinite(scores(KernelDensity())).all()


def test_same_seed_same_scores():
    forest = IsolationForest(n_estimators=5)
    np.testing.assert_array_equal(scores(forest), scores(forest))
    assert (scores(forest) != scores(forest, seed=1)).any()


def test_same_seed_same_scores_of_a_pipeline():
    forest = make_pipeline(StandardScaler(), IsolationForest(n_estimators=5))
    np.testing.assert_array_equal(scores(forest), scores(forest))


@pytest.mark.parametrize(
    "scorer, lacking",
    [
        (KMeans(2), "score_samples"),
        (LinearRegression(), "score_samples"),
        (make_pipeline(StandardScaler(), KMeans(2)), "score_samples"),
        ("gmm", "fit, score_samples, get_params"),
        (LocalOutlierFactor(), "score_samples"),
    ],
    ids=str,
)
def test_what_cannot_score_is_refused_by_name(scorer, lacking):
    with pytest.raises(TypeError, match=rf"(?s)^scorer=.* has no {lacking};"):
        check_scorer(scorer)


def test_a_back_end_refuses_what_cannot_score():
    with pytest.raises(TypeError, match=r"^scorer="):
        BackEnd(KMeans(2), seed=0)


def test_a_class_is_refused_by_name():
    with pytest.raises(TypeError, match=r"^scorer="):
        BackEnd(GaussianMixture, seed=0)


def test_the_refusal_of_local_outlier_factor_tells_what_to_set():
    with pytest.raises(TypeError, match=r"LocalOutlierFactor needs novelty=True\.$"):
        check_scorer(LocalOutlierFactor())


def test_the_refusal_of_a_class_that_has_no_such_hint_has_none():
    with pytest.raises(TypeError, match=r"GaussianMixture\(\) or LocalOutlierFactor\(novelty=True\)\.$"):
        check_scorer(KMeans(2))


def test_a_scorer_that_takes_domains_is_told_and_others_are_not():
    domain = np.array(["target"] + ["source"] * 59, dtype=object)
    told = BackEnd(KNNScorer(2), seed=0).fit(X, domain)
    np.testing.assert_array_equal(
        -told.anomaly_score(X), KNNScorer(2).fit(X.astype(float), domain=domain).score_samples(X)
    )
    assert BackEnd(GaussianMixture(1), seed=0).fit(X, domain).anomaly_score(X).shape == (60,)
