import numpy as np
import pytest
from sklearn.metrics.pairwise import euclidean_distances

from skasd.scoring import LocalDensityScorer
from tests.scoring.test_knn import at

REFERENCES = at(0, 2, 4, 6, 8, 60)


@pytest.mark.parametrize(
    ("metric", "n_neighbors", "expected"),
    [
        ("chord", 4, [0.200099, 0.188787]),
        ("chord", 1, [0.500019, 0.198817]),
        ("cosine", 4, [0.033372, 0.035591]),
        ("cosine", 1, [0.250019, 0.039528]),
    ],
)
def test_distance_in_units_of_the_density(metric, n_neighbors, expected):
    scorer = LocalDensityScorer(n_neighbors, metric=metric).fit(REFERENCES)
    np.testing.assert_allclose(-scorer.score_samples(at(9, 50)), expected, atol=1e-6)


def test_length_of_embeddings_is_of_no_account():
    plain, longer = LocalDensityScorer().fit(REFERENCES), LocalDensityScorer().fit(7 * REFERENCES)
    np.testing.assert_allclose(plain.score_samples(at(9)), longer.score_samples(3 * at(9)))


def test_euclidean_scales_with_nothing_either():
    X = np.array([[0.0], [1.0], [3.0]])
    score = LocalDensityScorer(1, metric="euclidean").fit(X).score_samples([[5.0]])
    assert -score[0] == pytest.approx(1.0)  # 2 from the last, whose next is 2 away


def test_equal_training_clips_count_as_one():
    X = np.repeat(REFERENCES, 5, axis=0)
    np.testing.assert_allclose(
        LocalDensityScorer().fit(X).score_samples(at(9)), LocalDensityScorer().fit(REFERENCES).score_samples(at(9))
    )


def test_a_training_clip_is_not_compared_with_itself():
    chord = euclidean_distances(REFERENCES)
    np.fill_diagonal(chord, np.inf)
    spread = np.sort(chord, axis=1)[:, :2].mean(axis=1)
    expected = (chord / spread).min(axis=1)
    np.testing.assert_allclose(-LocalDensityScorer(2).fit(REFERENCES).score_samples(REFERENCES), expected)


def test_many_clips_are_scored_in_parts_like_a_few():
    generator = np.random.default_rng(0)
    X, query = generator.standard_normal((6000, 8)), generator.standard_normal((3000, 8))
    scorer = LocalDensityScorer().fit(X)
    np.testing.assert_allclose(scorer.score_samples(query)[-10:], scorer.score_samples(query[-10:]))


def test_clips_are_made_for_a_small_target_domain():
    X, domain = at(*range(30), 60, 70, 80), ["source"] * 30 + ["target"] * 3
    scorer = LocalDensityScorer(smote_ratio=0.5, random_state=0).fit(X, domain=domain)
    assert len(scorer._known) == 30 + 15


@pytest.mark.parametrize("metric", ["chord", "cosine", "euclidean"])
@pytest.mark.parametrize(("n_copies", "noise"), [(30, 1e-6), (30, 1e-4), (5, 1e-2), (300, 1e-6)])
def test_near_copies_of_a_training_clip_do_not_make_normal_clips_anomalous(metric, n_copies, noise):
    generator = np.random.default_rng(0)
    base = generator.standard_normal((40, 16))
    copies = base[:1] + noise * generator.standard_normal((n_copies, 16))
    normal, anomaly = base[:1] + 0.05 * generator.standard_normal((10, 16)), generator.standard_normal((10, 16)) * 3 + 3
    scorer = LocalDensityScorer(metric=metric).fit(np.concatenate([copies, base[:10]]))
    assert scorer.score_samples(normal).min() > scorer.score_samples(anomaly).max()


def test_near_copies_count_as_one():
    copies = np.concatenate([REFERENCES, REFERENCES + 1e-6, REFERENCES - 1e-6])
    np.testing.assert_allclose(
        LocalDensityScorer().fit(copies).score_samples(at(9)),
        LocalDensityScorer().fit(REFERENCES).score_samples(at(9)),
        rtol=1e-4,
    )


def test_a_sparse_domain_keeps_its_own_density():
    generator = np.random.default_rng(0)
    X = generator.normal(scale=np.r_[np.full(90, 0.05), np.full(10, 0.3)][:, None], size=(100, 8)) + np.eye(8)[0]
    scorer = LocalDensityScorer(metric="euclidean").fit(X)
    distance = euclidean_distances(np.delete(X, 0, axis=0), X[:1])[:, 0]
    assert len(scorer._known) == 100
    chord = euclidean_distances(X)
    np.fill_diagonal(chord, np.inf)
    spread = np.sort(chord, axis=1)[:, :4].mean(axis=1)
    np.testing.assert_allclose(-scorer.score_samples(X[:1]), (distance / spread[1:]).min())
