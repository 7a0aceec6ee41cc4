"""Approximate neighbours: the scores of an exact search, but for a few clips, and the same ones each time."""

import pickle
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

import skasd
from skasd.detectors import StatisticsDetector, TWFRDetector
from skasd.scoring import KNNScorer, LocalDensityScorer, ScaledKNNScorer
from skasd.scoring._approximate import ApproximateNeighbors, DensityLayers
from skasd.scoring._distance import without_near_copies

pytest.importorskip("faiss")

SCORERS = [
    KNNScorer(neighbors="approximate"),
    KNNScorer(3, metric="euclidean", neighbors="approximate"),
    LocalDensityScorer(neighbors="approximate"),
    LocalDensityScorer(metric="cosine", smote_ratio=0.2, random_state=0, neighbors="approximate"),
    ScaledKNNScorer(neighbors="approximate"),
    ScaledKNNScorer("standardize", n_subbands=2, neighbors="approximate"),
]
every_scorer = pytest.mark.parametrize("scorer", SCORERS, ids=str)


def machines(n_clips, seed=0):
    """Embeddings of two operating states, of which the second one is ten times sparser, and their domains."""
    drawn, shape = np.random.default_rng(seed), np.random.default_rng(0)
    state = (np.arange(n_clips) % 10 == 0).astype(int)
    planes, centers = shape.standard_normal((2, 6, 32)) * [[[0.1]], [[1.0]]], shape.standard_normal((2, 32)) * 3
    embedding = centers[state] + np.einsum("nd,ndk->nk", drawn.standard_normal((n_clips, 6)), planes[state])
    return embedding + 0.01 * drawn.standard_normal((n_clips, 32)), np.where(state, "target", "source")


def exact(scorer):
    return clone(scorer).set_params(neighbors="exact")


@every_scorer
def test_scores_are_those_of_an_exact_search(scorer):
    X, domain = machines(4000)
    new = np.concatenate([machines(400, 1)[0], np.random.default_rng(2).standard_normal((50, 32))])
    fitted, reference = clone(scorer).fit(X, domain=domain), exact(scorer).fit(X, domain=domain)
    scores, expected = fitted.score_samples(new), reference.score_samples(new)
    assert np.isclose(scores, expected, rtol=1e-6).mean() > 0.9
    np.testing.assert_allclose(scores[:400], expected[:400], rtol=0.1)  # of clips far from all others, cells say little
    assert (fitted.predict(new) == reference.predict(new)).mean() > 0.99
    np.testing.assert_allclose(fitted.offset_, reference.offset_, rtol=1e-2)


@every_scorer
def test_training_clips_are_compared_with_the_others(scorer):
    X, domain = machines(3000)
    scores = clone(scorer).fit(X, domain=domain).score_samples(X)
    expected = exact(scorer).fit(X, domain=domain).score_samples(X)
    assert np.isclose(scores, expected, rtol=1e-6).mean() > 0.9
    np.testing.assert_allclose(scores, expected, rtol=0.5)


@every_scorer
def test_two_fits_a_pickle_and_a_model_file_give_the_same_scores(scorer, tmp_path):
    (X, domain), (new, _) = machines(2000), machines(100, 1)
    fitted = clone(scorer).fit(X, domain=domain)
    scores = fitted.score_samples(new)
    skasd.save(fitted, tmp_path / "model.skasd")
    for other in (
        clone(scorer).fit(X, domain=domain),
        pickle.loads(pickle.dumps(fitted)),
        skasd.load(tmp_path / "model.skasd"),
    ):
        np.testing.assert_array_equal(other.score_samples(new), scores)


@every_scorer
def test_a_clip_has_the_same_score_alone(scorer):
    (X, domain), (new, _) = machines(2000), machines(20, 1)
    fitted = clone(scorer).fit(X, domain=domain)
    alone = np.concatenate([fitted.score_samples(clip[None]) for clip in new])
    np.testing.assert_allclose(alone, fitted.score_samples(new), rtol=1e-12)


@pytest.mark.parametrize("kind", [KNNScorer, LocalDensityScorer, ScaledKNNScorer])
def test_every_common_check_passes(kind):
    passed = [result["status"] for result in check_estimator(kind(neighbors="approximate"), on_skip=None)]
    assert passed.count("passed") >= 46


@every_scorer
@pytest.mark.parametrize("n_clips", [1, 2, 5])
def test_few_clips_are_taken(scorer, n_clips):
    X, _ = machines(n_clips)
    assert np.isfinite(clone(scorer).fit(X).score_samples(machines(5, 1)[0])).all()


@every_scorer
def test_copies_are_taken(scorer):
    X, _ = machines(300)
    X[:200] = X[0]
    assert np.isfinite(clone(scorer).fit(X).score_samples(machines(5, 1)[0])).all()


def test_the_nearest_are_found_with_their_exact_distances():
    (X, _), (new, _) = machines(4000), machines(200, 1)
    distance, position = ApproximateNeighbors(X).kneighbors(new, 5)
    every = np.linalg.norm(new[:, None] - X, axis=2)
    np.testing.assert_array_equal(distance, np.take_along_axis(every, position, axis=1))
    recall = np.mean(
        [len(set(one) & set(row)) / 5 for one, row in zip(position, np.argsort(every)[:, :5], strict=True)]
    )
    assert recall > 0.98
    assert (np.diff(distance) >= 0).all()


def test_no_known_clip_is_its_own_neighbour():
    X, _ = machines(500)
    _, position = ApproximateNeighbors(X).kneighbors(n_neighbors=3)
    assert (position != np.arange(500)[:, None]).all()


def test_sparse_clips_are_found_behind_many_dense_ones():
    dense, sparse = np.random.default_rng(0).normal(0, 0.01, (500, 4)), np.full((1, 4), 2.0)
    layers = DensityLayers(np.concatenate([dense, sparse]), np.r_[np.full(500, 0.01), 3.0], 1.5)
    _, position = layers.kneighbors(np.zeros((1, 4)), 16)
    assert 500 in position


@pytest.mark.parametrize("n_copies", [100, 2500])  # so many are compared through a tree by an exact search too
def test_near_copies_are_left_out_as_by_an_exact_search(n_copies):
    X, _ = machines(4000)
    X[1000 : 1000 + n_copies] = X[0] + 1e-6 * np.random.default_rng(0).standard_normal((n_copies, 32))
    kept = without_near_copies(X, "approximate")
    np.testing.assert_array_equal(kept, without_near_copies(X))
    assert len(kept) == 4000 - n_copies


def test_it_works_inside_a_detector():
    clips = np.random.default_rng(0).standard_normal((60, 4000))
    scores = [
        TWFRDetector(scorer=ScaledKNNScorer(neighbors=neighbors), random_state=0)
        .fit(clips)
        .score_samples(clips[:5] * 3)
        for neighbors in ("exact", "approximate")
    ]
    np.testing.assert_allclose(*scores, rtol=1e-6)


def test_the_statistics_detector_scores_as_by_an_exact_search(tmp_path):
    generator = np.random.default_rng(0)
    clips, new = generator.normal(-40, 3, (1500, 16, 12)), generator.normal(-39, 3, (50, 16, 12))
    fitted, reference = (
        StatisticsDetector(neighbors=neighbors, n_jobs=1).fit(clips) for neighbors in ("approximate", "exact")
    )
    scores, expected = fitted.score_samples(new), reference.score_samples(new)
    np.testing.assert_allclose(scores, expected, atol=0.05 * expected.std())
    assert all(end.index is not None for end in fitted._machines[""]._back_ends.values() if hasattr(end, "index"))
    assert fitted.offset_ == pytest.approx(reference.offset_, abs=0.05)
    skasd.save(fitted, tmp_path / "model.skasd")
    np.testing.assert_array_equal(skasd.load(tmp_path / "model.skasd").score_samples(new), scores)


@pytest.mark.parametrize("estimator", [KNNScorer(neighbors="fast"), StatisticsDetector(neighbors="fast")])
def test_an_unknown_way_is_refused(estimator):
    with pytest.raises(ValueError, match="neighbors='fast' is unknown; expected one of 'exact', 'approximate'"):
        estimator.fit(np.eye(3))


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r'pip install "skasd\[approximate\]"'):
        KNNScorer(neighbors="approximate").fit(np.eye(3))


@pytest.mark.parametrize("kind", [KNNScorer, ScaledKNNScorer, LocalDensityScorer])
def test_what_is_older_than_the_parameter_is_exact(kind, tmp_path):
    embedding = np.random.default_rng(0).normal(size=(30, 8))
    scorer = kind().fit(embedding)
    expected = scorer.score_samples(embedding)
    del scorer.__dict__["neighbors"]
    assert clone(scorer).neighbors == "exact"
    skasd.save(scorer, tmp_path / "old.skasd")
    np.testing.assert_array_equal(skasd.load(tmp_path / "old.skasd").score_samples(embedding), expected)


@pytest.mark.parametrize("kind", [KNNScorer, LocalDensityScorer])
def test_a_common_offset_costs_no_digits(kind):
    embedding = 1e3 + np.random.default_rng(0).normal(scale=0.01, size=(1500, 8))
    new = embedding[:50] + 0.003
    exact, near = (
        kind(metric="euclidean", neighbors=name).fit(embedding).score_samples(new) for name in ("exact", "approximate")
    )
    assert np.mean(np.isclose(exact, near, rtol=1e-3)) > 0.9
