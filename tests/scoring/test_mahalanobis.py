import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from skasd.scoring import MahalanobisScorer

CROSS = np.array([[1.0, 0], [-1, 0], [0, 2], [0, -2]])  # covariance diag(0.5, 2)


def test_squared_distance_of_one_domain():
    scorer = MahalanobisScorer(shrinkage=0.0).fit(CROSS + 5)
    np.testing.assert_allclose(-scorer.score_samples([[5, 5], [6, 5], [5, 7]]), [0, 2, 2], atol=1e-9)


def test_nearer_domain_counts():
    X, domain = np.r_[CROSS, 3 * CROSS + 20], ["source"] * 4 + ["target"] * 4
    scorer = MahalanobisScorer(shrinkage=0.0).fit(X, domain=domain)
    np.testing.assert_allclose(-scorer.score_samples([[1, 0], [23, 20]]), [2, 2])


def test_shrinkage_goes_towards_the_same_variance_everywhere():
    half = MahalanobisScorer(shrinkage=0.5).fit(CROSS)  # diag(0.875, 1.625)
    np.testing.assert_allclose(-half.score_samples([[1, 0], [0, 1]]), [1 / 0.875, 1 / 1.625])
    whole = MahalanobisScorer(shrinkage=1.0).fit(CROSS)
    np.testing.assert_allclose(-whole.score_samples([[1, 0], [0, 1]]), [0.8, 0.8])


def test_auto_is_ledoit_wolf():
    X = np.random.default_rng(0).standard_normal((30, 20))
    scorer = MahalanobisScorer().fit(X)
    np.testing.assert_allclose(-scorer.score_samples(X), LedoitWolf().fit(X).mahalanobis(X), rtol=1e-8)


def test_single_clip_of_a_domain_takes_the_covariance_of_the_other():
    scorer = MahalanobisScorer(shrinkage=0.0).fit(np.r_[CROSS, [[20.0, 20]]], domain=["source"] * 4 + ["target"])
    assert -scorer.score_samples([[21, 20]])[0] == pytest.approx(2)


def test_single_clip_in_all_gives_the_squared_euclidean_distance():
    assert -MahalanobisScorer().fit([[1.0, 2.0]]).score_samples([[4.0, 6.0]])[0] == pytest.approx(25)
