import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from skasd.scoring import ScaledKNNScorer
from skasd.scoring._scaled_neighbors import ScaledNeighbors, Scaling, _smallest

GENERATOR = np.random.default_rng(0)


def correlated(n, d):
    return GENERATOR.standard_normal((n, d)) @ GENERATOR.standard_normal((d, d)) + 100


def by_the_formula(X, x, rotation, n_neighbors, n_density):
    """Five lines of the docstring, for one clip that is none of the training clips."""
    scaled = (X - X.mean(axis=0)) / X.std(axis=0) @ rotation
    query = (x - X.mean(axis=0)) / X.std(axis=0) @ rotation
    to_others = np.sort(np.linalg.norm(scaled[:, None] - scaled, axis=2), axis=1)[:, 1 : n_density + 1].mean(axis=1)
    distance = np.linalg.norm(query - scaled, axis=1)
    nearest = np.argsort(distance)[:n_neighbors]
    return np.mean(distance[nearest] / to_others[nearest])


@pytest.mark.parametrize("shape", [(60, 5), (12, 30)], ids=["more clips", "fewer clips"])
@pytest.mark.parametrize("scaling", ["whiten", "standardize"])
def test_score_is_that_of_the_formula(shape, scaling):
    X, new = correlated(*shape), correlated(3, shape[1])
    standardized = (X - X.mean(axis=0)) / X.std(axis=0)
    values, vectors = np.linalg.eigh(ledoit_wolf(standardized, assume_centered=True)[0])
    rotation = (vectors / np.sqrt(values)) @ vectors.T if scaling == "whiten" else np.eye(shape[1])
    scorer = ScaledKNNScorer(scaling, n_neighbors=3, n_density_neighbors=4).fit(X)
    expected = [by_the_formula(X, x, rotation, 3, 4) for x in new]
    np.testing.assert_allclose(-scorer.score_samples(new), expected, rtol=1e-8)


def test_whitened_normal_clips_have_unit_covariance_when_there_are_many():
    X = GENERATOR.standard_normal((20000, 4)) @ np.triu(np.ones((4, 4)))
    np.testing.assert_allclose(np.cov(Scaling.of(X, "whiten")(X).T), np.eye(4), atol=0.05)


def test_units_of_features_do_not_matter():
    X, new = correlated(40, 6), correlated(5, 6)
    units = np.array([1, 1000, 0.001, 60, 1, 5])
    for scaling in ("whiten", "standardize"):
        scores = [ScaledKNNScorer(scaling).fit(X * unit).score_samples(new * unit) for unit in (1, units)]
        np.testing.assert_allclose(*scores, rtol=1e-6)


def test_a_clip_in_a_sparse_region_counts_like_others():
    dense, sparse = GENERATOR.normal(0, 0.1, (40, 2)), GENERATOR.normal(10, 1, (40, 2))
    scorer = ScaledKNNScorer("standardize").fit(np.concatenate([dense, sparse]))
    scores = -scorer.score_samples(
        np.concatenate([GENERATOR.normal(0, 0.1, (40, 2)), GENERATOR.normal(10, 1, (40, 2))])
    )
    assert 0.5 < np.median(scores[:40]) / np.median(scores[40:]) < 2


def test_two_clips_give_scores_of_the_usual_size():
    scores = (
        -ScaledKNNScorer().fit(GENERATOR.standard_normal((2, 30))).score_samples(GENERATOR.standard_normal((5, 30)))
    )
    assert (scores < 5000).all()  # two values may be close together, but no direction is without variance


def test_a_training_clip_is_compared_with_the_others():
    X = correlated(30, 4)
    np.testing.assert_array_less(0.1, -ScaledKNNScorer().fit(X).score_samples(X))


def test_near_copies_count_once():
    X, new = correlated(30, 4), correlated(5, 4)
    twice = np.concatenate([X, X + 1e-5])
    np.testing.assert_allclose(
        ScaledKNNScorer("standardize").fit(twice).score_samples(new),
        ScaledKNNScorer("standardize").fit(X).score_samples(new),
        rtol=1e-3,
    )


def test_subbands_are_averaged():
    X, new = correlated(30, 6), correlated(4, 6)
    parts = [ScaledKNNScorer().fit(X[:, part]).score_samples(new[:, part]) for part in (slice(0, 3), slice(3, 6))]
    np.testing.assert_allclose(ScaledKNNScorer(n_subbands=2).fit(X).score_samples(new), np.mean(parts, axis=0))


def test_blocks_change_nothing(monkeypatch):
    X, new = correlated(50, 6), correlated(20, 6)
    whole = ScaledKNNScorer().fit(X).score_samples(new)
    monkeypatch.setattr("skasd.scoring._scaled_neighbors._DISTANCES_AT_A_TIME", 170)
    np.testing.assert_allclose(ScaledKNNScorer().fit(X).score_samples(new), whole, rtol=1e-12)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"scaling": "pca"}, "scaling='pca' is unknown"),
        ({"n_neighbors": 0}, "n_neighbors=0"),
        ({"n_density_neighbors": 0}, "n_density_neighbors=0"),
        ({"n_subbands": 0}, "n_subbands=0"),
        ({"n_subbands": 7}, "n_subbands=7 exceeds n_features = 6"),
    ],
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        ScaledKNNScorer(**parameters).fit(correlated(10, 6))


@pytest.mark.parametrize(("n_known", "k"), [(2, 2), (9, 2), (300, 3), (300, 40)])
def test_the_smallest_values_of_each_row_are_found_with_their_positions(n_known, k):
    values = np.random.default_rng(0).permuted(np.tile(np.arange(n_known, dtype=float), (40, 1)), axis=1)
    order = np.argsort(values, axis=1)[:, :k]
    found, which = _smallest(values.copy(), k)
    np.testing.assert_array_equal(which, order)
    np.testing.assert_array_equal(found, np.take_along_axis(values, order, axis=1))


def test_density_is_the_mean_distance_to_the_nearest_others():
    known = np.random.default_rng(0).normal(size=(40, 3))
    fitted = ScaledNeighbors.of(known, "standardize", n_density=4)
    scaled = (known - known.mean(axis=0)) / known.std(axis=0)
    distances = np.sort(np.linalg.norm(scaled[:, None] - scaled, axis=2), axis=1)
    np.testing.assert_allclose(fitted.density, distances[:, 1:5].mean(axis=1), rtol=1e-9)
