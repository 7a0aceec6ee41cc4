import pickle
from collections import Counter

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from skasd.scoring import GMMScorer, KMeansScorer, KNNScorer, LocalDensityScorer, MahalanobisScorer, ScaledKNNScorer

SCORERS = [
    KNNScorer(),
    KNNScorer(3, metric="euclidean"),
    LocalDensityScorer(),
    KMeansScorer(random_state=0),
    GMMScorer(random_state=0),
    GMMScorer(2, density="component", random_state=0),
    MahalanobisScorer(),
    MahalanobisScorer(shrinkage=0.1),
    ScaledKNNScorer(),
    ScaledKNNScorer("standardize", n_neighbors=1, n_density_neighbors=3),
]
every_scorer = pytest.mark.parametrize("scorer", SCORERS, ids=str)

GENERATOR = np.random.default_rng(0)
X = GENERATOR.standard_normal((60, 5))
DOMAIN = np.where(np.arange(60) % 6 == 0, "target", "source")
FAR = np.full((1, 5), 30.0) * [1, -1, 1, -1, 1]


@every_scorer
def test_every_common_check_passes(scorer):
    counts = Counter(result["status"] for result in check_estimator(scorer, on_skip=None))
    assert counts["passed"] >= 46, counts
    assert counts["skipped"] <= 1, counts  # the array API one


@every_scorer
def test_pickled_scorer_gives_the_same(scorer):
    fitted = clone(scorer).fit(X, domain=DOMAIN)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).score_samples(X), fitted.score_samples(X))


@pytest.mark.parametrize(
    "scorer", [KNNScorer(), LocalDensityScorer(), GMMScorer(), MahalanobisScorer(), ScaledKNNScorer()], ids=str
)
def test_order_of_the_training_clips_is_of_no_account(scorer):  # the others draw their first centres by position
    order = np.random.default_rng(1).permutation(len(X))
    first, second = clone(scorer).fit(X, domain=DOMAIN), clone(scorer).fit(X[order], domain=DOMAIN[order])
    np.testing.assert_allclose(first.score_samples(FAR), second.score_samples(FAR), rtol=1e-9)


@every_scorer
def test_a_single_clip_can_be_learnt_from(scorer):
    assert np.isfinite(clone(scorer).fit(X[:1]).score_samples(X)).all()


@every_scorer
@pytest.mark.parametrize("training", [np.repeat(X[:1], 4, axis=0), np.zeros((3, 5))], ids=["equal", "zeros"])
def test_equal_clips_can_be_learnt_from_with_a_warning(scorer, training):
    with pytest.warns(UserWarning, match=f"Constant scores: all {len(training)} normal clips"):
        fitted = clone(scorer).fit(training)
    assert np.isfinite(fitted.score_samples(X)).all()


@every_scorer
def test_a_target_domain_of_one_clip_can_be_learnt_from(scorer):
    domain = ["target"] + ["source"] * 59
    with_target = clone(scorer).fit(X, domain=domain)
    assert np.isfinite(with_target.score_samples(X)).all()


@every_scorer
def test_all_clips_may_be_of_the_target_domain(scorer):
    fitted = clone(scorer).fit(X, domain=["target"] * 60)
    assert np.isfinite(fitted.score_samples(X)).all()


@every_scorer
def test_global_random_state_is_left_alone(scorer):
    unseeded = clone(scorer).set_params(**{name: None for name in scorer.get_params() if name == "random_state"})
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    unseeded.fit(X, domain=DOMAIN).score_samples(X)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@every_scorer
def test_float32_is_taken(scorer):
    expected = clone(scorer).fit(X.astype(np.float32).astype(np.float64)).score_samples(FAR)
    np.testing.assert_allclose(clone(scorer).fit(X.astype(np.float32)).score_samples(FAR), expected, rtol=1e-3)


@every_scorer
def test_about_one_in_ten_training_clips_is_below_the_threshold(scorer):
    rejected = np.mean(clone(scorer).fit(X, domain=DOMAIN).predict(X) == -1)
    assert 0.05 <= rejected <= 0.15


@every_scorer
@pytest.mark.parametrize(
    ("domain", "error", "message"),
    [
        (["source"] * (len(X) - 1), ValueError, "domain has .* names for .* clips; one name per clip is expected"),
        ([*["source"] * (len(X) - 1), "Target"], ValueError, "domain contains 'Target'; expected 'source' or"),
        ([*["source"] * (len(X) - 1), None], ValueError, "domain contains None; a string is expected for each clip"),
        ("source", TypeError, "domain='source'; a sequence of .* names is expected"),
    ],
)
def test_strange_domains_are_refused(scorer, domain, error, message):
    with pytest.raises(error, match=message):
        clone(scorer).fit(X, domain=domain)


@every_scorer
def test_training_clips_are_known_but_for_rounding(scorer):
    rng = np.random.default_rng(0)
    embedding = rng.standard_normal((200, 64))
    domain = np.where(np.arange(200) % 10, "source", "target")
    fitted = clone(scorer).fit(embedding, domain=domain)
    exact = fitted.score_samples(embedding)
    rounded = fitted.score_samples(embedding * (1 + 1e-7 * rng.standard_normal(embedding.shape)))
    np.testing.assert_allclose(rounded, exact, rtol=1e-3)


@every_scorer
def test_bad_contamination_is_refused(scorer):
    with pytest.raises(ValueError, match=r"contamination=0.7 is out of range; a number in \(0, 0.5\]"):
        clone(scorer).set_params(contamination=0.7).fit(X)


@pytest.mark.parametrize(
    ("scorer", "message"),
    [
        (KNNScorer(0), "n_neighbors=0 is too small"),
        (KNNScorer(metric="l1"), "metric='l1' is unknown; expected one of 'cosine', 'chord', 'euclidean'"),
        (KNNScorer(smote_ratio=-1), "smote_ratio=-1.0 is out of range"),
        (KNNScorer(smote_neighbors=0), "smote_neighbors=0 is too small"),
        (LocalDensityScorer(0), "n_neighbors=0 is too small"),
        (LocalDensityScorer(metric="l1"), "metric='l1' is unknown"),
        (KMeansScorer(0), "n_clusters=0 is too small"),
        (GMMScorer(0), "n_components=0 is too small"),
        (GMMScorer(covariance_type="all"), "covariance_type='all' is unknown"),
        (GMMScorer(reg_covar=-1), "reg_covar=-1.0 is out of range"),
        (GMMScorer(density="best"), "density='best' is unknown"),
        (MahalanobisScorer(shrinkage=2), "shrinkage=2.0 is out of range"),
        (MahalanobisScorer(shrinkage="oas"), "shrinkage='oas' is unknown; expected one of 'auto'"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused(scorer, message):
    with pytest.raises(ValueError, match=message):
        scorer.fit(X)
